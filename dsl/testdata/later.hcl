# What the language has and this release lacks is refused where it stands.

timeline "leap" { # want "Not supported yet: The block .timeline."
  duration = "2s"
}

check "placement" { # want "Not supported yet: The block .check."
}

module "m" { # want "Not supported yet: The block .module."
}

moved { # want "Not supported yet: The block .moved."
}

adapter "ip" "painting" { # want "Not supported yet: Adapters of kind .ip."
  image = "x"
}

adapter "lora" "each" {
  count = 2 # want "Not supported yet: The argument .count."
}

entity "bird" {
  for_each = { near = 1 } # want "Not supported yet: The argument .for_each."
  z        = 1            # want "Not supported yet: The argument .z."
  prompt   = "a bird"
  box      = xywh(0.1, 0.1, 0.2, 0.2)

  dynamic "x" { # want "Not supported yet: The block .dynamic."
  }
}

render "a" {
  prompt  = "x"
  from    = render.b  # want "Not supported yet: The argument .from."
  overlap = "over"    # want "Not supported yet: The argument .overlap."

  sampler {
    tea_cache = 0.2 # want "Not supported yet: The argument .tea_cache."
  }

  inpaint { # want "Not supported yet: The block .inpaint."
  }

  output {
    path    = "out/a.jpg" # want "Not supported yet: Outputs of type .jpg"
    quality = 90          # want "Not supported yet: The argument .quality."
  }

  output {
    path = "out/%04d.png" # want "Not supported yet: Numbered outputs"
  }
}
