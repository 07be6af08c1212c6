render "park" {
  prompt = "a dog in the park"
  size   = [1000, 768]
}
