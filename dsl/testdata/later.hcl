# What the language has and this release lacks is refused where it stands.

adapter "controlnet" "edges" { # want "Not supported yet: Adapters of kind .controlnet."
}

render "a" {
  prompt = "x"
}
