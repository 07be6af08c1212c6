# What the language has and this release lacks is refused where it stands.

adapter "ip" "painting" { # want "Not supported yet: Adapters of kind .ip."
  image = "x"
}

render "a" {
  prompt = "x"

  transfer { # want "Not supported yet: The block .transfer."
  }
}
