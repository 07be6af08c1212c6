model "flx" "base" {
  source = "./weights"
}

render "park" {
  prompt = "a dog in the park"
}
