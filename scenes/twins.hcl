# Two entities with one prompt in two regions: the prompt is encoded once, and
# both are drawn.

locals {
  guard  = "a dog"
  ground = 0.52
}

render "twins" {
  prompt = "a house, a tree and two dogs in the snow"
  seed   = 27
}

entity "house" {
  prompt = "a house"
  box    = xyxy(0.30, 0.08, 0.70, 0.50)
}

entity "tree" {
  prompt = "a green tree"
  box    = xyxy(0.74, 0.14, 0.98, 0.50)
}

entity "left_guard" {
  prompt = local.guard
  box    = xywh(0.08, local.ground, 0.28, 0.42)
}

entity "right_guard" {
  prompt = local.guard
  box    = xywh(0.64, local.ground, 0.28, 0.42)
}
