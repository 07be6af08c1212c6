entity "dog" {
  prompt = "a dog"
  region = intersect(xywh(0, 0, 0.2, 0.2), xywh(0.5, 0.5, 0.2, 0.2))
}

render "park" {
  prompt = "a dog in the park"
}
