# What goes wrong with repeated blocks, variants, checks and moves.

entity "bird" {
  for_each = { near = 0.1, far = 0.5 }
  prompt   = "a bird"
  box      = xywh(each.value, 0.1, 0.2, 0.2)
}

entity "list" {
  for_each = ["a", "b"] # want "Incorrect type: .for_each. must be a map, or a set of texts; .* A list has no keys: write toset"
  prompt   = "x"
  box      = xywh(0.1, 0.1, 0.2, 0.2)
}

entity "both" {
  for_each = toset(["a"])
  count    = 2 # want "Conflicting arguments: .*line|Conflicting arguments"
  prompt   = "x"
  box      = xywh(0.1, 0.1, 0.2, 0.2)
}

entity "fraction" {
  count  = 1.5 # want "Value out of range: .count. must be a whole number"
  prompt = "x"
  box    = xywh(0.1, 0.1, 0.2, 0.2)
}

entity "single" {
  prompt = "a ${each.key}" # want "Reference outside a repetition: .each. has a meaning only inside a block with the argument .for_each."
  box    = xywh(0.1, 0.1, 0.2, 0.2)
}

entity "typo" {
  for_each = toset(["a"])
  prompt   = each.kye # want "Unsupported attribute: each has no attribute .kye.. Did you mean .key."
  box      = xywh(0.1, 0.1, 0.2, 0.2)
}

render "a" {
  prompt   = "x"
  entities = [entity.bird["neer"]] # want "Invalid index: entity.bird has no element .neer.. Did you mean .near."
}

render "b" {
  prompt   = "x"
  entities = [entity.bird] # want "Incorrect reference: entity.bird is several. .* All of them are values.entity.bird."
}

render "c" {
  prompt   = entity.bird.prompt # want "Reference to a repeated block: entity.bird is several. The block is repeated: name one of entity.bird..far.., entity.bird..near..."
  entities = []
}

render "d" { # want "Missing required argument: A render needs the argument .prompt., or .from."
  entities = []
}

render "e" {
  from     = entity.bird["near"] # want "Incorrect reference: entity.bird..near.. is an entity"
  entities = []
}

render "f" {
  from = render.f # want above "Circular reference: render.f needs itself"
}

render "g" {
  count    = 2
  prompt   = "x"
  entities = []

  output {
    path = "out/g.png" # want "Duplicate output: Every instance writes out.g.png. Put \\$.count.index. into the path"
  }
}

render "h" {
  prompt   = "x"
  overlap  = "above" # want "Unknown value: .overlap. can be .blend., .over., .layered. or .exclusive., not .above."
  entities = []
}

check "empty" { # want "Missing required block"
}

render "ok" {
  prompt   = "x"
  entities = [entity.bird["near"]]
}

check "several" {
  assert {
    condition     = placement(render.ok, entity.bird["far"]) > 0.5 # want "Invalid function argument: .* is not among the entities of render.ok"
    error_message = "x"
  }
  assert {
    condition     = placement(render.ok, entity.bird["near"]) # want "Incorrect type: Here must be a condition: true or false"
    error_message = "x"
  }
  assert {
    condition     = 1 < 2 # want "Invalid condition"
    error_message = "x"
  }
}

locals {
  early = placement(1, 2) # want "Measure outside a check: placement.. measures a finished picture"
}

moved {
  from = entity.single # want "Invalid move: entity.single is still declared"
  to   = entity.bird
}

moved {
  from = entity.old
  to   = entity.brid # want "Invalid move: Nothing is declared as entity.brid"
}

moved {
  from = "entity.old" # want "Incorrect type: .from. must be an address"
  to   = entity.single
}
