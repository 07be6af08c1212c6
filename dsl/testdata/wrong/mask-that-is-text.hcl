entity "dog" {
  prompt = "a dog"
  mask   = image("mask-that-is-text.hcl")
}

render "park" {
  prompt = "a dog in the park"
}
