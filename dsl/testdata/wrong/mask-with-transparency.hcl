entity "dog" {
  prompt = "a dog"
  mask   = image("alpha.png")
}

render "park" {
  prompt = "a dog in the park"
}
