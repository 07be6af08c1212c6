# A variable says what it takes; what it is given is checked at the place it comes from.

variable "none" { # want "No value for variable: The variable .none. has no default"
  type = string
}

variable "typo" {
  type = strng # want "Invalid type specification: .* Did you mean .string.\\?"
}

variable "wrong" {
  type    = number
  default = "three" # want "Incorrect type: The default must be number"
}

variable "computed" {
  default = local.x # want "References not allowed: .*default can't refer to anything"
}

variable "checked" {
  default = "middling" # want "Invalid value for variable: Take draft or final. Here var.checked is .middling., from the default"

  validation {
    condition     = contains(["draft", "final"], var.checked)
    error_message = "Take draft or final."
  }
}

variable "default_of_x" {
  type    = string
  default = "x"
  secret  = true # want "Unsupported argument: A variable has no argument .secret."
}

locals {
  x = 1
}

eligen {
  required_version = ">= 99" # want "Unsupported eligen version: The scene asks for eligen >= 99"
}

render "a" {
  prompt = "${var.none} ${var.typo} ${var.wrong} ${var.checked}"
}
