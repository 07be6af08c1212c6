# What stands beside them, with a mask from the module's own folder.

entity "guard" {
  prompt = "a dog"
  mask   = image("masks/guard.png")
}

module "inner" {
  source = "./bird"
  name   = "star"
}

render "portrait" {
  prompt   = "a portrait"
  size     = [64, 64]
  entities = [entity.guard, module.inner.entity.star]
}

render "friends" {
  prompt   = "friends"
  size     = [64, 64]
  entities = var.friend == null ? entity.animal : [var.friend]

  output {
    path = "out/friends-${length(var.animals)}.png"
  }
}
