# Styles from pictures: the same layout and noise, plain, and in the style of each
# picture that an IP-Adapter brings in. The pictures show other things than the scene.

locals {
  styles = {
    ink  = "pictures/ink.png"
    noto = "pictures/noto.png"
  }
}

adapter "lora" "eligen" {}

adapter "ip" "style" {
  for_each = local.styles
  image    = image(each.value)
}

render "plain" {
  prompt = "a house, a tree and a dog in a meadow"
  seed   = 8

  sampler {
    cfg = 2 # strong guidance makes strong styles cruder
  }

  output {
    path = "out/styled-plain.png"
  }
}

render "styled" {
  for_each = local.styles
  from     = render.plain
  adapters = [adapter.lora.eligen, adapter.ip.style[each.key]]
}

entity "house" {
  prompt = "a house"
  box    = xywh(0.08, 0.14, 0.38, 0.40)
}

entity "tree" {
  prompt = "a tree"
  box    = xywh(0.58, 0.08, 0.34, 0.46)
}

entity "dog" {
  prompt = "a dog"
  box    = xywh(0.30, 0.58, 0.34, 0.36)
}
