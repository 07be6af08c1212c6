entity "dog" {
  prompt   = "a dog"
  box      = xywh(0.1, 0.2, 0.3, 0.4)
  occludes = ["wall", render.park]
}

render "park" {
  prompt  = "a dog in the park"
  overlap = "over"
}
