render "park" {
  for_each = toset(["dog & cat", "dog + cat", "dog"])
  prompt   = "a ${each.key} in a park"
}
