# What one training is asked for is not asked of another.
recipe "judge" {
  steps         = 10
  position_loss = 0.3
  pairs         = 0.2
  distill       = 1
  object_weight = 3

  image_prompts = 0.5
}

recipe "base" {
  steps           = 10
  appearance_loss = 0.5

  image_prompts = 0.5
}

recipe "in-context" {
  steps           = 10
  train           = lora(16)
  position_loss   = 0.3
  appearance_loss = 0.5
  object_weight   = 3
}

recipe "autoencoder" {
  steps   = 10
  dropout = { prompt = 0.1 }
}

recipe "vision" {
  steps   = 10
  styles  = { ink = 0.5 }
  train   = lora(16)
  regions = 0.9
}

# One mistake is enough.
recipe "tower" {
  kind          = "viison"
  position_loss = 0.3
}
