# An IP-Adapter for a frozen base (nano's own is trained with its base, by
# recipes/whole.hcl): keys and values, for every block, of what the vision tower sees. Give it, by
# --model, what recipes/vision.hcl has made: the tower is frozen, and so are the base and
# EliGen's LoRA. The image prompt of a sample is another picture in the same style, and
# captions don't say the style, so the style is what is learnt: from what the base draws
# where its caption does say it ("distill", docs/adr/0017), which has no noise of its own.
recipe "ip" {
  classes       = 20
  pictures      = 3072
  size          = [256, 256]
  window        = [256, 128]
  steps         = 600
  batch         = 32
  regions       = 0.9
  dropout       = { prompt = 0.1, entity = 0.05 }
  timesteps     = "reference"
  styles        = { flat = 0.25, ink = 0.25, noto = 0.25 }
  distill       = 1
  object_weight = 3
  ema           = 0.99
  every         = 200

  optimizer "muon" {
    learning_rate = 2e-3
    warmup        = 20
    schedule      = "cosine"
    betas         = [0.95, 0.99]
    weight_decay  = 0.01
    clip          = 1
  }
}
