render "park" {
  for_each = toset(["dawn", "noon"])
  prompt   = "a park at ${each.key}"

  output {
    path = "out/park.png"
  }
}
