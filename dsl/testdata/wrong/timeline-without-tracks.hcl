entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

timeline "run" {
  duration = "2s"
}

render "park" {
  prompt   = "a dog in the park"
  timeline = timeline.run
}
