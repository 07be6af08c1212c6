entity "dog" {
  prompt = "a dog"
  box    = xywh(100, 200, 300, 400)
}

render "park" {
  prompt = "a dog in the park"
}
