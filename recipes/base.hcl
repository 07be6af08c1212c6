# nano's transformer with its text encoders. A share of the samples carries
# entities and regional attention, since a base of this size that has never
# seen a region can't be taught about them by a LoRA alone.
recipe "base" {
  classes = 20
  size    = [128, 128]
  steps   = 2400
  batch   = 16
  regions = 0.6
  dropout = { prompt = 0.1, entity = 0.1 }
  objects = 2 # the loss counts twice where objects are
  ema     = 0.999
  every   = 250

  optimizer "adamw" {
    rate   = 8e-4
    warmup = 200
    decay  = "cosine"
    betas  = [0.9, 0.99]
    weight = 0.01
    clip   = 1
  }
}
