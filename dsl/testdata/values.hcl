# Every value is checked that can be judged without a model.

entity "dog" {
  prompt   = "  " # want "Empty value"
  strength = 0    # want "Value out of range: .strength. must be greater than 0"
  box      = xyxy(0.5, 0.5, 0.2, 0.9) # want "x1 must be greater than x0"
}

entity "off" {
  prompt = "off"
  box    = xywh(1.2, 0.1, 0.3, 0.3) # want "Region outside the canvas: This shape reaches from 1.2 to 1.5 across"
}

entity "pixels" {
  prompt = "pixels"
  box    = xywh(100, 200, 300, 300) # want "Region outside the canvas: .*If these numbers are pixels, write px"
}

entity "edge" {
  prompt = "edge"
  box    = xywh(0.8, 0.1, 0.3, 0.3) # want "Region partly outside the canvas: This shape reaches from 0.8 to 1.1 across"
}

entity "nowhere" { # want "Missing required argument: .*exactly one of"
  prompt = "nowhere"
}

entity "everywhere" {
  prompt = "everywhere"
  box    = xywh(0.1, 0.1, 0.2, 0.2)
  region = ellipse(0.5, 0.5, 0.1, 0.1) # want "Conflicting arguments: .*.box. was set first, at testdata/values.hcl:30"
}

entity "kinds" {
  prompt = "kinds"
  box    = ellipse(0.5, 0.5, 0.1, 0.1) # want "write region = … instead"
}

entity "masks" {
  prompt = "masks"
  mask   = xywh(0.1, 0.1, 0.2, 0.2) # want "write box = … instead"
}

entity "missing_file" {
  prompt = "missing"
  mask   = image("masks/disk.png") # want "There is no file masks/disk.png in the scene's folder. Did you mean .masks/disc.png.\\?$"
}

entity "options" {
  prompt = "options"
  mask   = image("masks/disc.png", { fitt = "cover" }) # want "There is no option .fitt.. Did you mean .fit."
}

entity "outside" {
  prompt = "outside"
  mask   = image("../../go.mod") # want "leads out of the scene's folder"
}

entity "absolute" {
  prompt = "absolute"
  mask   = image("/etc/hostname") # want "is absolute"
}

entity "text" {
  prompt = "text"
  mask   = image("full.hcl") # want "not a PNG, JPEG, WebP or TIFF picture"
}

entity "alpha" {
  prompt = "alpha"
  mask   = image("masks/alpha.png") # want "Unusable mask: The transparency of masks/alpha.png varies"
}

entity "square" {
  prompt = "square"
  mask   = image("masks/disc.png")  # want "Mask has another shape: This mask has 32×32 pixels, which is another shape than the 768×512 of render.sizes"
}

entity "corner" {
  prompt = "corner"
  box    = px(xywh(800, 10, 20, 20))  # want "Region outside the canvas: .*the canvas of render.sizes, which has 768×512 pixels"
}

entity "line" {
  prompt = "line"
  region = polygon([[0, 0], [0.5, 0.5], [1, 1]]) # want "All points lie on one line"
}

entity "empty" {
  prompt = "empty"
  region = intersect(xywh(0, 0, 0.2, 0.2), xywh(0.5, 0.5, 0.1, 0.1)) # want "Empty region: Its shapes have nothing in common"
}

entity "huge" {
  prompt = "huge"
  box    = xywh(0, 0, 1 / 0, 1) # want "divides by zero"
}

render "sizes" {
  prompt   = "x"
  size     = [768, 512]
  entities = [entity.square, entity.corner]
}

render "numbers" {
  prompt = "x"
  size   = [1000, 24.5]  # want "The height must be a whole number"
  seed   = 1.5           # want "Value out of range: .seed. must be a whole number"

  sampler {
    steps    = 0           # want "Value out of range: .steps. must be a whole number from 1"
    cfg      = "high"      # want "Incorrect type: .cfg. must be a number; this is .high."
    schedule = "flux_dev"  # want "Unknown value: .schedule. can be .* Did you mean .flux-dev.\\?"
    shift    = 1e400       # want "Value out of range: .shift. must be a number"
  }

  init {
    image    = "masks/disc.png" # want "Incorrect type: .image. must be a picture.* Write image\\(.masks/disc.png.\\)"
    strength = 1.5              # want "Value out of range: .strength. must be a number from 0 to 1"
  }
}

render "small" {
  prompt = "x"
  size   = [8, 24] # want "width must be a multiple of 16 pixels for this model; the nearest to 8 is 16" "nearest to 24 are 16 and 32"

  init { # want "Missing required argument: An init needs the argument .strength."
    image = image("masks/disc.png")
  }

  sampler {
  }

  sampler { # want "Duplicate block: A render has one sampler block.*the first one is here, at testdata/values.hcl:131"
  }
}

render "no_prompt" { # want "Missing required argument: A render needs the argument .prompt."
  entities = []
  sampler  = { steps = 2 } # want "Unsupported argument: .*.sampler. is a block"
  steps    = 4             # want "It belongs in the sampler block"
}

render "outputs" {
  prompt   = "x"
  entities = []

  output {
    path = "/tmp/x.png" # want "Invalid output path: .*is absolute"
  }

  output {
    path = "../x.png" # want "Invalid output path: .*leads out of the scene's folder"
  }

  output {
    path = "full.hcl" # want "Invalid output path: The name of a picture ends in"
  }

  output {
    path = "masks" # want "Invalid output path: .masks. is a folder"
  }

  output {
    path = "full.hcl/x.png" # want "Invalid output path: .*full.hcl is a file, not a folder"
  }

  output {
    path = "out/numbers.png" # want "Duplicate output: Two outputs write out/numbers.png.*the other output is here, at testdata/values.hcl:105"
  }

  output {
    path = "masks/disc.png" # want "Output overwrites an input"
  }
}

render "a b" { # want "Invalid name"
  prompt = "x"
}

recipe "odd" { # want "Missing required argument: What does this recipe train\\?"
  train   = "some"                       # want "Incorrect type: .train. must be .all. or lora"
  dropout = { promt = 0.1, entity = 2 }  # want "Unsupported argument: Dropout has no part .promt.. Did you mean .prompt." "Value out of range: .entity. must be a number from 0 to 1"
  ema     = 1                            # want "Value out of range: .ema. must be less than 1"
  dataset = "compossed"                  # want "Dataset not found: .* Did you mean .composed."

  optimizer "adam" { # want "Unknown value: .* Did you mean .adamw."
    betas = [0.9, 1] # want "A beta must be at least 0 and less than 1"
  }
}

model "flx" "a" { # want "Unknown value: .* Did you mean .flux."
}

model "flux" "b" { # want "Missing required argument: A flux model needs the argument .source."
}

model "flux" "c" {
  source = "weights" # want "Invalid source"
  dtype  = "bf16"    # want "Unknown value: .dtype. can be"
}

model "nano" "base" { # want "Duplicate declaration: model.nano.base is predeclared"
}
