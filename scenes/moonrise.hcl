# The moon goes around the house, and passes behind it. Of two entities that cover one
# image token, the one with the higher z has it: the house always, the moon what is left.
timeline "night" {
  duration = "3s"
  fps      = 8

  track {
    target = entity.moon.center
    path   = orbit(0.50, 0.42, 0.34, 0.26, 180, 1)
  }
}

entity "house" {
  prompt = "a house"
  box    = xywh(0.32, 0.40, 0.36, 0.42)
  z      = 1
}

entity "moon" {
  prompt = "a moon"
  box    = cxcywh(0.16, 0.42, 0.26, 0.26)
}

render "moonrise" {
  prompt   = "a night sky" # of what moves through it, the entities tell
  timeline = timeline.night
  overlap  = "over"

  output {
    path = "out/moonrise.gif"
  }
}
