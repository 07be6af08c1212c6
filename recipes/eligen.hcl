# EliGen's training: the base is frozen, a LoRA on the linear layers of the
# blocks learns to follow regions, with regional attention on at every step.
recipe "eligen" {
  classes       = 20
  pictures      = 10240
  size          = [256, 256]
  train         = lora(16)
  steps         = 240
  batch         = 16
  regions       = 1
  dropout       = { prompt = 0.1, entity = 0.05 }
  object_weight = 3
  timesteps     = "reference"
  ema           = 0.98
  every         = 120

  optimizer "adamw" {
    learning_rate = 1e-3
    warmup        = 30
    schedule      = "cosine"
    clip          = 1
  }
}
