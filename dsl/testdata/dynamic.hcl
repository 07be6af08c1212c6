# Blocks made by a dynamic block, texts made by a template, and what may fail.

variable "guests" {
  type    = list(string)
  default = ["a dog", "a cat", "a frog"]
}

variable "photo" {
  type     = string
  default  = "masks/disc.png"
  nullable = true
}

variable "overlays" {
  default  = { plain = false, marked = true }
  nullable = false
}

variable "sizes" {
  default = { small = { width = 64 }, odd = {} }
}

entity "guest" {
  count  = length(var.guests)
  prompt = var.guests[count.index]
  box    = cell(length(var.guests), 1, count.index, 0)
}

# Two outputs and one init for each of two sizes; the init is there if there is a photo.
render "party" {
  for_each = var.sizes
  prompt   = trimspace(templatefile("prompts/party.tmpl", { guests = var.guests, place = "a meadow" }))
  size     = [try(each.value.width, 128), 64]

  dynamic "init" {
    for_each = var.photo == null ? [] : [var.photo]

    content {
      image    = image(init.value)
      strength = 0.5
    }
  }

  dynamic "output" {
    for_each = var.overlays
    iterator = copy

    content {
      path    = "out/${each.key}/${copy.key}.png"
      overlay = copy.value
    }
  }

  output {
    path = "out/${each.key}.png"
  }
}

check "everybody" {
  dynamic "assert" {
    for_each = entity.guest

    content {
      condition     = placement(render.party["small"], assert.value) > 0.1
      error_message = "Guest ${assert.key + 1}, ${assert.value.prompt}, is not there."
    }
  }
}

locals {
  failing = can(var.sizes.large) ? "large" : replace("not large", "/l(.)/", "L$1")
}

render "words" {
  prompt   = "${local.failing} ${formatdate("YYYY", timeadd("2026-12-31T23:00:00Z", "2h"))}"
  entities = []
}
