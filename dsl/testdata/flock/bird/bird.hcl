variable "name" {
  type = string
}

entity "star" {
  prompt = "a ${var.name}"
  region = ellipse(0.5, 0.5, 0.2, 0.2)
}
