locals {
  left  = local.right - 0.5
  width = local.left * 2
  right = local.width + 0.1
}

render "park" {
  prompt = "a dog in the park"
}
