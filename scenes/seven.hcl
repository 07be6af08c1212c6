# Seven small ones around a big one: eight entities, and a prompt that names
# them in a few words. Between any two is at least one image token, 16 pixels, so
# that equal neighbours don't grow together.

locals {
  small = "a mushroom"
  size  = 48
}

render "seven" {
  prompt = "a house and a mushroom in green hills"
  seed   = 8
}

entity "house" {
  prompt = "a small house"
  box    = px(xywh(80, 32, 96, 96))
}

entity "one" {
  prompt = local.small
  box    = px(xywh(16, 64, local.size, local.size))
}

entity "two" {
  prompt = local.small
  box    = px(xywh(16, 128, local.size, local.size))
}

entity "three" {
  prompt = local.small
  box    = px(xywh(48, 192, local.size, local.size))
}

entity "four" {
  prompt = local.small
  box    = px(xywh(112, 160, local.size, local.size))
}

entity "five" {
  prompt = local.small
  box    = px(xywh(176, 192, local.size, local.size))
}

entity "six" {
  prompt = local.small
  box    = px(xywh(192, 128, local.size, local.size))
}

entity "seven" {
  prompt = local.small
  box    = px(xywh(192, 64, local.size, local.size))
}
