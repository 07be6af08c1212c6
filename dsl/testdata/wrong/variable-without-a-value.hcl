variable "who" {
  type = string
}

render "park" {
  prompt = "${var.who} in the park"
}
