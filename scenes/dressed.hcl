# Somebody with things on: small regions inside of a large one. What the
# others cover is taken out of the dog, so that each token belongs to one
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
  above = xyxy(0.28, 0.02, 0.72, 0.34)
  chest = xyxy(0.38, 0.66, 0.62, 0.90)
}

render "dressed" {
  prompt = "a dog, an umbrella and a heart on a ${var.colour} background"
  seed   = 21

  output {
    path = "out/dressed.png"
  }

  output {
    path    = "out/dressed-regions.png"
    overlay = true
  }
}

entity "dog" {
  prompt = "a brown dog"
  region = subtract(xyxy(0.20, 0.18, 0.80, 0.96), local.above, local.chest)
}

entity "umbrella" {
  prompt = "a purple umbrella"
  box    = local.above
}

entity "heart" {
  prompt = "a red heart"
  box    = local.chest
}
