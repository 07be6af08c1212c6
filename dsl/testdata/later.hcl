# What the language has and this release lacks is refused where it stands.

adapter "ip" "painting" { # want "Not supported yet: Adapters of kind .ip."
  image = "x"
}

render "a" {
  prompt = "x"

  sampler {
    tea_cache = 0.2 # want "Not supported yet: The argument .tea_cache."
  }

  transfer { # want "Not supported yet: The block .transfer."
  }

  vae { # want "Not supported yet: The block .vae."
  }
}
