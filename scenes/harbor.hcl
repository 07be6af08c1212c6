# A busy night at sea: six entities, from large to small, and a prompt that is
# written over several lines and ends with a line break.

render "harbor" {
  prompt = <<-EOT
    a moon, a star, a rainbow,
    a house, a duck and a fish
    on the sea
  EOT
}

entity "moon" {
  prompt = "a moon"
  region = ellipse(0.78, 0.17, 0.15, 0.15)
}

entity "star" {
  prompt = "a star"
  box    = cxcywh(0.40, 0.13, 0.16, 0.16)
}

entity "rainbow" {
  prompt = "a rainbow"
  box    = xyxy(0.36, 0.34, 0.70, 0.68)
}

entity "house" {
  prompt = "a house"
  box    = xyxy(0.02, 0.26, 0.32, 0.56)
}

entity "duck" {
  prompt = "a duck"
  box    = xyxy(0.74, 0.56, 0.96, 0.78)
}

entity "fish" {
  prompt = "a fish"
  box    = xyxy(0.12, 0.72, 0.40, 0.96)
}
