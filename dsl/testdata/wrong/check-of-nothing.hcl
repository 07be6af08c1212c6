entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "park" {
  prompt = "a dog in the park"
}

check "dog" {
  assert {
    condition     = 2 > 1
    error_message = "No dog."
  }
}
