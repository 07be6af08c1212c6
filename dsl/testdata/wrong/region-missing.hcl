entity "dog" {
  prompt = "a dog"
}

render "park" {
  prompt = "a dog in the park"
}
