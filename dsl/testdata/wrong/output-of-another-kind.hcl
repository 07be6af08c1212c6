render "park" {
  prompt = "a dog in the park"

  output {
    path = "out/park.gif"
  }
}
