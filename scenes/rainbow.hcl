# A rainbow in front of a house and a tree, which are seen through it: entities in layers, from
# the back to the front, each hiding as much as its opacity. In the clip it comes and goes.

entity "house" {
  prompt = "a house"
  box    = xyxy(0.06, 0.30, 0.50, 0.94)
}

entity "tree" {
  prompt = "a tree"
  box    = xyxy(0.56, 0.30, 0.94, 0.94)
}

entity "rainbow" {
  prompt  = "a rainbow"
  box     = xyxy(0.25, 0.12, 0.80, 0.65)
  z       = 1
  opacity = 0.5
}

render "rainbow" {
  prompt  = "a rainbow, a house and a tree in a meadow"
  overlap = "layered"
  seed    = 4
}

timeline "weather" {
  frames = 8
  fps    = 4

  track {
    target = entity.rainbow.opacity
    keys   = [{ at = 0, value = 0 }, { at = "60%", value = 1 }, { at = "100%", value = 0.2 }]
  }
}

render "weather" {
  from     = render.rainbow
  timeline = timeline.weather

  output {
    path = "out/weather.gif"
  }
}
