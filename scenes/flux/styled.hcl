# A style over a layout: a style LoRA, laid on before EliGen's, and its trigger words at
# the start of the prompt. The entities' prompts stay, and any scene here takes it so.

variable "weights" {
  description = "The folder of the weights. ELIGEN_VAR_weights names another one for all scenes."
  default     = "./weights"
}

model "flux" "dev" {
  source = "${var.weights}/FLUX.1-dev"
  dtype  = "bfloat16"
}

# merve/flux-lego-lora-dreambooth; another LoRA has other trigger words.
adapter "lora" "style" {
  source = "${var.weights}/style/pytorch_lora_weights.safetensors"
}

adapter "lora" "eligen" {
  source = "${var.weights}/eligen/model_bf16.safetensors"
}

locals {
  trigger = "lego set in style of TOK"
  prompt  = "a lighthouse keeper waves from a rock in the sea, a red lighthouse, a sailing ship, a whale"
}

render "plain" {
  model    = model.flux.dev
  adapters = [adapter.lora.eligen]
  size     = [1024, 1024]
  seed     = 0
  prompt   = local.prompt
  negative = "blurry, distorted, watermark, low resolution"

  sampler {
    steps    = 50
    cfg      = 3.0
    guidance = 3.5
  }
}

render "styled" {
  from     = render.plain
  adapters = [adapter.lora.style, adapter.lora.eligen]
  prompt   = "${local.trigger}, ${local.prompt}"
}

entity "lighthouse" {
  prompt = "a red lighthouse on a rock"
  region = polygon([[0.14, 0.12], [0.28, 0.12], [0.34, 0.62], [0.46, 0.80], [0.02, 0.80], [0.10, 0.62]])
}

entity "keeper" {
  prompt = "a lighthouse keeper, waving"
  box    = xyxy(0.32, 0.46, 0.46, 0.76)
}

entity "ship" {
  prompt = "a ship with three sails"
  box    = xyxy(0.56, 0.18, 0.92, 0.52)
}

entity "whale" {
  prompt = "a blue whale"
  region = ellipse(0.72, 0.80, 0.22, 0.11)
}
