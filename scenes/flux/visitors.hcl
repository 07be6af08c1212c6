# Inpainting: two visitors are painted into a picture, and the rest of it keeps its
# pixels. mode = "reference" is what the reference does: the rest keeps only about.

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

render "visitors" {
  model    = model.flux.dev
  adapters = [adapter.lora.eligen]
  size     = [1024, 1024]
  seed     = 0
  prompt   = "A poster of a beach in summer, somebody in a green raincoat on the sand, a hot-air balloon in the sky, flat colours"
  negative = "distorted, deformed hands, extra fingers, watermark, low resolution, blur"

  inpaint {
    image   = image("pictures/beach.png")
    feather = 16
  }

  sampler {
    steps    = 50
    cfg      = 3.0
    guidance = 3.5
  }
}

entity "walker" {
  prompt = "a person who wears a green raincoat"
  mask   = image("masks/walker.png")
}

entity "balloon" {
  prompt = "a hot-air balloon"
  region = union(ellipse(0.60, 0.24, 0.10, 0.11), xyxy(0.56, 0.32, 0.64, 0.42))
}
