# A layout that is strict early and free late: entities act in the first half of the steps, fade
# until the last quarter, and are left out there, which also is cheaper. Beside it, the same with
# entities in all steps, and with entities in the model's first blocks alone. The umbrella's region has
# soft edges.

render "early" {
  prompt = "a frog, a mushroom and an umbrella in a meadow"
  seed   = 7

  schedule {
    strength = [[0, 1], [0.5, 1], [0.75, 0]]
  }
}

render "always" {
  from = render.early

  schedule {
    strength = [[0, 1]]
  }
}

render "blocks" {
  from = render.early

  schedule {
    blocks = "0-2"
  }
}

entity "umbrella" {
  prompt  = "an umbrella"
  box     = xywh(0.32, 0.06, 0.46, 0.42)
  feather = 16
}

entity "frog" {
  prompt = "a frog"
  box    = xywh(0.38, 0.50, 0.36, 0.38)
}

entity "mushroom" {
  prompt = "a mushroom"
  box    = xywh(0.06, 0.54, 0.24, 0.34)
}
