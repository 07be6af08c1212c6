# The classifier of objects in `eligen eval`.
recipe "judge" {
  classes = 20
  size    = [256, 256]
  styles  = { flat = 0.15, ink = 0.15, noto = 0.15 }
  steps   = 1200
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
