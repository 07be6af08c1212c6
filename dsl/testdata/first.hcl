# The shortest useful scene: everything else has a default.

render "picnic" {
  prompt = "a dog and an apple on a green background"
}

entity "dog" {
  prompt = "a dog"
  box    = xywh(0.05, 0.40, 0.45, 0.50)
}

entity "apple" {
  prompt = "an apple"
  box    = xywh(0.60, 0.10, 0.30, 0.35)
}
