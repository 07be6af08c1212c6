render "lion" {
  prompt = "a lion in a meadow"

  inpaint {
    image      = image("alpha.png")
    background = "white"
  }
}

entity "lion" {
  prompt = "a lion"
  box    = xywh(0.1, 0.4, 0.3, 0.4)
}
