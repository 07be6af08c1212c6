adapter "ip" "style" {
  image = image("painted.png")
  scale = 1000
}

render "a" {
  prompt   = "x"
  adapters = [adapter.ip.style]
}
