recipe "base" {
  styles = { flat = 0.6, ink = 0.6, pencil = 0.1 }
}
