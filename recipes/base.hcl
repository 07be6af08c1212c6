# nano's transformer with its text encoders. A share of the samples carries
# entities and regional attention, since a base of this size that has never
# seen a region can't be taught about them by a LoRA alone.
recipe "base" {
  classes = 20
  size    = [128, 128]
  steps   = 2600
  batch   = 32
  regions = 0.8
  dropout = { prompt = 0.1, entity = 0.1 }
  objects = 3 # how much more the loss counts where objects are
  ema     = 0.998
  every   = 200

  # Muon moves the matrices inside the network, AdamW the rest.
  optimizer "muon" {
    rate   = 2e-3
    warmup = 60
    decay  = "cosine"
    betas  = [0.95, 0.99]
    weight = 0.02
    clip   = 1
  }
}
