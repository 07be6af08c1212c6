render "park" {
  prompt  = "a dog in the park"
  sampler = { steps = 30 }
}
