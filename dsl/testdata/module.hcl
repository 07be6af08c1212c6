# A module is a folder whose blocks are a part of the scene. What it needs it is
# given by its variables; what it exports are its blocks.

entity "tree" {
  prompt = "a tree"
  box    = xywh(0.6, 0.2, 0.3, 0.7)
}

module "left" {
  source = "./flock"
  where  = xywh(0, 0, 0.5, 0.5)
}

module "right" {
  source  = "./flock"
  where   = left_of(entity.tree.box, 0.2, 0.3)
  animals = ["a duck", "a frog"]
  friend  = entity.tree
}

render "all" {
  prompt   = "a tree, and ${module.left.entity.animal[0].prompt}"
  size     = [128, 128]
  entities = concat([entity.tree], module.left.entity.animal, [module.right.entity.animal[1], module.right.entity.guard])
}

# A render of a module's, by another seed.
render "again" {
  from = module.right.render.portrait
  seed = 2
}

check "all" {
  assert {
    condition     = placement(render.all, module.right.entity.guard) > 0.1
    error_message = "The guard has left."
  }
}

moved {
  from = entity.guard
  to   = module.left.entity.guard
}
