# A LoRA of your own pictures: a folder that `eligen dataset annotate` or `eligen dataset
# import` wrote. It goes on from EliGen's LoRA, so that regions stay where they are, and
# learns what your things look like.
#
#	eligen train recipes/own.hcl --var pictures=$PWD/data

variable "pictures" {
  description = "A folder in EliGen's format."
  type        = string
}

recipe "own" {
  kind          = "eligen"
  dataset       = var.pictures
  size          = [256, 256]
  train         = lora(16)
  steps         = 160
  batch         = 8
  regions       = 1
  dropout       = { prompt = 0.1, entity = 0.05 }
  object_weight = 3
  timesteps     = "reference"
  ema           = 0.95
  every         = 40

  optimizer "adamw" {
    learning_rate = 1e-3
    warmup        = 10
    schedule      = "cosine"
    clip          = 1
  }
}
