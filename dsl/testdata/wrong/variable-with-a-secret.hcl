variable "who" {
  default   = "a dog"
  sensitive = true
}

render "park" {
  prompt = "${var.who} in the park"
}
