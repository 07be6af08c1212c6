eligen {
  required_version = ">= 9.0"
}

render "park" {
  prompt = "a dog in the park"
}
