entity "dog" {
  prompt = "a dog"
  mask   = image("disc.png")
}

render "park" {
  prompt = "a dog in the park"

  output {
    path = "disc.png"
  }
}
