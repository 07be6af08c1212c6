module "kennel" {
  source = "./kenel"
}

render "park" {
  prompt = "a dog in the park"
}
