# Entity transfer: the lion of one picture is painted into another one. The model works
# on both, side by side; the region, the size and the result are the right panel's, and
# what is outside the region keeps the target's pixels.

render "lion" {
  prompt = "left a lion, right a lion and a basketball in a meadow"
  seed   = 3

  transfer {
    source  = image("pictures/lion.png")
    target  = image("pictures/meadow.png")
    feather = 4
  }
}

entity "lion" {
  prompt = "a lion"
  box    = px(xywh(8, 96, 96, 112))
}
