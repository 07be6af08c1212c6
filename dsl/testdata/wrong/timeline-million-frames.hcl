entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.4, 0.3, 0.3)
}

render "park" {
  prompt   = "a dog in a meadow"
  timeline = timeline.run
}

timeline "run" {
  duration = "1000s"
  fps      = 1000

  track {
    target = entity.dog.center
    path   = path("M 0.1 0.5 L 0.9 0.5")
    ease   = "bouncy"
  }
}
