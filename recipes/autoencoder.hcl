# The autoencoder of nano: pictures to latents and back, on crops of composed
# pictures. The first training; everything else works on its latents. Started
# from a model that has a transformer, it trains the decoder alone.
recipe "autoencoder" {
  size  = [256, 256]
  steps = 1500
  batch = 16
  ema   = 0.998
  every = 100

  optimizer "adamw" {
    learning_rate = 6e-4
    warmup        = 50
    schedule      = "cosine"
    betas         = [0.9, 0.99]
    clip          = 1
  }
}
