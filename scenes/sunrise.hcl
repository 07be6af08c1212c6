# The sun rises. Each frame begins from the one before it instead of from noise
# alone, so that it keeps what it has; every eighth begins anew, so that mistakes don't
# add up.
timeline "morning" {
  duration = "2s"
  fps      = 8

  track {
    target = entity.sun.center
    path   = spline([[0.20, 0.66], [0.34, 0.36], [0.62, 0.24], [0.80, 0.22]])
    ease   = "sine-out"
  }

  track {
    target = entity.sun.strength
    keys   = [{ at = "0%", value = 0.7 }, { at = "100%", value = 1.2 }]
  }
}

entity "sun" {
  prompt = "a sun"
  box    = cxcywh(0.20, 0.66, 0.32, 0.32)
}

entity "fish" {
  prompt = "a fish"
  box    = xywh(0.52, 0.66, 0.32, 0.26)
}

render "sunrise" {
  prompt   = "the sea"
  timeline = timeline.morning

  warm_start {
    strength = 0.92 # less, and the sun stays where it was
    every    = 8
  }

  output {
    path = "out/sunrise.gif"
  }

  output {
    path = "out/sunrise.webp"
  }
}
