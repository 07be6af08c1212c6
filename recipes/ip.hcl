# IP-Adapter: keys and values, for every block, of what the vision tower sees (first
# recipes/vision.hcl, then --model with its result). The base and EliGen's LoRA are frozen. The image prompt of a sample is
# another picture in the same style, and captions don't say the style, so the style
# is what is learnt.
recipe "ip" {
  classes  = 20
  pictures = 3072
  size     = [256, 256]
  window   = [128, 128]
  steps    = 600
  batch    = 32
  regions  = 0.9
  dropout  = { prompt = 0.1, entity = 0.05 }
  styles   = { flat = 0.25, ink = 0.25, noto = 0.25 }
  objects  = 3
  ema      = 0.98
  every    = 150

  optimizer "adamw" {
    rate   = 2e-3
    warmup = 50
    decay  = "cosine"
    weight = 0.01
    clip   = 1
  }
}
