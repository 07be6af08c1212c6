# nano's transformer, second part: whole pictures, with a rate that ends at zero.
#
#     eligen train recipes/whole.hcl --model ~/.cache/eligen/training/base/model
recipe "whole" {
  kind      = "base"
  classes   = 20
  pictures  = 10240
  size      = [256, 256]
  steps     = 700
  batch     = 32
  regions   = 0.85
  dropout   = { prompt = 0.1, entity = 0.05 }
  timesteps = "reference"
  styles    = { flat = 0.16, ink = 0.4, noto = 0.2 } # ink is the hardest
  pairs     = 0.25
  objects   = 3
  within    = 0.2
  across    = 0.2
  ema       = 0.99
  every     = 100

  optimizer "muon" {
    rate   = 2.2e-3
    warmup = 10
    decay  = "cosine"
    betas  = [0.95, 0.99]
    weight = 0.02
    clip   = 1
  }
}
