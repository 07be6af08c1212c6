render "park" {
  prompt = "a dog in the park"

  sampler {
    steps    = 7.5
    cfg      = "high"
    schedule = "flux_dev"
  }
}
