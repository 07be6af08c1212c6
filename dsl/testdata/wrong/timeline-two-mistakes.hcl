timeline "drive" {
  duration = "2s"
  fps      = 8

  track {
    target = entity.cra.box
    keys = [
      { at = "0%", value = xywh(0.04, 0.60, 0.30, 0.30), ease = "sine-inout" },
      { at = "100%", value = xywh(0.66, 0.60, 0.30, 0.30) },
    ]
  }
}

entity "car" {
  prompt = "a car"
  box    = xywh(0.04, 0.60, 0.30, 0.30)
}

entity "tree" {
  prompt = "a tree"
  box    = xywh(0.10, 0.10, 0.32, 0.42)
}

render "drive" {
  prompt   = "a car and a tree on a green background"
  timeline = timeline.drive

  background {
    lock = true
  }

  output {
    path = "out/drive.gif"
  }

  output {
    path  = "out/drive.png"
    sheet = true
  }
}
