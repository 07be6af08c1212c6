entity "dog" {
  prompt = "a dog"
  box    = px(xywh(0.1, 0.2, 0.3, 0.4))
}

render "park" {
  prompt = "a park"
}
