entity "dog" {
  prompt = "a dog"
  mask   = "disc.png"
}

render "park" {
  prompt = "a dog in the park"
}
