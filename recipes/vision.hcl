# The vision tower of image prompts, before the IP-Adapter: it learns by pictures alone
# which of them are drawn in one style. It never sees the same part of one twice
# (docs/adr/0018).
recipe "vision" {
  classes = 20
  size    = [256, 256]
  steps   = 800
  batch   = 96
  styles  = { flat = 0.25, ink = 0.25, noto = 0.25 }
  ema     = 0.98
  every   = 200

  optimizer "adamw" {
    learning_rate = 1.5e-3
    warmup        = 30
    schedule      = "cosine"
    weight_decay  = 0.05
    clip          = 1
  }
}
