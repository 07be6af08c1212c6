entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
  region = ellipse(0.5, 0.5, 0.2, 0.1)
}

render "park" {
  prompt = "a dog in the park"
}
