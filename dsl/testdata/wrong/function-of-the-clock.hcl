render "park" {
  prompt = "a dog at ${timestamp()}"
}
