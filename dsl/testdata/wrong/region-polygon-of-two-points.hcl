entity "dog" {
  prompt = "a dog"
  region = polygon([[0.1, 0.1], [0.9, 0.9]])
}

render "park" {
  prompt = "a dog in the park"
}
