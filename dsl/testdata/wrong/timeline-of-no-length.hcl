entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

timeline "run" {
  duration = "0s"

  track {
    target = entity.dog.box
    keys = [
      { at = "0%", value = xywh(0.1, 0.2, 0.3, 0.4) },
      { at = "100%", value = xywh(0.6, 0.2, 0.3, 0.4) },
    ]
  }
}

render "park" {
  prompt   = "a park"
  timeline = timeline.run
}
