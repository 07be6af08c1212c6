# Two entities with one prompt at two places, between a wide building and a bridge. The
# prompt is encoded once, and the bridge is a drawn mask.

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
  guard = "a gondolier in a striped shirt, standing with an oar"
}

render "twins" {
  model    = model.flux.dev
  adapters = [adapter.lora.eligen]
  size     = [1024, 1024]
  seed     = 27
  prompt   = "Gouache painting, two gondoliers wait at both ends of a marble footbridge, an old palace behind it, still green water, early summer morning, long shadows, soft edges, muted colours"
  negative = "blurry, distorted, deformed hands, extra fingers, watermark, low resolution"

  sampler {
    steps    = 50
    cfg      = 3.0
    guidance = 3.5
  }
}

entity "palace" {
  prompt = "an old palace with pointed arches"
  box    = xyxy(0.14, 0.04, 0.86, 0.52)
}

entity "bridge" {
  prompt = "a marble footbridge with carved railings"
  mask   = image("masks/bridge.png")
}

entity "left_guard" {
  prompt = local.guard
  box    = xyxy(0.03, 0.46, 0.19, 0.84)
}

entity "right_guard" {
  prompt = local.guard
  box    = mirror(translate(entity.left_guard.box, 0.78, 0), "x")
}
