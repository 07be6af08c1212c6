entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

timeline "run" {
  duration = "2s"

  track {
    target = entity.dog.box
    keys = [
      { at = "0s", value = xywh(0.1, 0.2, 0.3, 0.4), ease = "cubic" },
      { at = "2s", value = xywh(0.6, 0.2, 0.3, 0.4), ease = "easeOutBounce" },
    ]
  }
}

render "park" {
  prompt   = "a park"
  timeline = timeline.run
}
