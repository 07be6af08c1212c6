# What one training is asked for is not asked of another.
recipe "judge" {
  steps  = 10
  within = 0.3
  pairs  = 0.2
}

recipe "base" {
  steps  = 10
  across = 0.5
}

recipe "in-context" {
  steps  = 10
  train  = lora(16)
  within = 0.3
  across = 0.5
}

recipe "vision" {
  steps   = 10
  styles  = { ink = 0.5 }
  train   = lora(16)
  regions = 0.9
}

# One mistake is enough.
recipe "tower" {
  kind   = "viison"
  within = 0.3
}
