# A sky whose light is itself an entity: drawn masks of a crescent and of a band without
# it, over a lake that reaches across the picture, and a small figure.

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

render "starry" {
  model    = model.flux.dev
  adapters = [adapter.lora.eligen]
  size     = [1024, 1024]
  seed     = 0
  prompt   = "A rider alone at the shore of a lake in the far north, green aurora in slow waves over the sky, a thin moon, snow, woodcut in four colours"
  negative = "blurry, distorted, extra legs, watermark, low resolution"

  sampler {
    steps    = 50
    cfg      = 3.0
    guidance = 3.5
  }
}

entity "moon" {
  prompt = "a thin crescent moon"
  mask   = image("masks/crescent.png")
}

entity "rider" {
  prompt = "a rider in a long cloak on a dark horse"
  box    = xyxy(0.18, 0.52, 0.42, 0.84)
}

entity "lake" {
  prompt = "a still lake with ice at its edge"
  region = subtract(xyxy(0, 0.64, 1, 1), entity.rider.box)
}

entity "aurora" {
  prompt = "swirling waves of green aurora"
  region = subtract(image("masks/aurora.png"), image("masks/crescent.png"))
}
