render "park" {
  prompt   = "a dog in the park"
  negative = "a cat"

  sampler {
    cfg = 1
  }
}
