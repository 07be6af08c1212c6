# What a thing is not, and where it is not. The apple's negative prompt acts in its own region; the
# star is nowhere else: its prompt is a negative one outside its region. Both act through guidance,
# cfg above 1.

entity "apple" {
  prompt   = "an apple"
  negative = "a ball"
  box      = xyxy(0.08, 0.45, 0.48, 0.90)
}

entity "star" {
  prompt        = "a star"
  auto_negative = true
  box           = xyxy(0.56, 0.10, 0.92, 0.48)
}

render "apart" {
  prompt = "an apple and a star, at night"
  seed   = 3

  sampler {
    cfg = 3
  }
}
