# Image to image: start from a picture instead of from noise alone. At strength
# 0.9, nine tenths of the noise are put back.

render "again" {
  prompt = "a dog and a moon under a night sky"
  seed   = 3

  init {
    image    = image("pictures/night.png")
    strength = 0.9
  }
}

entity "dog" {
  prompt = "a dog"
  box    = xyxy(0.10, 0.24, 0.50, 0.76)
}

entity "moon" {
  prompt = "a moon"
  box    = px(xyxy(160, 32, 224, 96))
}
