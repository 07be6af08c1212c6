# The autoencoder of nano: pictures to latents and back, on crops of composed
# pictures. The first training; everything else works on its latents. Started
# from a model that has a transformer, it trains the decoder alone.
recipe "autoencoder" {
  steps = 6600
  batch = 8
  ema   = 0.998
  every = 500

  optimizer "adamw" {
    rate   = 5e-4 # 2e-3 learns more slowly
    warmup = 100
    decay  = "cosine"
    betas  = [0.9, 0.99]
    clip   = 1
  }
}
