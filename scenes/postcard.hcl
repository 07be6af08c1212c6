# A postcard from each place. Its prompt comes from a template that lists the objects;
# they stand in a row; and some postcards have a second file next to the picture.

variable "places" {
  default = {
    meadow = {
      words  = "a green background"
      things = ["a tree", "a mushroom", "a frog"]
      copies = { regions = true, plain = false }
    }
    beach = {
      words  = "an orange background"
      things = ["an umbrella", "a ball"]
    }
  }
}

locals {
  # Every thing of every place, by the place's name and its number there.
  things = merge([for name, place in var.places : {
    for i, thing in place.things : "${name}-${i}" => {
      prompt = thing
      box    = row(xywh(0.04, 0.34, 0.92, 0.46), length(place.things), 0.04)[i]
    }
  }]...)
}

entity "thing" {
  for_each = local.things
  prompt   = each.value.prompt
  box      = each.value.box
}

render "postcard" {
  for_each = var.places
  prompt   = trimspace(templatefile("prompts/postcard.tmpl", { things = each.value.things, place = each.value.words }))
  entities = [for name, thing in entity.thing : thing if startswith(name, each.key)]
  size     = [384, 256]

  output {
    path = "out/postcards/${each.key}.png"
  }

  dynamic "output" {
    for_each = try(each.value.copies, {})

    content {
      path           = "out/postcards/${each.key}-${output.key}.png"
      overlay        = output.value
      strip_metadata = !output.value
    }
  }
}
