render "park" {
  prompt = templatefile("kennel/names.tmpl", { owner = "Ada" })
}
