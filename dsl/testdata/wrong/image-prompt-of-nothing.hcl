adapter "ip" "style" {
  scale = 0.7
}

adapter "ip" "styles" {
  images = []
}

render "a" {
  prompt   = "x"
  adapters = [adapter.ip.style, adapter.ip.styles]
}
