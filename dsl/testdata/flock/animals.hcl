# Animals side by side.

eligen {
  required_version = ">= 0.1"
}

variable "where" {
  type = any
}

variable "animals" {
  type    = list(string)
  default = ["a duck"]
}

variable "friend" {
  default = null
}

locals {
  places = row(var.where, length(var.animals))
}

entity "animal" {
  count  = length(var.animals)
  prompt = var.animals[count.index]
  box    = local.places[count.index]
}
