entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.4, 0.3, 0.3)
}

render "park" {
  prompt   = "a dog in a meadow"
  timeline = timeline.run
}

timeline "run" {
  frames = 12

  track {
    target = entity.dog.prompt
    keys   = [{ at = 0, value = "a cat" }]
  }

  track {
    target = entity.cat.box
    keys   = [{ at = 0, value = xywh(0, 0, 0.5, 0.5) }]
  }

  track {
    target = render.park.seed
    keys   = [{ at = 0, value = 1 }]
  }
}
