# A ball falls, bounces and comes to rest: one ease on the way down, another aside.
timeline "fall" {
  duration = "2s"
  fps      = 8

  track {
    target = entity.ball.center
    keys = [
      { at = "0%", value = [0.22, 0.20], ease = "bounce-out" },
      { at = "80%", value = [0.50, 0.72], ease = "cubic-out" },
      { at = "100%", value = [0.58, 0.72] },
    ]
  }
}

entity "ball" {
  prompt = "a ball"
  region = ellipse(0.22, 0.20, 0.15, 0.15)
}

entity "mushroom" {
  prompt = "a mushroom"
  box    = xywh(0.74, 0.56, 0.22, 0.32)
}

render "bounce" {
  prompt   = "a ball and a mushroom on a blue background"
  timeline = timeline.fall

  background {
    lock = true
  }

  output {
    path = "out/bounce.gif"
  }
}
