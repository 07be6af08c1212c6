module "kennel" {
  source = "../kennel"
}

render "park" {
  prompt = "a dog in the park"
}
