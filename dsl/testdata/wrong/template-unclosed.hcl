render "park" {
  prompt = templatefile("kennel/unclosed.tmpl", { sun = true })
}
