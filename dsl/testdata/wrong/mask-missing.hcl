entity "dog" {
  prompt = "a dog"
  mask   = image("../masks/disc.png")
}

render "park" {
  prompt = "a dog in the park"
}
