# A sunflower grows: a polygon becomes a larger one, point by point, and the duck
# next to it follows the flower's middle at a distance.
timeline "spring" {
  duration = "2s"
  fps      = 8

  track {
    target = entity.sunflower.region
    keys = [
      { at = 0, value = polygon([[0.30, 0.90], [0.38, 0.74], [0.46, 0.90]]), ease = "quad-in-out" },
      { at = "100%", value = polygon([[0.22, 0.90], [0.38, 0.16], [0.56, 0.90]]) },
    ]
  }

  track {
    target = entity.duck.center
    follow = entity.sunflower
  }
}

entity "sunflower" {
  prompt = "a sunflower"
  region = polygon([[0.30, 0.90], [0.38, 0.74], [0.46, 0.90]])
}

entity "duck" {
  prompt = "a duck"
  box    = cxcywh(0.76, 0.76, 0.30, 0.30)
}

render "growth" {
  prompt   = "a meadow"
  timeline = timeline.spring

  output {
    path = "out/growth.gif"
  }

  output {
    path    = "out/growth/%04d.jpg"
    quality = 92
  }
}
