entity "dog" {
  prompt = "a dog"
  region = feather(xywh(0.1, 0.2, 0.3, 0.4), 8)
}

render "park" {
  prompt = "a dog in the park"
}
