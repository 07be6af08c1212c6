# A fish market at dawn, drawn by Qwen-Image: each sign's words are in the prompt of the entity
# that wears them, and each at its own length.

variable "weights" {
  description = "The folder of the weights. ELIGEN_VAR_weights names another one for all scenes."
  default     = "./weights"
}

model "qwen" "image" {
  source = "${var.weights}/Qwen-Image"
  dtype  = "bfloat16"
}

adapter "lora" "eligen" {
  source = "${var.weights}/Qwen-Image-EliGen-V2/model.safetensors"
}

render "market" {
  model    = model.qwen.image
  adapters = [adapter.lora.eligen]
  size     = [1024, 1024]
  seed     = 11
  negative = "blurry, low resolution, misspelt letters"
  prompt   = "Photograph of a covered fish market before dawn, wet floor, warm lamps over ice and silver fish, a hand-painted sign above the stall, a price tag in the ice, a cat waits under the table"

  sampler {
    steps = 40
    cfg   = 4.0
  }
}

entity "sign" {
  prompt = "a hand-painted wooden sign that says \"OPEN AT FOUR\""
  box    = xyxy(0.12, 0.06, 0.88, 0.24)
}

entity "ice" {
  prompt = "a heap of crushed ice with silver mackerel on it"
  region = polygon([[0.06, 0.52], [0.94, 0.50], [0.98, 0.72], [0.02, 0.74]])
}

entity "tag" {
  prompt = "a small slate that says \"7.50\" in chalk"
  box    = xyxy(0.56, 0.42, 0.74, 0.56)
}

entity "cat" {
  prompt = "a grey cat, looking up"
  box    = xyxy(0.10, 0.74, 0.36, 0.98)
}
