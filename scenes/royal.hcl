# One character with attributes: regions that overlap and touch. Tokens where
# two regions meet attend to both prompts. The prompt holds double spaces, as
# prompts that were pasted together do.

render "royal" {
  prompt   = "a duck,  a crown,  a heart  and a sunflower  on a pink background"
  entities = [entity.duck, entity.crown, entity.heart, entity.sunflower]

  sampler {
    steps = 24
  }
}

entity "duck" {
  prompt = "a duck"
  box    = xyxy(0.25, 0.30, 0.80, 0.95)
}

entity "crown" {
  prompt = "a crown"
  box    = xyxy(0.30, 0.05, 0.60, 0.38) # reaches into the duck
}

entity "heart" {
  prompt   = "a heart"
  box      = xyxy(0.70, 0.06, 0.92, 0.28)
  strength = 1.5
}

entity "sunflower" {
  prompt = "a yellow sunflower"
  box    = xyxy(0.02, 0.45, 0.25, 0.95)
}
