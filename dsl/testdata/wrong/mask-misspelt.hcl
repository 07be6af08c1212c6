entity "dog" {
  prompt = "a dog"
  mask   = image("dics.png")
}

render "park" {
  prompt = "a dog in the park"
}
