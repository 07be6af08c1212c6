# A picture as a prompt: an IP-Adapter brings in a painting's strokes and colours, and
# EliGen says what is where. The figure is a drawn mask.

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

adapter "ip" "painting" {
  source  = "${var.weights}/ip-adapter/ip-adapter.bin"
  encoder = "${var.weights}/siglip-so400m-patch14-384"
  image   = image("pictures/painting.png")
  scale   = 0.7
}

render "painting" {
  model    = model.flux.dev
  adapters = [adapter.lora.eligen, adapter.ip.painting]
  size     = [1024, 1024]
  seed     = 4
  prompt   = "A cellist plays in a field before a storm, a red headscarf, dark clouds"
  negative = "blurry, distorted, deformed hands, extra fingers, watermark, low resolution"

  sampler {
    steps    = 50
    cfg      = 3.0
    guidance = 3.5
  }

  output {
    path = "out/painting.png"
  }

  output {
    path    = "out/painting-regions.png"
    overlay = true
  }
}

entity "cellist" {
  prompt = "a woman with a cello"
  mask   = image("masks/cellist.png")
}

entity "headscarf" {
  prompt = "a red headscarf"
  region = ellipse(0.44, 0.27, 0.10, 0.08)
}

entity "storm" {
  prompt = "a dark storm cloud with rain below it"
  region = polygon([[0.56, 0.02], [1, 0.02], [1, 0.44], [0.70, 0.40], [0.60, 0.22]])
}
