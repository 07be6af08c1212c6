# Six of a kind around another one: seven entities from one map, and a prompt that
# names them in one short sentence.

variable "weights" {
  description = "The folder of the weights. ELIGEN_VAR_weights names another one for all scenes."
  default     = "./weights"
}

model "flux" "dev" {
  source = "${var.weights}/FLUX.1-dev"
  dtype  = "bfloat16"
}

adapter "lora" "eligen" {
  source = "${var.weights}/eligen/model_bf16.safetensors"
}

locals {
  around = {
    one   = [0.13, 0.46]
    two   = [0.24, 0.70]
    three = [0.40, 0.84]
    four  = [0.62, 0.84]
    five  = [0.77, 0.69]
    six   = [0.87, 0.45]
  }
}

render "seven" {
  model    = model.flux.dev
  adapters = [adapter.lora.eligen]
  size     = [1024, 1024]
  seed     = 8
  prompt   = "A storyteller and her six foxes in a clearing."
  negative = "blurry, distorted, extra legs, watermark, low resolution"

  sampler {
    steps    = 50
    cfg      = 3.0
    guidance = 3.5
  }
}

entity "storyteller" {
  prompt = "an old woman who tells a story, with open hands"
  box    = xyxy(0.36, 0.18, 0.64, 0.70)
}

entity "fox" {
  for_each = local.around
  prompt   = "fox ${each.key}, listening"
  box      = cxcywh(each.value[0], each.value[1], 0.19, 0.24)
}
