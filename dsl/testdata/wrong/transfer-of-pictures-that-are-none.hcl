render "lion" {
  prompt = "left a lion, right a lion in a meadow"

  transfer {
    source = "disc.png"
    target = image("meadow.png")
    fit    = "contain"
    mode   = "exakt"
  }
}

entity "lion" {
  prompt = "a lion"
  box    = xywh(0.1, 0.4, 0.3, 0.4)
}
