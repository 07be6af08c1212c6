# Inpainting: two visitors are painted into a picture, and the rest of it keeps its
# pixels. Over the last four pixels inside the regions, the new ones fade in.

render "visitors" {
  prompt = "a frog and a star under a night sky"
  seed   = 2

  inpaint {
    image   = image("pictures/night.png")
    feather = 4
  }
}

entity "frog" {
  prompt = "a frog"
  box    = px(xywh(32, 144, 96, 80))
}

entity "star" {
  prompt = "a star"
  box    = px(xywh(144, 16, 80, 80))
}
