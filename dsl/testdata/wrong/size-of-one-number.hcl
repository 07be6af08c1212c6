render "park" {
  prompt = "a dog in the park"
  size   = 1024
}
