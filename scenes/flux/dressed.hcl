# Somebody with a sign, and things on: words to be written in one region, clothes in
# others inside of the figure's. Where they overlap, a token attends to all their prompts.

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

render "dressed" {
  model    = model.flux.dev
  adapters = [adapter.lora.eligen]
  size     = [1024, 1024]
  seed     = 21
  prompt   = "A baker in the door of a bakery holds up a sign that says 'Warm at seven',  bread on shelves behind him,  morning light,  35 mm photograph"
  negative = "blurry, distorted, deformed hands, extra fingers, misspelt words, low resolution"

  sampler {
    steps    = 50
    cfg      = 3.0
    guidance = 3.5
  }

  output {
    path = "out/dressed.png"
  }

  output {
    path    = "out/dressed-regions.png"
    overlay = true
  }
}

entity "baker" {
  prompt = "a smiling baker with short curly hair"
  mask   = image("masks/baker.png")
}

entity "sign" {
  prompt = "a chalkboard sign that says 'Warm at seven'"
  region = polygon([[0.10, 0.44], [0.40, 0.40], [0.43, 0.62], [0.13, 0.66]])
}

entity "apron" {
  prompt = "a long denim apron"
  mask   = image("masks/apron.png")
}

entity "shirt" {
  prompt = "a shirt with blue stripes"
  region = polygon([[0.38, 0.31], [0.62, 0.31], [0.72, 0.42], [0.72, 0.56], [0.62, 0.50], [0.38, 0.50], [0.28, 0.56], [0.28, 0.42]])
}
