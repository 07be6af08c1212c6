render "park" {
  prompt = "a dog in the park"
  steps  = 30
}
