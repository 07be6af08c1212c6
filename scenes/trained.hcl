# What a LoRA has learnt: without guidance, with the LoRA and without any, from the same
# noise. With --var lora=./run/eligen.safetensors, it is your own.

variable "lora" {
  description = "What eligen train has written; the embedded one where nothing is said."
  type        = string
  default     = null
}

adapter "lora" "own" {
  source = var.lora
}

render "trained" {
  prompt   = "a frog, a sunflower and an apple on a gray background"
  adapters = [adapter.lora.own]
  seed     = 42

  sampler {
    cfg = 1
  }
}

render "untrained" {
  from     = render.trained
  adapters = []
}

entity "frog" {
  prompt = "a frog"
  box    = xywh(0.10, 0.46, 0.36, 0.40)
}

entity "sunflower" {
  prompt = "a sunflower"
  box    = xywh(0.54, 0.12, 0.34, 0.46)
}

entity "apple" {
  prompt = "a red apple"
  box    = xywh(0.58, 0.66, 0.24, 0.26)
}
