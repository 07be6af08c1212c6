entity "dog" {
  prompt = "a dog"
  box    = xywh(0.9, 0.2, 0.3, 0.4)
}

render "park" {
  prompt = "a dog in the park"
}
