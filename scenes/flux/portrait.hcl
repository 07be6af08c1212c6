# One portrait at four seeds: a musician and six things that she wears and holds, in
# boxes, ellipses and drawn masks. The prompts are encoded once for all four pictures.

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

render "portrait" {
  for_each = toset(["5", "6", "7", "8"])
  model    = model.flux.dev
  adapters = [adapter.lora.eligen]
  size     = [1024, 1024]
  seed     = each.value
  prompt   = "Studio portrait of an elderly violinist, half length, dark velvet coat, silver spectacles, a wide hat, a saffron scarf, a brooch, her violin under her arm, grey backdrop, soft light from the left, medium format film"
  negative = "blurry, distorted, deformed hands, extra fingers, watermark, low resolution"

  sampler {
    steps    = 50
    cfg      = 3.0
    guidance = 3.5
  }
}

entity "violinist" {
  prompt = "an elderly woman with a calm face"
  box    = xyxy(0.22, 0.14, 0.78, 1)
}

entity "violin" {
  prompt = "an old violin"
  mask   = image("masks/violin.png")
}

entity "scarf" {
  prompt = "a saffron scarf"
  mask   = image("masks/scarf.png")
}

entity "spectacles" {
  prompt = "round silver spectacles"
  region = union(ellipse(0.43, 0.37, 0.06, 0.045), ellipse(0.55, 0.37, 0.06, 0.045))
}

entity "brooch" {
  prompt = "a green enamel brooch"
  region = ellipse(0.33, 0.72, 0.045, 0.045)
}

entity "coat" {
  prompt = "a dark velvet coat"
  region = polygon([[0.34, 0.58], [0.66, 0.58], [0.82, 0.70], [0.86, 1], [0.16, 1], [0.20, 0.70]])
}

entity "hat" {
  prompt = "a wide black hat with a feather"
  region = union(ellipse(0.49, 0.20, 0.26, 0.06), ellipse(0.49, 0.13, 0.13, 0.11))
}
