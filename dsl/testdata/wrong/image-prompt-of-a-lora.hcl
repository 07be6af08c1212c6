adapter "lora" "style" {
  source  = "./style.safetensors"
  image   = image("painting.png")
  encoder = "./siglip"
}

adapter "ip" "painting" {
  image = image("painting.png", { channel = "alpha" })
  alpha = "file"
}

render "a" {
  prompt   = "x"
  adapters = [adapter.lora.style, adapter.ip.painting]
}
