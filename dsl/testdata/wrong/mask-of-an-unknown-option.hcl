entity "dog" {
  prompt = "a dog"
  mask   = image("disc.png", { mode = "cover" })
}

render "park" {
  prompt = "a dog in the park"
}
