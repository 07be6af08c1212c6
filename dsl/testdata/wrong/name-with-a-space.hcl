render "the park" {
  prompt = "a dog in the park"
}
