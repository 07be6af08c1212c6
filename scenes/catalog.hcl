# Twenty layouts from a table, twenty pictures from one command. A changed row
# makes one picture again.

locals {
  layouts = { for row in csvdecode(file("tables/catalog.csv")) : row.name => row }
}

entity "object" {
  for_each = local.layouts
  prompt   = each.value.object
  box      = xywh(each.value.x, each.value.y, each.value.size, each.value.size)
}

render "catalog" {
  for_each = local.layouts
  prompt   = "${each.value.object} on ${each.value.background} background"
  entities = [entity.object[each.key]]
  seed     = 100 + each.key

  output {
    path = "out/catalog/${each.key}.png"
  }
}
