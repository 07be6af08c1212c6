entity "dog" {
  prompt = "a dog"
  box    = xyxy(0.4, 0.2, 0.1, 0.6)
}

render "park" {
  prompt = "a dog in the park"
}
