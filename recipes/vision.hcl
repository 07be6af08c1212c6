# The vision tower of image prompts, before the IP-Adapter: it learns by pictures alone
# which of them are drawn in one style.
recipe "vision" {
  classes = 20
  size    = [256, 256]
  steps   = 800
  batch   = 128
  styles  = { flat = 0.25, ink = 0.25, noto = 0.25 }
  ema     = 0.99
  every   = 200

  optimizer "adamw" {
    rate   = 1e-3
    warmup = 50
    decay  = "cosine"
    weight = 0.05
    clip   = 1
  }
}
