# For real weights: FLUX.1-dev and the EliGen LoRA, from files that you have.
# Nothing here is downloaded; `eligen plan` names the files that are missing.

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

render "reading-room" {
  model    = model.flux.dev
  adapters = [adapter.lora.eligen]
  size     = [1024, 1024]
  prompt   = "A quiet reading room in the late afternoon, warm light through tall windows, dust in the air, wide-angle photograph"
  negative = "blurry, distorted, low resolution"
  seed     = 11

  sampler {
    steps    = 50
    cfg      = 3.0 # true classifier-free guidance
    guidance = 3.5 # embedded guidance
  }
}

entity "armchair" {
  prompt = "a worn green leather armchair"
  box    = xyxy(0.06, 0.46, 0.44, 0.92)
}

entity "cat" {
  prompt = "a grey cat asleep, curled up"
  region = ellipse(0.25, 0.62, 0.11, 0.07)
}

entity "globe" {
  prompt = "an antique globe on a wooden stand"
  box    = xyxy(0.66, 0.42, 0.90, 0.86)
}

entity "window" {
  prompt = "a tall window with rain on the glass"
  box    = xyxy(0.52, 0.04, 0.82, 0.40)
}
