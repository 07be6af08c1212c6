# One character with attributes: regions that overlap and touch. Tokens where
# two regions meet attend to both prompts. The prompt holds double spaces, as
# prompts that were pasted together do.

render "garland" {
  prompt   = "a cat,  a sunflower,  a heart  and a banana  on a pink background"
  entities = [entity.cat, entity.sunflower, entity.heart, entity.banana]

  sampler {
    steps = 24
  }
}

entity "cat" {
  prompt = "a cat"
  box    = xyxy(0.25, 0.30, 0.80, 0.95)
}

entity "sunflower" {
  prompt = "a sunflower"
  box    = xyxy(0.30, 0.05, 0.60, 0.38) # reaches into the cat
}

entity "heart" {
  prompt   = "a heart"
  box      = xyxy(0.70, 0.06, 0.92, 0.28)
  strength = 1.5
}

entity "banana" {
  prompt = "a yellow banana"
  box    = xyxy(0.02, 0.45, 0.25, 0.95)
}
