variable "dogs" {
  default = 9

  validation {
    condition     = var.dogs <= 4
    error_message = "There is room for four dogs."
  }
}

render "park" {
  prompt = "${var.dogs} dogs in the park"
}
