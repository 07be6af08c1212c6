# Everything that this release reads, once.

eligen {
  required_version = "~> 0.1"
}

variable "quality" {
  type        = string
  default     = "draft"
  description = "How long to paint."

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
  near  = var.birds["near"]
}

model "flux" "big" {
  source = "black-forest-labs/FLUX.1-dev"
  dtype  = "bfloat16"
}

model "flux" "local" {
  source = "./weights/flux"
}

adapter "lora" "eligen" {
  source = "DiffSynth-Studio/Eligen"
  scale  = 0.9
}

entity "cat" {
  prompt   = "a ginger tabby cat"
  box      = px(xywh(80, 260, 130, 150))
  strength = 1.5
}

entity "mat" {
  prompt = "a woven red mat"
  mask   = image("masks/disc.png", { fit = "cover" })
}

entity "bird" {
  prompt = "a small swallow"
  region = ellipse(local.near.x, local.near.y, local.near.size, local.near.size * 0.6)
}

entity "sky" {
  prompt = "a clear sky"
  region = subtract(xyxy(0, 0, 1, 0.5), entity.bird.region, cxcywh(0.8, 0.2, 0.1, 0.1))
}

entity "roof" {
  prompt = "a roof"
  region = intersect(polygon([[0, 0.6], [0.5, 0.2], [1, 0.6]]), union(xywh(0, 0, 0.5, 1), xywh(0.6, 0, 0.4, 1)))
}

entity "sun" {
  prompt = "the sun"
  box    = cxcywh(bounds(entity.bird.region).cx, entity.bird.center[1], 0.2, 0.2)
}

render "poster" {
  model    = model.flux.big
  adapters = [adapter.lora.eligen]
  size     = [768, 512]
  prompt   = "a courtyard, ${upper("film")} photograph with ${entity.cat.prompt}"
  negative = "blurry"
  entities = concat([entity.mat, entity.cat], [for e in [entity.bird] : e])
  seed     = pow(2, 32) - 1

  sampler {
    steps             = local.steps
    guidance          = 3.5
    cfg               = 3.0
    schedule          = "eligen"
    shift             = 3
    negative_entities = true
    tea_cache         = 0.2
  }

  vae {
    tiled  = true
    tile   = 96
    stride = 48
  }

  init {
    image    = image("masks/disc.png")
    strength = 0.7
  }

  output {
    path = "out/poster.png"
  }

  output {
    path    = "out/overlay/poster.png"
    overlay = true
  }
}

render "plain" {
  model    = model.nano.base
  adapters = []
  prompt   = "a courtyard"
  entities = []
}

render "all" {
  prompt = "every entity of the file, in its order"
}

recipe "eligen" {
  model   = model.nano.base
  dataset = "composed"
  classes = 20
  size    = [128, 128]
  steps   = 20000
  batch   = 64
  train   = lora(16)
  dropout = { prompt = 0.1, entity = 0.2 }
  regions = 0.5
  ema     = 0.999
  every   = 500

  timesteps     = "logit-normal"
  weighting     = "none"
  object_weight = 4

  optimizer "adamw" {
    learning_rate = 1e-3
    warmup        = 500
    schedule      = "cosine"
    weight_decay  = 0.01
    clip          = 1
    betas         = [0.9, 0.999]
  }
}

recipe "stage_one" {
  kind  = "base"
  train = "all"
}
