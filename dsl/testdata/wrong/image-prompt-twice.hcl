adapter "ip" "style" {
  image  = image("painting.png")
  images = [image("painting.png"), "painting.png"]
}

render "a" {
  prompt   = "x"
  adapters = [adapter.ip.style]
}
