render "park" {
  for_each = toset(["dawn", "dusk", "noon"])
  prompt   = "a park at ${each.key}"

  output {
    path = "out/park-${substr(each.key, 0, 1)}.png"
  }
}
