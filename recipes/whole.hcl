# nano's transformer, second part: whole pictures, with a rate that ends at zero. The
# IP-Adapter is trained with it: of half of the pictures no caption says the style, and
# another picture shows it ("image_prompts", docs/adr/0019). The model has to have a vision
# tower by then (recipes/vision.hcl).
#
#     eligen train recipes/whole.hcl --model ~/.cache/eligen/training/base/model
recipe "whole" {
  kind            = "base"
  classes         = 20
  pictures        = 10240
  size            = [256, 256]
  steps           = 820
  batch           = 32
  regions         = 0.85
  dropout         = { prompt = 0.1, entity = 0.05 }
  timesteps       = "reference"
  styles          = { flat = 0.2, ink = 0.34, noto = 0.22 } # ink is the hardest
  image_prompts   = 0.5
  pairs           = 0.4
  object_weight   = 3
  position_loss   = 0.2
  appearance_loss = 0.2
  ema             = 0.99
  every           = 100

  optimizer "muon" {
    learning_rate = 1.8e-3
    warmup        = 10
    schedule      = "cosine"
    betas         = [0.95, 0.99]
    weight_decay  = 0.02
    clip          = 1
  }
}
