# A poster for a tea shop, by EliGen's LoRA for posters: the product, its name and its price each in a box.

variable "weights" {
  description = "The folder of the weights. ELIGEN_VAR_weights names another one for all scenes."
  default     = "./weights"
}

model "qwen" "image" {
  source = "${var.weights}/Qwen-Image"
}

adapter "lora" "poster" {
  source = "${var.weights}/Qwen-Image-EliGen-Poster/model.safetensors"
}

locals {
  column = 0.56 # where the words begin
}

render "poster" {
  model    = model.qwen.image
  adapters = [adapter.lora.poster]
  size     = [1280, 784]
  seed     = 5
  prompt   = "Poster of a tea shop, a clay teapot on dark green paper, steam, generous empty space, words on the right"

  sampler {
    steps = 50
    cfg   = 4.0
  }
}

entity "teapot" {
  prompt = "a round clay teapot with steam above its spout"
  box    = xyxy(0.06, 0.22, 0.50, 0.88)
}

entity "name" {
  prompt = "the words \"Slow Leaf\" in tall serif letters, cream"
  box    = xyxy(local.column, 0.20, 0.95, 0.42)
}

entity "price" {
  prompt = "the words \"from 4.20\" in small letters, cream"
  box    = xyxy(local.column, 0.48, 0.84, 0.58)
}
