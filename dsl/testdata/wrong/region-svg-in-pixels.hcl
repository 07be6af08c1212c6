entity "dog" {
  prompt = "a dog"
  region = svg("M10 10 L90 10 L90 90 Z")
}

render "park" {
  prompt = "a dog in the park"
}
