# One bed of flowers, planted twice: a module is a folder whose blocks are taken
# into the scene, with other values for its variables each time.

entity "house" {
  prompt = "a house"
  box    = xywh(0.08, 0.12, 0.34, 0.44)
}

module "left" {
  source  = "./garden"
  where   = xywh(0.02, 0.62, 0.44, 0.32)
  flowers = ["a sunflower", "a mushroom"]
}

module "right" {
  source = "./garden"
  where  = xywh(0.56, 0.66, 0.42, 0.28)
  guest  = "a frog"
}

render "village" {
  prompt   = "a house and two beds of flowers in a meadow"
  entities = concat([entity.house], module.left.entity.flower, module.right.entity.flower, module.right.entity.guest)
}
