# References are walked by name, with a guess for each that leads nowhere.

variable "size" {
  type    = number
  default = 0.3
}

locals {
  tree = { height = 0.5, crown = { width = 0.2 } }
  a    = local.b # want "Circular reference: local.a needs itself: local.a → local.b → local.c → local.a"
  b    = local.c
  c    = local.a
}

entity "dog" {
  prompt = "a dog"
  box    = xywh(0.05, 0.40, var.sise, 0.50) # want "There is no variable .sise.. Did you mean .var.size.\\?"
}

entity "tree" {
  prompt = "a tree"
  box    = xywh(0, 0, local.tree.hight, local.tree.crown.with) # want "local.tree has no attribute .hight.. Did you mean .height.\\?" "local.tree.crown has no attribute .with.. Did you mean .width.\\?"
}

entity "cat" {
  prompt = "a cat"
  box    = entity.dog.bx # want "entity.dog has no attribute .bx.. Did you mean .box.\\?"
}

entity "bird" {
  prompt = "a bird"
  box    = xywh(0.1, 0.1, 0.2, 0.2)
}

entity "nest" {
  prompt = "a nest"
  box    = cxcywh(entity.bird.box.x, 0.5, 0.2, 0.2) # want "entity.bird.box is a shape, which has no attributes. bounds\\(entity.bird.box\\).x may be what you want"
}

entity "egg" {
  prompt = dog                         # want "Nothing is called .dog. here. Did you mean .entity.dog.\\?"
  region = elipse(0.5, 0.5, 0.1, 0.1)  # want "Call to unknown function: There is no function .elipse.. Did you mean .ellipse.\\?"
}

entity "worm" {
  prompt = "a ${entiti.bird.prompt}" # want "Nothing is called .entiti. here. Did you mean .entity.\\?"
  region = feather(entity.bird.box, 8) # want "Not supported yet: The function feather"
}

entity "leaf" {
  prompt = env("LEAF") # want "Call to unknown function: .*A scene is data"
  region = entity      # want "Incomplete reference"
}

render "a" {
  model    = model.nano.bass     # want "There is no model .nano.bass.. Did you mean .model.nano.base.\\?"
  adapters = [adapter.lora.mine] # want "There is no adapter .lora.mine.. This file declares no adapter"
  prompt   = "x"
  entities = [
    entity.bird,
    "bird",                                        # want "Incorrect reference: .* Write entity.bird, without quotes"
    model.nano.base,                               # want "Incorrect reference: model.nano.base is a model"
    merge(entity.bird, { prompt = "another" }),    # want "Altered block: This is entity.bird with other attributes"
    entity.bird,                                   # want "Entity listed twice"
    null,                                          # want "Incorrect reference: .* it is null"
  ]
}

render "b" {
  prompt   = "x"
  entities = entity.bird # want "Incorrect type: .* Write \\[entity.bird\\]"
}

render "c" {
  prompt   = [for e in [entity.bird] : e.promt][0] # want "e has no attribute .promt.. Did you mean .prompt.\\?"
  entities = []
}
