model "flux" "base" {
  source = "weights"
}

render "park" {
  prompt = "a dog in the park"
  model  = model.flux.base
}
