# A harbour at night: six entities, from large to small, two of them drawn masks, and
# a prompt longer than the 75 tokens that CLIP reads, which ends with a line break.

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

render "harbor" {
  model    = model.flux.dev
  adapters = [adapter.lora.eligen]
  size     = [1024, 1024]
  seed     = 0
  negative = "blurry, distorted, deformed hands, extra fingers, watermark, low resolution"
  prompt   = <<-EOT
    Oil painting of a small fishing harbour late at night, an old fisherman in a yellow coat sits at the end of a
    stone quay and mends a net by the light of a lantern, a full moon stands low over a calm black sea, a trawler
    with a lit cabin comes home, its light in long broken lines on the water, thin mist far out, wet granite,
    coils of rope, lobster pots, deep blue and amber, loose visible brush strokes, quiet, wide view from above
  EOT

  sampler {
    steps    = 50
    cfg      = 3.0
    guidance = 3.5
  }
}

entity "quay" {
  prompt = "a wet stone quay with coils of rope"
  mask   = image("masks/quay.png")
}

entity "sea" {
  prompt = "a calm black sea with moonlight on it"
  region = polygon([[0.22, 0.50], [1, 0.50], [1, 1], [0.60, 1], [0.70, 0.80], [0.62, 0.68]])
}

entity "moon" {
  prompt = "a full moon behind thin mist"
  region = ellipse(0.76, 0.17, 0.10, 0.10)
}

entity "trawler" {
  prompt = "a small trawler with a lit cabin"
  box    = xyxy(0.62, 0.38, 0.94, 0.60)
}

entity "fisherman" {
  prompt = "an old fisherman, seated, mending a net"
  mask   = image("masks/fisherman.png")
}

entity "coat" {
  prompt = "a yellow oilskin coat"
  region = polygon([[0.22, 0.50], [0.32, 0.50], [0.36, 0.62], [0.35, 0.71], [0.19, 0.71], [0.18, 0.60]])
}
