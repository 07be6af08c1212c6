# nano's transformer with its text encoders, first part: windows of pictures, which
# cost half of whole ones (docs/adr/0007). Most of the samples carry entities and
# regional attention, since a base of this size that has never seen a region can't be
# taught about them by a LoRA alone. A part is drawn in other styles, which its captions
# name: what the base can't draw, an IP-Adapter can't ask it for; and a part are panels
# that show one object, so that an in-context LoRA finds something to build upon.
# Why "reference", "position_loss", "pairs" and "appearance_loss": docs/adr/0016 to 0018.
recipe "base" {
  classes         = 20
  pictures        = 10240
  size            = [256, 256]
  window          = [256, 128]
  steps           = 2400
  batch           = 32
  regions         = 0.85
  dropout         = { prompt = 0.1, entity = 0.05 }
  timesteps       = "reference"
  styles          = { flat = 0.15, ink = 0.15, noto = 0.15 }
  pairs           = 0.25
  object_weight   = 3 # how much more the loss counts where objects are
  position_loss   = 0.3
  appearance_loss = 0.2
  ema             = 0.995
  every           = 200

  # Muon moves the matrices inside the network, AdamW the rest.
  optimizer "muon" {
    learning_rate = 2.5e-3
    warmup        = 60
    schedule      = "constant" # the second part, recipes/whole.hcl, lowers it
    betas         = [0.95, 0.99]
    weight_decay  = 0.02
    clip          = 1
  }
}
