# What the language has and this release lacks is refused where it stands.

timeline "leap" { # want "Not supported yet: The block .timeline."
  duration = "2s"
}

adapter "ip" "painting" { # want "Not supported yet: Adapters of kind .ip."
  image = "x"
}

render "clip" {
  prompt   = "x"
  timeline = timeline.leap # want "Not supported yet: The argument .timeline."

  output {
    path = "out/leap.gif"
  }
}

render "a" {
  prompt = "x"

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
