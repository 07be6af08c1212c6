entity "dog" {
  prompt = "a dog"
  region = svg("M.1 .1 L.9 .1 .9")
}

render "park" {
  prompt = "a dog in the park"
}
