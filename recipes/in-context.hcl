# The LoRA of `transfer`: pictures of two panels that show the same object, its
# colours turned alike left and right. The base with EliGen's LoRA is frozen; the new
# one learns to draw the object on the right in the colours that it has on the left,
# which no prompt tells, and the left panel shows without noise (docs/adr/0017). Trained on
# both panels as they are drawn (docs/adr/0018).
recipe "in-context" {
  classes         = 20
  pictures        = 1536
  size            = [256, 256] # of a panel
  train           = lora(16)
  steps           = 600
  batch           = 16
  regions         = 1
  dropout         = { prompt = 0.1, entity = 0 }
  timesteps       = "reference" # most of them noisy: it is there that colours are decided
  appearance_loss = 0.2
  ema             = 0.99
  every           = 300

  optimizer "adamw" {
    learning_rate = 1e-3
    warmup        = 20
    schedule      = "cosine"
    clip          = 1
  }
}
