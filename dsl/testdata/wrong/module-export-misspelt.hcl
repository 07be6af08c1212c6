module "kennel" {
  source = "./kennel"
  dogs   = 2
}

render "park" {
  prompt   = "a kennel"
  entities = module.kennel.entity.dgo
}
