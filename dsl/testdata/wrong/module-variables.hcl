module "kennel" {
  source = "./kennel"
  dog    = 2
}

render "park" {
  prompt   = "a kennel"
  entities = module.kennel.entity.dog
}
