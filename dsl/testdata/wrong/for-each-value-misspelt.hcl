entity "dog" {
  for_each = { near = { left = 0.1 } }
  prompt   = "a dog"
  box      = xywh(each.value.lft, 0.2, 0.3, 0.4)
}

render "park" {
  prompt = "a dog in the park"
}
