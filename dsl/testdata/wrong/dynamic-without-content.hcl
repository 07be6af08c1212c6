render "park" {
  prompt = "a dog in the park"

  dynamic "output" {
    for_each = [1, 2]
    path     = "out/${output.value}.png"
  }
}
