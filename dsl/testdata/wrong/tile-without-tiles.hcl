render "a" {
  prompt = "x"

  vae {
    tile   = 64
    stride = 32
  }
}
