entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "park" {
  prompt   = "a park"
  entities = []
}

check "dog" {
  assert {
    condition     = placement(render.park, entity.dog) > 0.5
    error_message = "No dog."
  }
}
