# Somebody who wears things: small regions inside of a large one. What the
# others cover is taken out of the bear, so that each token belongs to one
# prompt.

variable "colour" {
  description = "The background's colour."
  type        = string
  default     = "teal"

  validation {
    condition     = contains(["teal", "orange", "light blue"], var.colour)
    error_message = "The colour must be teal, orange or light blue."
  }
}

locals {
  hat   = xyxy(0.34, 0.04, 0.66, 0.32)
  shirt = xyxy(0.30, 0.56, 0.70, 0.86)
}

render "dressed" {
  prompt = "a bear, a hat and a shirt on a ${var.colour} background"
  seed   = 21

  output {
    path = "out/dressed.png"
  }

  output {
    path    = "out/dressed-regions.png"
    overlay = true
  }
}

entity "bear" {
  prompt = "a brown bear"
  region = subtract(xyxy(0.20, 0.18, 0.80, 0.96), local.hat, local.shirt)
}

entity "hat" {
  prompt = "a black hat"
  box    = local.hat
}

entity "shirt" {
  prompt = "a shirt"
  box    = local.shirt
}
