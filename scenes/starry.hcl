# A sky that is itself an entity: a region made of two shapes without the moon
# that hangs in it, next to ellipses and a polygon.

locals {
  moon = ellipse(0.74, 0.22, 0.14, 0.14)
}

render "starry" {
  prompt   = "a moon, a rainbow, a house and a tree under a night sky"
  negative = "a sun"

  sampler {
    cfg = 2.5
  }
}

entity "moon" {
  prompt = "a yellow moon"
  region = local.moon
}

entity "glow" {
  prompt = "a rainbow"
  region = subtract(union(ellipse(0.28, 0.22, 0.22, 0.14), ellipse(0.56, 0.32, 0.20, 0.10)), local.moon)
}

entity "house" {
  prompt = "a house"
  region = polygon([[0.10, 0.70], [0.26, 0.54], [0.42, 0.70], [0.42, 0.94], [0.10, 0.94]])
}

entity "tree" {
  prompt = "a tree"
  box    = xyxy(0.60, 0.50, 0.90, 0.94)
}
