variable "who" {
  type    = strng
  default = "a dog"
}

render "park" {
  prompt = "${var.who} in the park"
}
