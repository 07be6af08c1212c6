# One block, three ducks; one render, two times of day; and a check that holds
# the pictures to their regions. The tree stands before the second duck.

variable "ducks" {
  description = "Where the ducks are, and how large."
  type        = map(object({ x = number, y = number, size = optional(number, 0.24) }))
  default = {
    first  = { x = 0.04, y = 0.62 }
    second = { x = 0.39, y = 0.58, size = 0.29 }
    third  = { x = 0.76, y = 0.66, size = 0.20 }
  }

  validation {
    condition     = length(var.ducks) <= 6
    error_message = "A flock of more than six is too much for a picture of this size."
  }
}

entity "duck" {
  for_each = var.ducks
  prompt   = "a duck"
  box      = xywh(each.value.x, each.value.y, each.value.size, each.value.size)
}

entity "tree" {
  prompt = "a tree"
  box    = xywh(0.54, 0.16, 0.30, 0.50)
  z      = 1
}

render "flock" {
  for_each = {
    day  = "over a green meadow under a blue sky"
    dusk = "on a pink to teal background"
  }
  prompt   = "a tree and ducks ${each.value}"
  entities = concat(values(entity.duck), [entity.tree])
  overlap  = "over"
  seed     = 5
}

# The same layout with other noise.
render "later" {
  from = render.flock["dusk"]
  seed = 6
}

check "tree" {
  assert {
    condition     = locality(render.flock["day"], entity.tree) > 0.6
    error_message = "The tree's prompt changes more than the tree."
  }
}
