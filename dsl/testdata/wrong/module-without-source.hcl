module "kennel" {
  dogs = 2
}

render "park" {
  prompt = "a dog in the park"
}
