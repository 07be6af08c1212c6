render "park" {
  prompt =
  seed   = 7
}
