# for_each and count make several of one block; from makes a variant of a
# render. The golden shows what became of each.

variable "birds" {
  type = map(object({ x = number, y = number, size = optional(number, 0.08) }))
  default = {
    near = { x = 0.62, y = 0.18 }
    far  = { x = 0.80, y = 0.10, size = 0.05 }
  }
}

entity "cat" {
  prompt = "a cat"
  box    = xywh(0.08, 0.50, 0.26, 0.30)
  z      = 2
}

entity "bird" {
  for_each = var.birds
  prompt   = "a small swallow, ${each.key}"
  region   = ellipse(each.value.x, each.value.y, each.value.size, each.value.size * 0.6)
}

entity "star" {
  count  = 2
  prompt = "a star"
  box    = xywh(0.1 + 0.3 * count.index, 0.05, 0.1, 0.1)
}

adapter "lora" "hand" {
  for_each = toset(["soft", "hard"])
  source   = "./${each.key}.safetensors"
}

render "poster" {
  for_each = toset(["night", "dawn"])
  prompt   = "a courtyard at ${each.key}"
  size     = [256, 128]
  seed     = 42
  overlap  = "over"
  entities = concat([entity.cat], values(entity.bird))
  adapters = [adapter.lora.hand["soft"]]

  sampler {
    steps = 8
    cfg   = 3
  }
}

# Everything is the dawn poster's but what is written here.
render "variant" {
  from     = render.poster["dawn"]
  negative = "blurry"
  entities = [entity.star[1], entity.bird["near"]]

  sampler {
    steps = 12
  }

  output {
    path           = "out/variant.png"
    strip_metadata = true
  }
}

# The other render's entities, in its order.
render "same" {
  from = render.variant
}

check "cat" {
  assert {
    condition     = placement(render.poster["dawn"], entity.cat) > 0.5 && psnr(render.poster["dawn"], render.poster["night"]) < 40
    error_message = "The cat is at ${floor(100 * placement(render.poster["dawn"], entity.cat))} %."
  }
}

moved {
  from = render.poster
  to   = render.poster["dawn"]
}
