# A block that is wrong as a whole is one mistake, however often it is referred to.

entty "dog" { # want "Unsupported block type: A scene has no blocks of type .entty.. Did you mean .entity.\\?"
  prompt = "a dog"
  box    = xywh(0, 0, 1, 1)
}

model "big" { # want "Wrong number of labels"
  source = "./w"
}

entity "apple" "red" { # want "Wrong number of labels"
  prompt = "an apple"
  box    = entity.dog.box
}

seed = 3 # want "Unsupported argument: A scene has no argument .seed.. It belongs in the render block"

render "a" {
  model    = model.flux.big
  prompt   = "a ${entity.dog.prompt}"
  entities = [entity.dog, entity.apple, entity.pear] # want "There is no entity .pear."
}
