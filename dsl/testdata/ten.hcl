# Ten different mistakes, all reported by one run, each at its line.

variable "mood" {
  type    = string
  default = ["calm"] # want "Incorrect type: The default must be string"
}

locals {
  where = xywh(0.1, 0.2, 0, 0.4) # want "Invalid function argument: .*width must be greater than 0"
}

entity "dog" {
  promt = "a dog" # want "Unsupported argument: An entity has no argument .promt.. Did you mean .prompt.\\?"
  box   = local.where
}

entity "apple" {
  prompt = "an apple"
  box    = [0.6, 0.1, 0.3, 0.35] # want "Incorrect type: .box. must be a shape.* Four numbers alone could mean several boxes"
}

entity "apple" { # want "Duplicate declaration: entity.apple is declared twice.*first declared here, at testdata/ten.hcl:17"
  prompt = "another apple"
  box    = xywh(0.1, 0.1, 0.3, 0.3)
}

render "picnic" {
  prompt   = "a ${entity.dgo.prompt} in the grass" # want "Reference to undeclared name: There is no entity .dgo.. Did you mean .entity.dog.\\?"
  size     = [1000, 768]                           # want "Invalid size: The width must be a multiple of 16 pixels for this model; the nearest to 1000 are 992 and 1008"
  seed     = 4294967296                            # want "Value out of range: .seed. must be a whole number from 0 to 4294967295"
  timeline = "leap" # want "Incorrect reference: Here must be a reference to a timeline, as timeline.name; a text can't stand for one."
}

render "lunch" {
  prompt   = "an apple"
  entities = []
  negative = "blurry" # want "Negative prompt without guidance"

  sampler {
    cfg = 1
  }
}
