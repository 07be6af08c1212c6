# A clip: a tram crosses the picture, and everything that it doesn't touch stands still,
# to the pixel.

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

timeline "drive" {
  duration = "2s"
  fps      = 8

  track {
    target = entity.tram.box
    keys = [
      { at = "0%", value = xywh(0.02, 0.56, 0.30, 0.26), ease = "sine-in-out" },
      { at = "100%", value = xywh(0.68, 0.56, 0.30, 0.26) },
    ]
  }
}

render "drive" {
  model    = model.flux.dev
  adapters = [adapter.lora.eligen]
  size     = [1024, 1024]
  seed     = 11
  prompt   = "A steep street in an old town on a bright morning, tiled houses, a yellow tram on rails, photograph"
  negative = "blurry, distorted, watermark, low resolution"
  timeline = timeline.drive

  sampler {
    steps    = 50
    cfg      = 3.0
    guidance = 3.5
  }

  background {
    lock = true
  }

  output {
    path = "out/drive.webp"
  }
}

entity "tram" {
  prompt = "a small yellow tram"
  box    = xywh(0.02, 0.56, 0.30, 0.26)
}

entity "houses" {
  prompt = "a row of houses with blue tiles"
  box    = xyxy(0.06, 0.06, 0.94, 0.50)
}
