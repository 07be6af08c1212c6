# The long example of the language's design, at nano's size: a variable with a
# rule, a choice by its value, entities from a map, a mask, a picture for each
# time of day, and a check. A cat leaps over a pizza, next to a house, under stars.

eligen {
  required_version = "~> 0.1"
}

variable "quality" {
  type    = string
  default = "draft"

  validation {
    condition     = contains(["draft", "final"], var.quality)
    error_message = "quality must be draft or final."
  }
}

variable "stars" {
  type = map(object({ x = number, y = number, size = optional(number, 0.10) }))
  default = {
    near = { x = 0.36, y = 0.16 }
    far  = { x = 0.14, y = 0.24, size = 0.07 }
  }
}

locals {
  steps = { draft = 8, final = 20 }[var.quality]
}

entity "cat" {
  prompt = "a cat"
  box    = xywh(0.12, 0.40, 0.34, 0.36)
}

entity "pizza" {
  prompt = "a pizza"
  mask   = image("masks/pizza.png")
}

entity "house" {
  prompt = "a house"
  box    = right_of(entity.cat.box, 0.40, 0.50, 0.06)
}

entity "star" {
  for_each = var.stars
  prompt   = "a yellow star"
  region   = ellipse(each.value.x, each.value.y, each.value.size, each.value.size)
}

render "courtyard" {
  for_each = {
    dawn  = "on a pink to teal background"
    night = "under a night sky"
  }
  size     = [256, 256]
  prompt   = "a cat, a pizza and a house ${each.value}"
  negative = "an umbrella"
  entities = concat([entity.cat, entity.pizza, entity.house], values(entity.star))
  seed     = 42

  sampler {
    steps = local.steps
    cfg   = 2.5
  }

  output {
    path = "out/courtyard-${each.key}.png"
  }
}

check "cat_is_where_asked" {
  assert {
    condition     = locality(render.courtyard["dawn"], entity.cat) > 0.6
    error_message = "The cat's prompt leaks out of its region."
  }
}
