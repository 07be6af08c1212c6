entity "dog" {
  prompt = "a dog"
  box    = ellipse(0.5, 0.5, 0.2, 0.1)
}

render "park" {
  prompt = "a dog in the park"
}
