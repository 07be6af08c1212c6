variable "dogs" {
  type    = number
  default = "three"
}

render "park" {
  prompt = "${var.dogs} dogs in the park"
}
