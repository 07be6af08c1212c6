# Entity transfer: the car of one picture is painted into another one. The model works
# on both, side by side; the region, the size and the result are the right panel's, and
# what is outside the region keeps the target's pixels.

render "car" {
  prompt = "left a car, right a car and a rainbow in green hills"
  seed   = 7

  transfer {
    source  = image("pictures/car.png")
    target  = image("pictures/hills.png")
    feather = 4
  }

  output {
    path = "out/transfer.png"
  }
}

entity "car" {
  prompt = "a car"
  box    = px(xywh(16, 144, 112, 80))
}
