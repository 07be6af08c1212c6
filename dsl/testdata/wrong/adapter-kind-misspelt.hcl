adapter "ipa" "style" {
  image = image("painting.png")
}

render "a" {
  prompt   = "x"
  adapters = [adapter.ipa.style]
}
