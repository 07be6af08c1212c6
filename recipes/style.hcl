# The classifier of styles in `eligen eval`.
recipe "style" {
  classes = 20
  size    = [256, 256]
  styles  = { flat = 0.25, ink = 0.25, noto = 0.25 }
  steps   = 600
  batch   = 64
  ema     = 0.995
  every   = 500

  optimizer "adamw" {
    learning_rate = 1e-3
    warmup        = 50
    schedule      = "cosine"
    weight_decay  = 0.01
    clip          = 1
  }
}
