# A bed of flowers with somebody in it: a module. The scene says where it is,
# what grows in it, and who is there.

variable "where" {
  description = "The shape that the bed is laid over."
  type        = any
}

variable "flowers" {
  description = "What grows in it, from left to right."
  type        = list(string)
  default     = ["a mushroom", "a sunflower"]

  validation {
    condition     = length(var.flowers) <= 4
    error_message = "There is room for four flowers."
  }
}

variable "guest" {
  type    = string
  default = null
}

locals {
  places = row(var.where, length(var.flowers), 0.08)
}

entity "flower" {
  count  = length(var.flowers)
  prompt = var.flowers[count.index]
  box    = local.places[count.index]
}

# The guest is there if the scene names one, above the first flower.
entity "guest" {
  count  = var.guest == null ? 0 : 1
  prompt = var.guest
  box    = above(local.places[0], 0.20, 0.24, 0.07)
}
