# One character with attributes, and a bird: two drawn masks, a polygon and an ellipse,
# which overlap. The prompt holds double spaces, as prompts that were pasted together do.

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

render "garland" {
  model    = model.flux.dev
  adapters = [adapter.lora.eligen]
  size     = [1024, 1024]
  seed     = 0
  prompt   = "Storybook illustration of a young forest ranger,  a garland of white flowers in a long braid,  one hand on a staff,  an owl at her shoulder,  mossy trunks in green morning light"
  negative = "blurry, distorted, deformed hands, extra fingers, watermark, low resolution"

  sampler {
    steps    = 50
    cfg      = 3.0
    guidance = 3.5
  }
}

entity "braid" {
  prompt = "a long dark braid with white flowers in it"
  mask   = image("masks/braid.png")
}

entity "staff" {
  prompt = "a wooden staff wound with green lightning"
  region = polygon([[0.72, 0.06], [0.82, 0.08], [0.72, 0.96], [0.64, 0.95]])
}

entity "owl" {
  prompt = "a small owl with wide eyes"
  region = ellipse(0.26, 0.30, 0.10, 0.13)
}

entity "sash" {
  prompt = "a woven red sash"
  mask   = image("masks/sash.png")
}
