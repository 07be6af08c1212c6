variable "dogs" {
  type = number
}

entity "dog" {
  count  = var.dogs
  prompt = "a dog"
  box    = cell(var.dogs, 1, count.index, 0)
}
