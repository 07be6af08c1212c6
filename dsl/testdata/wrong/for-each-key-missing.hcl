entity "dog" {
  for_each = { near = 0.1, far = 0.6 }
  prompt   = "a dog"
  box      = xywh(each.value, 0.2, 0.3, 0.4)
}

render "park" {
  prompt   = "a dog in the park"
  entities = [entity.dog["middle"]]
}
