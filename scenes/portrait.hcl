# One portrait at four seeds. The renders share every prompt, so that each is
# encoded once; only the noise differs.

locals {
  prompt = "a cat, an umbrella, a heart, a star and a ball on a purple background"
  sitter = [entity.cat, entity.umbrella, entity.heart, entity.star, entity.ball]
}

render "portrait-5" {
  prompt   = local.prompt
  entities = local.sitter
  seed     = 5
}

render "portrait-6" {
  prompt   = local.prompt
  entities = local.sitter
  seed     = 6
}

render "portrait-7" {
  prompt   = local.prompt
  entities = local.sitter
  seed     = 7
}

render "portrait-8" {
  prompt   = local.prompt
  entities = local.sitter
  seed     = 8
}

entity "cat" {
  prompt = "a yellow cat"
  box    = xyxy(0.28, 0.34, 0.72, 0.80)
}

entity "umbrella" {
  prompt = "a purple umbrella"
  box    = xyxy(0.56, 0.04, 0.96, 0.40)
}

entity "heart" {
  prompt = "a red heart"
  box    = xyxy(0.06, 0.10, 0.26, 0.30)
}

entity "star" {
  prompt = "a star"
  box    = xyxy(0.04, 0.50, 0.24, 0.70)
}

entity "ball" {
  prompt = "a soccer ball"
  box    = xyxy(0.74, 0.64, 0.98, 0.90)
}
