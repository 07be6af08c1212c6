entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.4, 0.3, 0.3)
}

render "park" {
  prompt   = "a dog in a meadow"
  timeline = timeline.run
}

timeline "run" {
  duration = "2s"

  track {
    target = entity.dog.box
    keys = [
      { at = "100%", value = entity.dog.box },
      { at = "0%", value = translate(entity.dog.box, 0.4, 0) },
    ]
  }
}
