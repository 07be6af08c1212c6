# The long example of the language's design, as it stands there. What this release
# lacks is refused where it stands, and nothing else is complained of.

eligen {
  required_version = "~> 0.1"
}

variable "quality" {
  type    = string
  default = "draft"
  validation {
    condition     = contains(["draft", "final"], var.quality)
    error_message = "quality must be draft or final."
  }
}

variable "birds" {
  type = map(object({ x = number, y = number, size = optional(number, 0.08) }))
  default = {
    near = { x = 0.62, y = 0.18 }
    far  = { x = 0.80, y = 0.10, size = 0.05 }
  }
}

locals {
  steps = { draft = 8, final = 50 }[var.quality]
}

model "flux" "base" {
  source = "black-forest-labs/FLUX.1-dev" # a repository, or ./a/folder; digests go to eligen.lock.hcl
  dtype  = "bfloat16"
}

adapter "lora" "eligen" {
  source = "DiffSynth-Studio/Eligen"
  scale  = 1.0
}

adapter "ip" "painting" {
  source = "InstantX/FLUX.1-dev-IP-Adapter"
  image  = image("refs/painting.jpg")
  scale  = 0.7
}

entity "cat" {
  prompt = "a ginger tabby cat, mid-leap"
  box    = xywh(0.08, 0.50, 0.26, 0.30)
}

entity "mat" {
  prompt = "a woven red mat"
  mask   = image("masks/mat.png")
}

entity "bird" {
  for_each = var.birds
  prompt   = "a small swallow"
  region   = ellipse(each.value.x, each.value.y, each.value.size, each.value.size * 0.6)
}

timeline "leap" {
  duration = "2s"
  fps      = 12

  track {
    target = entity.cat.box
    ease   = "cubic-in-out"
    keys = [
      { at = "0%", value = entity.cat.box },
      { at = "60%", value = translate(entity.cat.box, 0.40, -0.18), ease = "bounce-out" },
      { at = "100%", value = translate(entity.cat.box, 0.52, 0.02) },
    ]
  }

  track {
    target = entity.bird["near"].center
    path   = path("M .62 .18 C .55 .05 .40 .08 .30 .20")
  }
}

render "poster" {
  for_each = toset(["dawn", "night"])
  model    = model.flux.base
  adapters = [adapter.lora.eligen, adapter.ip.painting]
  size     = [1024, 1024]
  prompt   = "a courtyard at ${each.key}, film photograph"
  negative = "blurry, low quality"
  entities = concat([entity.cat, entity.mat], values(entity.bird))
  seed     = 42

  sampler {
    steps    = local.steps
    guidance = 3.5 # embedded guidance
    cfg      = 3.0 # true classifier-free guidance
  }

  output {
    path = "out/poster-${each.key}.png"
  }
}

render "clip" {
  from     = render.poster["dawn"]
  timeline = timeline.leap
  output {
    path = "out/leap.gif"
  }
  output {
    path = "out/leap/%04d.png"
  }
}

check "cat_is_where_asked" {
  assert {
    condition     = locality(render.poster["dawn"], entity.cat) > 0.6
    error_message = "The cat's prompt leaks out of its region."
  }
}
