entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

entity "hat" {
  prompt = "a hat"
  box    = xywh(entity.dog.box.x, 0.1, 0.1, 0.1)
}

render "park" {
  prompt = "a dog in the park"
}
