render "park" {
  prompt = "a dog in the park"
  seed   = 5000000000
}
