# Seven small ones around a big one: eight entities, and a prompt that names
# them in a few words.

locals {
  small = "a mushroom"
  size  = 0.20
}

render "seven" {
  prompt = "a house and a mushroom in green hills"
  seed   = 8
}

entity "house" {
  prompt = "a small house"
  box    = xyxy(0.34, 0.22, 0.66, 0.56)
}

entity "one" {
  prompt = local.small
  box    = cxcywh(0.12, 0.46, local.size, local.size)
}

entity "two" {
  prompt = local.small
  box    = cxcywh(0.14, 0.70, local.size, local.size)
}

entity "three" {
  prompt = local.small
  box    = cxcywh(0.32, 0.82, local.size, local.size)
}

entity "four" {
  prompt = local.small
  box    = cxcywh(0.54, 0.76, local.size, local.size)
}

entity "five" {
  prompt = local.small
  box    = cxcywh(0.70, 0.86, local.size, local.size)
}

entity "six" {
  prompt = local.small
  box    = cxcywh(0.86, 0.68, local.size, local.size)
}

entity "seven" {
  prompt = local.small
  box    = cxcywh(0.88, 0.44, local.size, local.size)
}
