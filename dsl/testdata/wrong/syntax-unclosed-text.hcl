render "park" {
  prompt = "a dog in the park
  seed   = 7
}
