# The README's first picture: three entities, each in its box, by defaults otherwise.

render "rain" {
  prompt = "a frog, a mushroom and an umbrella in a meadow"
}

entity "umbrella" {
  prompt = "an umbrella"
  box    = xywh(0.32, 0.06, 0.46, 0.42)
}

entity "frog" {
  prompt = "a frog"
  box    = xywh(0.38, 0.50, 0.36, 0.38)
}

entity "mushroom" {
  prompt = "a mushroom"
  box    = xywh(0.06, 0.54, 0.24, 0.34)
}
