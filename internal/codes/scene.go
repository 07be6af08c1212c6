package codes

// E03: values of arguments.
var values = []Entry{
	{Code: "E0301", Summary: "Incorrect type", Also: []string{"Invalid type specification", "Invalid default value for optional attribute"},
		Text: `The argument takes a value of another type: a number and not a text, a list and not one value, a shape and not four numbers. ` +
			`The message says what it takes, and what it got.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = [0.1, 0.2, 0.3, 0.4]
}

render "picnic" {
  prompt = "a dog"
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0302", Summary: "Value out of range", Text: `The value is of the right type, and lies outside of what the argument means. ` +
		`The message gives the range. Where the value is computed, it also names what it was computed from.`,
		Wrong: `
render "picnic" {
  prompt = "a dog"

  sampler {
    steps = 0
  }
}
`, Right: `
render "picnic" {
  prompt = "a dog"

  sampler {
    steps = 20
  }
}
`},
	{Code: "E0303", Summary: "Unknown value",
		Text: `The argument, or the label, is one of a few words, and this is none of them. The message lists them, or names the closest.`,
		Wrong: `
render "picnic" {
  prompt = "a dog"

  sampler {
    schedule = "karras"
  }
}
`, Right: `
render "picnic" {
  prompt = "a dog"

  sampler {
    schedule = "eligen"
  }
}
`},
	{Code: "E0304", Summary: "Conflicting arguments", Text: `Two arguments, or two blocks, say the same thing in two ways, or things that ` +
		`can't both hold. eligen doesn't guess which you mean: remove one. The note shows where the other is.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
  region = ellipse(0.5, 0.5, 0.2, 0.1)
}

render "picnic" {
  prompt = "a dog"
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  region = union(xywh(0.1, 0.2, 0.3, 0.4), ellipse(0.5, 0.5, 0.2, 0.1))
}

render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0305", Summary: "Argument not applicable", Text: `The argument exists, and means nothing with what the rest of the block ` +
		`says: quality is a JPEG's, shift belongs to one schedule, an encoder to image prompts. It is an error, since you set it to have an ` +
		`effect. Remove it, or change what it depends on.`,
		Wrong: `
render "picnic" {
  prompt = "a dog"

  sampler {
    schedule = "flux-dev"
    shift    = 3
  }
}
`, Right: `
render "picnic" {
  prompt = "a dog"

  sampler {
    schedule = "eligen"
    shift    = 3
  }
}
`},
	{Code: "E0306", Summary: "Argument without effect", Text: `The argument changes nothing in this scene, though it could in another: an ` +
		`overlay where there are no entities, a step cache of two steps. The picture is made without it.`,
		Wrong: `
render "picnic" {
  prompt   = "a dog"
  entities = []

  output {
    path    = "out/regions.png"
    overlay = true
  }
}
`, Right: `
render "picnic" {
  prompt   = "a dog"
  entities = []

  output {
    path = "out/picnic.png"
  }
}
`},
	{Code: "E0307", Summary: "Invalid colour", Text: `A colour is written as "#rrggbb": two hexadecimal digits each for red, green and ` +
		`blue. White is "#ffffff". Names of colours aren't read.`},
	{Code: "E0308", Summary: "Empty value", Text: `The text or the list is empty, and without anything in it the block would say nothing: ` +
		`an entity's prompt, a track's keys. To leave an entity out, remove it from the render's entities.`,
		Wrong: `
entity "dog" {
  prompt = ""
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog"
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog"
}
`},
}

// E04: variables, modules, moves, and files that a scene names.
var parts = []Entry{
	{Code: "E0401", Summary: "No value for variable", Text: `The variable has no default, and no value was given. Give one with --var ` +
		`NAME=VALUE, in a file for --var-file, in the environment as ELIGEN_VAR_NAME, or write a default.`,
		Wrong: `
variable "prompt" {
  type = string
}

render "picnic" {
  prompt = var.prompt
}
`, Right: `
variable "prompt" {
  type    = string
  default = "a dog"
}

render "picnic" {
  prompt = var.prompt
}
`},
	{Code: "E0402", Summary: "Invalid value for variable", Text: `The value breaks a rule that the variable's own validation block ` +
		`states, or --var was not written as NAME=VALUE. The words are those of the scene's author; the notes show the rule, and where the ` +
		`value comes from.`,
		Wrong: `
variable "quality" {
  default = "best"

  validation {
    condition     = contains(["draft", "final"], var.quality)
    error_message = "quality must be draft or final."
  }
}

render "picnic" {
  prompt = "a dog, ${var.quality}"
}
`, Right: `
variable "quality" {
  default = "final"

  validation {
    condition     = contains(["draft", "final"], var.quality)
    error_message = "quality must be draft or final."
  }
}

render "picnic" {
  prompt = "a dog, ${var.quality}"
}
`},
	{Code: "E0403", Summary: "Value for an undeclared variable", Text: `A value was given for a variable that the scene doesn't declare. ` +
		`On the command line this is an error, since it was meant for this scene; in a variable file, which several scenes may share, a ` +
		`warning.`},
	{Code: "E0404", Summary: "Variable file can't be read", Text: `The file of values that --var-file names, or .auto.eligen.hclvars ` +
		`beside the scene, is missing, is a folder, or the system doesn't let eligen read it. A link out of the scene's folder isn't followed.`},
	{Code: "E0405", Summary: "Module not found",
		Text: `The folder that a module block names isn't there. Paths begin at the folder of the file that names them, and stay below the ` +
			`scene's.`,
		Wrong: `
module "birds" {
  source = "./no-such-folder"
}

render "picnic" {
  prompt   = "a heron"
  entities = [module.birds.entity.heron]
}
`},
	{Code: "E0406", Summary: "Not a module",
		Text: `A module is a folder with scene files, *.hcl. What source names is a file, or a folder without any.`},
	{Code: "E0407", Summary: "Module can't be read",
		Text: `The module's folder, or a file in it, is there, and the system doesn't let eligen read it. The message holds the system's ` +
			`own words.`},
	{Code: "E0408", Summary: "Circular module",
		Text: `A module takes in itself, directly or through others, or the scene's own folder. The message shows the circle.`,
		Wrong: `
module "self" {
  source = "./"
}

render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0409", Summary: "Invalid source", Text: `The source says neither which file or folder is meant nor which repository: begin a ` +
		`path with ./ (from the scene's folder), ../, / or ~/ (your own folder); a repository is owner/name at Hugging Face, or ` +
		`modelscope:owner/name; a file in ComfyUI's folders is comfyui:NAME. Modules lie below the scene's folder, and no link leads them ` +
		`out of it.`,
		Wrong: `
model "flux" "base" {
  source = "weights"
}

render "picnic" {
  prompt = "a dog"
  model  = model.flux.base
}
`, Right: `
model "flux" "base" {
  source = "./weights"
}

render "picnic" {
  prompt = "a dog"
  model  = model.flux.base
}
`},
	{Code: "E0410", Summary: "Unused module",
		Text: `The module makes no picture, and nothing refers to what it has. Use it, or remove the block.`},
	{Code: "E0411", Summary: "Unused entity", Text: `No render shows the entity, and nothing refers to it. A render without entities ` +
		`shows all of the file; one with a list shows those alone.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt   = "a meadow"
  entities = []
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt   = "a dog on a meadow"
  entities = [entity.dog]
}
`},
	{Code: "E0412", Summary: "Invalid move", Text: `A moved block gives the record of an old address to a new one: nothing has the old ` +
		`address any more, something of the same kind has the new one, and an address moves once.`,
		Wrong: `
render "picnic" {
  prompt = "a dog"
}

moved {
  from = render.picnic
  to   = render.picnic
}
`, Right: `
render "picnic" {
  prompt = "a dog"
}

moved {
  from = render.lunch
  to   = render.picnic
}
`},
	{Code: "E0413", Summary: "Dataset not found", Text: `A recipe's dataset is "composed", which eligen makes itself, or a folder in ` +
		`EliGen's format. Relative paths begin at the scene's folder.`},
}

// E05: sizes, regions and pictures.
var regions = []Entry{
	{Code: "E0501", Summary: "Invalid size", Text: `A model makes pictures whose sides are multiples of a number of pixels, 16 for nano ` +
		`and FLUX.1, and eligen makes pictures of at most 16 megapixels. The message gives the two nearest sides. A transfer works on two ` +
		`panels side by side, which count together.`,
		Wrong: `
render "picnic" {
  prompt = "a dog"
  size   = [250, 256]
}
`, Right: `
render "picnic" {
  prompt = "a dog"
  size   = [256, 256]
}
`},
	{Code: "E0502", Summary: "Size outside of what the model knows", Text: `The model was trained on pictures of another size. Far above ` +
		`it, objects tear and repeat; far below, they have too few image tokens to be recognised. Leave size out, or take one near the ` +
		`model's own.`},
	{Code: "E0503", Summary: "Empty region",
		Text: `Nothing is left of the shape: what is subtracted covers all of it, or the shapes of an intersection have nothing in common.`},
	{Code: "E0504", Summary: "Region outside the canvas", Text: `The entity's region lies beyond the picture, so that nothing of it would ` +
		`be seen. Coordinates are fractions of the canvas, from 0 to 1, from its upper left corner; px( … ) around a shape makes its numbers ` +
		`pixels. A timeline may move an entity in from outside.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(1.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog"
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.6, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0505", Summary: "Region partly outside the canvas",
		Text: `A part of the region lies beyond the picture. It is cut off, and the entity is drawn into the rest.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.9, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog"
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.6, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0506", Summary: "Region covers no image token", Text: `A model draws image tokens, squares of 16×16 pixels each for nano and ` +
		`FLUX.1, and looks at regions every 8 pixels. This region lies between these points, so that the entity's prompt has nowhere to act. ` +
		`Make it larger, or move it. Where the numbers are fractions, leave out px( … ).`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = px(xywh(0.1, 0.2, 0.3, 0.4))
}

render "picnic" {
  prompt = "a dog"
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0507", Summary: "Region is small",
		Text: `The region covers so few image tokens that the entity is rarely recognisable. Make it larger, or render a larger picture.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = px(xywh(32, 32, 16, 16))
}

render "picnic" {
  prompt = "a dog"
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = px(xywh(32, 32, 96, 96))
}

render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0508", Summary: "Region has thin parts",
		Text: `Regions are looked at every 8 pixels, so that what is thinner than that may be lost. Make such parts 8 pixels wide or more.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  region = union(px(xywh(32, 32, 64, 64)), px(xywh(100, 70, 120, 3)), px(xywh(100, 86, 120, 3)))
}

render "picnic" {
  prompt = "a dog"
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  region = union(px(xywh(32, 32, 64, 64)), px(xywh(96, 64, 120, 12)))
}

render "picnic" {
  prompt = "a dog"
}
`},
	{Code: "E0509", Summary: "Regions overlap", Text: `Where regions share image tokens, EliGen draws both prompts at once (overlap = ` +
		`"blend"), and much shared room makes mixtures. With overlap = "over" the entity with the higher z takes the tokens, with ` +
		`"layered" it hides as much as its opacity of the others; with ` +
		`"exclusive" an overlap is an error.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.5, 0.5)
}

entity "cat" {
  prompt = "a cat"
  box    = xywh(0.2, 0.2, 0.5, 0.5)
}

render "picnic" {
  prompt  = "a dog and a cat"
  overlap = "exclusive"
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.05, 0.2, 0.4, 0.5)
}

entity "cat" {
  prompt = "a cat"
  box    = xywh(0.55, 0.2, 0.4, 0.5)
}

render "picnic" {
  prompt  = "a dog and a cat"
  overlap = "exclusive"
}
`},
	{Code: "E0510", Summary: "Region is covered", Text: `With overlap = "over", other entities lie above all of this one's image tokens, ` +
		`so that nothing of it would be drawn. Raise its z, say what it occludes, or move one of them.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.3, 0.3, 0.3, 0.3)
}

entity "wall" {
  prompt = "a wall"
  box    = xywh(0.1, 0.1, 0.8, 0.8)
}

render "picnic" {
  prompt  = "a dog and a wall"
  overlap = "over"
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.3, 0.3, 0.3, 0.3)
  z      = 1
}

entity "wall" {
  prompt = "a wall"
  box    = xywh(0.1, 0.1, 0.8, 0.8)
}

render "picnic" {
  prompt  = "a dog and a wall"
  overlap = "over"
}
`},
	{Code: "E0511", Summary: "Region is almost covered", Text: `With overlap = "over", other entities leave this one so few image tokens ` +
		`that it is rarely recognisable. Raise its z, or move one of them.`},
	{Code: "E0512", Summary: "Unlikely region",
		Text: `The numbers of a moving shape look like those of the other unit: pixels where fractions are meant, or fractions inside px( … ).`},
	{Code: "E0513", Summary: "Unusable mask", Text: `The picture can't be a mask: none of its pixels is bright enough (128 of 255), or ` +
		`its transparency varies, so that two masks could be meant. Say { channel = "alpha" } for what is opaque, or { channel = "luminance" ` +
		`} for what is bright.`},
	{Code: "E0514", Summary: "Mask has another shape", Text: `The mask's width and height have another ratio than the picture's. Say how ` +
		`it is laid on: image("mask.png", { fit = "stretch" }), "cover" or "contain".`},
	{Code: "E0515", Summary: "Picture has another shape", Text: `The picture's width and height have another ratio than the render's. Say ` +
		`how it is laid on: fit = "stretch", or "cover", which cuts what is outside. A picture of the same ratio is scaled without a word.`},
	{Code: "E0516", Summary: "Colours can't be converted",
		Text: `The picture's file has a colour profile that eligen can't read. Its numbers are taken for sRGB, and may look wrong. Save it ` +
			`in sRGB.`},
	{Code: "E0517", Summary: "Picture is converted to sRGB", Text: `The picture whose pixels are kept has a colour profile of its own, ` +
		`and eligen makes sRGB. The kept pixels look the same, as far as sRGB has their colours, and their numbers differ.`},
	{Code: "E0518", Summary: "Entity listed twice",
		Text: `A render's entities holds an entity twice. One block is one thing in the picture: a second copy needs a block of its own.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt   = "a dog"
  entities = [entity.dog, entity.dog]
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt   = "a dog"
  entities = [entity.dog]
}
`},
	{Code: "E0519", Summary: "Too many entities", Text: `The render has more entities than the model takes. Draw fewer, or in several ` +
		`renders, each of which paints into the one before (inpaint).`},
	{Code: "E0520", Summary: "Nothing to paint",
		Text: `inpaint and transfer paint into the regions of the render's entities, and the render has none.`},
	{Code: "E0521", Summary: "Entity is away", Text: `In some frames of the clip the entity's region covers no image token. It is left ` +
		`out there, prompt and all, as when it drives out of the picture.`},
}

// E06: models, adapters, prompts, and how they are sampled.
var models = []Entry{
	{Code: "E0601", Summary: "Model can't be used", Text: `The model's files are not where the scene says, are damaged, or are none that ` +
		`eligen can run. "eligen plan" reads their headers; "eligen validate" doesn't look for weights at all.`},
	{Code: "E0602", Summary: "Adapter can't be used",
		Text: `The adapter's files are not where the scene says, are damaged, or don't fit the model.`},
	{Code: "E0603", Summary: "Adapter is applied in part", Text: `The LoRA's file holds more than changes of the model's weights, such as ` +
		`embeddings of new words, and eligen doesn't apply them. The picture is another than the LoRA's author saw, and a word that it was ` +
		`trained on may act less.`},
	{Code: "E0604", Summary: "Entities without EliGen's adapter", Text: `FLUX.1 has learned regional attention through EliGen's LoRA ` +
		`only. Without it, entities are likely to ignore their regions. Leave out adapters to have it, or list it among them.`,
		Wrong: `
model "flux" "base" {
  source = "./weights"
}

entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt   = "a dog"
  model    = model.flux.base
  adapters = []
}
`, Right: `
model "flux" "base" {
  source = "./weights"
}

entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

render "picnic" {
  prompt = "a dog"
  model  = model.flux.base
}
`},
	{Code: "E0605", Summary: "Transfer without an in-context LoRA", Text: `A transfer takes two LoRAs: EliGen's, and one that has learned ` +
		`to draw one thing in two panels. Without the second, what is painted is likely to be another thing than the source shows. List both ` +
		`in adapters.`},
	{Code: "E0606", Summary: "Negative prompt without guidance", Text: `A negative prompt acts through classifier-free guidance only, and ` +
		`cfg = 1 turns that off. Raise cfg, such as to 3, or remove the negative prompt.`,
		Wrong: `
render "picnic" {
  prompt   = "a dog"
  negative = "blurry"

  sampler {
    cfg = 1
  }
}
`, Right: `
render "picnic" {
  prompt   = "a dog"
  negative = "blurry"

  sampler {
    cfg = 3
  }
}
`},
	{Code: "E0607", Summary: "Prompt is no text", Text: `The prompt holds bytes that are not UTF-8.`},
	{Code: "E0608", Summary: "Prompt is too long",
		Text: `The text encoder reads so many tokens, and the prompt has more. It is cut where the message says; what is behind doesn't act.`},
	{Code: "E0609", Summary: "Prompt is too long for one encoder", Text: `A model with several text encoders follows one of them in ` +
		`detail. Another, such as CLIP, which sums the prompt up in one vector, reads fewer tokens: the message says where it cuts the ` +
		`prompt. The first reads on.`},
	{Code: "E0610", Summary: "Characters that the encoder can't read",
		Text: `T5 has no piece for these characters: all that it has none for is one and the same token to it. Write the prompt in plain ` +
			`English.`},
	{Code: "E0611", Summary: "Words that the model was never taught",
		Text: `nano was trained on twenty kinds of object and few words. Others are read, and mean nothing to it.`},
	{Code: "E0612", Summary: "Another program's notation", Text: `Other programs weigh words by (brackets:1.2), or read options out of ` +
		`prompts. Text encoders read both as any other text. Write the words alone; an entity's strength weighs its prompt.`,
		Wrong: `
render "picnic" {
  prompt = "a (brown:1.3) dog"
}
`, Right: `
render "picnic" {
  prompt = "a brown dog"
}
`},
	{Code: "E0613", Summary: "Tiles don't overlap",
		Text: `Tiles of the autoencoder that lie edge to edge show their seams. A stride of half a tile blends well.`},
	{Code: "E0614", Summary: "Decoded in tiles", Text: `The picture doesn't fit the memory where the autoencoder works on it at once, so ` +
		`that it works in tiles: seams may show, and a machine with more memory makes a slightly different picture. Write vae { tiled = true ` +
		`} to have tiles everywhere, or vae { tiled = false } to have an error instead.`},
	{Code: "E0615", Summary: "Not enough memory", Text: `The render needs more memory than --memory allows, or than the machine has. ` +
		`Render a smaller picture, decode it in tiles (vae), or raise --memory.`},
	{Code: "E0616", Summary: "Weights are missing", Text: `The scene names weights of a repository, or of ComfyUI, that are not on this ` +
		`machine. "eligen apply SCENE --pull" downloads those of repositories, and "eligen models pull" does without a scene. Nothing else ` +
		`downloads. A gated repository needs its license accepted on its page, and a token.`},
	{Code: "E0617", Summary: "Repository has moved", Text: `The lock file next to the scene pins a revision of a repository, and the ` +
		`repository's branch is at another one by now. The scene keeps the pinned one, so that its pictures stay what they are. ` +
		`"eligen apply SCENE --pull=newest" takes the newer one and pins it.`},
	{Code: "E0618", Summary: "Weights outside the folder", Text: `Where scenes come from others, as over "eligen mcp", they may name ` +
		`weights below one folder, and those of repositories and of ComfyUI, which lie where their programs put them. Move the file below the ` +
		`folder, or start eligen in the folder that has it.`},
}

// E07: timelines.
var motion = []Entry{
	{Code: "E0701", Summary: "Invalid target", Text: `A track moves one attribute, named by a reference that is written out: the box, ` +
		`mask, region, center or strength of an entity, the scale of an adapter, or sampler.guidance and sampler.cfg. A place moves by the ` +
		`argument that the entity has it by.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

timeline "walk" {
  frames = 4

  track {
    target = entity.dog
    keys   = [{ at = "0%", value = xywh(0.1, 0.2, 0.3, 0.4) }]
  }
}

render "picnic" {
  prompt   = "a dog"
  timeline = timeline.walk
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

timeline "walk" {
  frames = 4

  track {
    target = entity.dog.box
    keys   = [{ at = "0%", value = xywh(0.1, 0.2, 0.3, 0.4) }]
  }
}

render "picnic" {
  prompt   = "a dog"
  timeline = timeline.walk
}
`},
	{Code: "E0702", Summary: "Duplicate track",
		Text: `Two tracks move one attribute. Put their keys into one track. An entity may have one track for its shape and one for its center.`},
	{Code: "E0703", Summary: "Keys out of order", Text: `Keys come in the order of time, each at a time of its own.`,
		Wrong: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

timeline "walk" {
  frames = 4

  track {
    target = entity.dog.center
    keys   = [{ at = "100%", value = [0.5, 0.5] }, { at = "0%", value = [0.2, 0.5] }]
  }
}

render "picnic" {
  prompt   = "a dog"
  timeline = timeline.walk
}
`, Right: `
entity "dog" {
  prompt = "a dog"
  box    = xywh(0.1, 0.2, 0.3, 0.4)
}

timeline "walk" {
  frames = 4

  track {
    target = entity.dog.center
    keys   = [{ at = "0%", value = [0.2, 0.5] }, { at = "100%", value = [0.5, 0.5] }]
  }
}

render "picnic" {
  prompt   = "a dog"
  timeline = timeline.walk
}
`},
	{Code: "E0704", Summary: "Nothing to move",
		Text: `The render's timeline moves something that the render doesn't show. Add it to the render, or remove the track.`},
	{Code: "E0705", Summary: "Invalid timeline",
		Text: `The timeline can't be followed in some frame: an entity follows one that follows it, or a value leaves what it can be.`},
	{Code: "E0706", Summary: "Clip is left alone",
		Text: `The file is made of all frames of the clip, and --frames asks for some. It is not written.`},
}

// E08: files that are written.
var outputs = []Entry{
	{Code: "E0801", Summary: "Invalid output path", Text: `Outputs lie below the scene's folder, so that a scene of somebody else's can't ` +
		`write elsewhere, and the name's end says the format: .png, .jpg or .webp for pictures; .gif, .apng, .webp, .mp4 or .webm for clips. ` +
		`%04d in the name numbers the frames of a clip.`,
		Wrong: `
render "picnic" {
  prompt = "a dog"

  output {
    path = "out/picnic.bmp"
  }
}
`, Right: `
render "picnic" {
  prompt = "a dog"

  output {
    path = "out/picnic.png"
  }
}
`},
	{Code: "E0802", Summary: "Duplicate output", Text: `Two renders, or two instances of one, would write one file. In names of files ` +
		`upper and lower case count as one, since they do on many systems. Give one of the two another path; in a repeated render put ` +
		`each.key or count.index into it.`,
		Wrong: `
render "picnic" {
  prompt = "a dog"

  output {
    path = "out/dog.png"
  }
}

render "portrait" {
  prompt = "a dog's face"

  output {
    path = "out/dog.png"
  }
}
`, Right: `
render "picnic" {
  prompt = "a dog"

  output {
    path = "out/picnic.png"
  }
}

render "portrait" {
  prompt = "a dog's face"

  output {
    path = "out/portrait.png"
  }
}
`},
	{Code: "E0803", Summary: "Output overwrites an input",
		Text: `The scene reads the file that it would write. The next run would read another picture. Give the output another path.`},
	{Code: "E0804", Summary: "Clip can't be written",
		Text: `The format can't hold the clip: so many frames, such a size, or such a time for each. The message says what it can hold.`},
	{Code: "E0805", Summary: "Video can't be written",
		Text: `MP4 and WebM are written by ffmpeg, which is not in PATH, or lacks the encoder. GIF, APNG and WebP need no other program.`},
	{Code: "E0806", Summary: "File can't be written", Text: `A file of that name is there, and eligen did not write it, or it was changed ` +
		`since. Move it away, choose another path, or pass --force.`},
	{Code: "E0807", Summary: "Folder can't be written",
		Text: `The folder that outputs go to can't be made or written to. The message holds the system's own words.`},
	{Code: "E0808", Summary: "No place for a file", Gone: true,
		Text: `eligen new would write its scene over a file that is there. Choose another name, or pass --force.`},
}

// E09: checks, records, and what happens in a run.
var runs = []Entry{
	{Code: "E0901", Summary: "Invalid condition", Text: `The condition of a check measures no picture, so that it is the same whatever is ` +
		`drawn. Use placement(), locality() or psnr(); a rule for a variable goes in the variable's validation block.`,
		Wrong: `
render "picnic" {
  prompt = "a dog"
}

check "sums" {
  assert {
    condition     = 2 > 1
    error_message = "Never."
  }
}
`, Right: `
render "picnic" {
  prompt = "a dog"
}

render "again" {
  prompt = "a dog"
}

check "same" {
  assert {
    condition     = psnr(render.picnic, render.again) > 60
    error_message = "They differ."
  }
}
`},
	{Code: "E0902", Summary: "Entity is not drawn", Text: `A check measures an entity in a render that doesn't show it.`},
	{Code: "E0903", Summary: "Pictures differ in size", Text: `psnr() compares two pictures pixel by pixel, so that they need one size.`,
		Wrong: `
render "picnic" {
  prompt = "a dog"
  size   = [256, 256]
}

render "wide" {
  prompt = "a dog"
  size   = [512, 256]
}

check "same" {
  assert {
    condition     = psnr(render.picnic, render.wide) > 60
    error_message = "They differ."
  }
}
`, Right: `
render "picnic" {
  prompt = "a dog"
  size   = [256, 256]
}

render "again" {
  prompt = "a dog"
  size   = [256, 256]
}

check "same" {
  assert {
    condition     = psnr(render.picnic, render.again) > 60
    error_message = "They differ."
  }
}
`},
	{Code: "E0904", Summary: "Check is left out", Text: `The check measures a render that --target left out of this run.`},
	{Code: "E0905", Summary: "Checks are left out",
		Text: `A check is a promise about the scene's own seeds, and --seed tries others. With one seed, checks are tested.`},
	{Code: "E0906", Summary: "Check failed",
		Text: `The pictures are made and the check's condition doesn't hold. The words are those of the scene's author. The exit code is 3.`},
	{Code: "E0907", Summary: "Check can't be evaluated",
		Text: `The pictures are measured, and the condition can't be worked out with the numbers.`},
	{Code: "E0908", Summary: "Scene can't be rendered",
		Text: `While eligen apply --watch waits for changes, the scene got a mistake that has no line.`},
	{Code: "E0909", Summary: "No such render", Text: `--target names a render that the scene no longer has.`},
	{Code: "E0910", Summary: "Stage failed",
		Text: `A stage of the plan could not be made. What needs it is left out; the rest is made and kept. The message holds the cause.`},
	{Code: "E0911", Summary: "Stage is not deterministic", Text: `A stage was made again and gave another result than the store holds, ` +
		`bit for bit. Report this with the engine's name: the same definition must give the same result.`},
	{Code: "E0912", Summary: "Disk is full",
		Text: `There is no room for a result or a file. What was finished is kept. Make room (eligen cache gc), and run the same ` +
			`command again.`},
	{Code: "E0913", Summary: "Read-only file system",
		Text: `The store or the scene's folder lies on a file system that can't be written to. Set ELIGEN_CACHE_DIR, or pass --out.`},
	{Code: "E0914", Summary: "No permission to write",
		Text: `You may not write to the store or to the scene's folder. Set ELIGEN_CACHE_DIR, or pass --out.`},
	{Code: "E0915", Summary: "Run is not recorded",
		Text: `The journal of the run can't be written, so that eligen replay can't show it later. The pictures are made all the same.`},
	{Code: "E0916", Summary: "Damaged result", Also: []string{"Damaged partial result"},
		Text: `A result in the store is not what its digest says: a disk failed, or another program wrote to it. It is set aside and ` +
			`made again.`},
	{Code: "E0917", Summary: "Partial result is not kept",
		Text: `The latents of an unfinished stage can't be written. Should the run be interrupted, the stage begins again.`},
	{Code: "E0918", Summary: "Waiting for another run", Also: []string{"Another run is at it"},
		Text: `Another run of eligen makes a result that this one needs. This run waits, and takes the result when it is there.`},
	{Code: "E0919", Summary: "No leases", Text: `What tells runs of eligen apart that make the same result does not answer. The run goes ` +
		`on; another one may make the same results at the same time, and both get the same.`},
	{Code: "E0920", Summary: "Lease lost",
		Text: `This run could not tell others in time that it still makes a result. Another run may make it too; both get the same.`},
	{Code: "E0921", Summary: "Store can't be read",
		Text: `The store doesn't answer, or the system doesn't let eligen read it, so that nobody can tell what it holds. This run makes ` +
			`again what it couldn't read; nothing in the store is replaced for that. It is said once a run.`},
	{Code: "E0922", Summary: "Shared cache",
		Text: `The cache that machines share doesn't answer, or has a damaged copy of a result. The run goes on without: it makes what ` +
			`it lacks, and keeps it on this machine. A later run uploads it.`},
	{Code: "E0923", Summary: "Run failed",
		Text: `A run that the studio started ended with an error that is no stage's. What was finished is in the ` +
			`store; the next run resumes from there.`},
	{Code: "E0924", Summary: "Empty shard",
		Text: `The part of the scene that --shard names holds no picture. There are more shards than pictures that can be made apart: ` +
			`frames of a warm start, and frames over one background, are made from one another and stay on one machine.`},
	{Code: "E0930", Summary: "Queue doesn't answer",
		Text: `The queue that apply shares work through is away. Nothing is lost: the run waits for it, and puts back into it what it ` +
			`may have lost. Make the rest on this machine with the same command without --queue, if it doesn't come back.`},
	{Code: "E0931", Summary: "No worker is there",
		Text: `The run's stages are in the queue, and nobody takes them. Start eligen worker on the machines that should.`},
	{Code: "E0932", Summary: "No worker can make this",
		Text: `Workers are there, and each lacks something that the run needs: the engine, which includes eligen's version and the ` +
			`backend, or the memory. A result is named by the engine that makes it, so another one can't stand in. Start a worker of ` +
			`that engine, or plan for the one that the workers have, with --backend or --engine.`},
	{Code: "E0933", Summary: "Stage was set aside",
		Text: `Several workers have died while they made a stage, or have failed at it. The run makes the rest. Apply the scene without ` +
			`--queue to see on one machine what happens; the next run with --queue tries again.`},
	{Code: "E0934", Summary: "Task refused",
		Text: `What a worker took from the queue is not what it can make: a stage of another version of eligen, for another engine, or ` +
			`with weights that the worker was not given.`},

	{Code: "E0951", Summary: "Lock can't be read",
		Text: `eligen.lock.hcl is there, and the system doesn't let eligen read it, or it is a link out of the scene's folder.`},
	{Code: "E0952", Summary: "Recorded twice",
		Text: `The lock holds two records of one render. Remove one, or record again with eligen verify --update.`},
	{Code: "E0953", Summary: "Nothing is recorded", Text: `The lock holds no record of this scene. Make one with eligen verify --update.`},
	{Code: "E0954", Summary: "Render is not recorded",
		Text: `The scene has a render that the lock doesn't. It is not compared. Record it with eligen verify --update.`},
	{Code: "E0955", Summary: "Recorded render is gone", Text: `The lock records a render that the scene doesn't have. If it has another ` +
		`name now, say so with a moved block; else record again with eligen verify --update.`},
	{Code: "E0956", Summary: "Recorded with another kind of engine",
		Text: `The record was made with another kind of engine, such as paint, whose pictures can't be compared with this one's.`},
	{Code: "E0957", Summary: "Weights are not those of the lock",
		Text: `The record was made with other weights. Get those, or record again with eligen verify --update.`},
	{Code: "E0958", Summary: "File differs from its record", Text: `A file that the lock records has other pixels now, or is gone.`},
	{Code: "E0959", Summary: "Picture differs from its record", Text: `The same definition gives another picture than the lock records. ` +
		`If it is meant to be as it is now, record it with eligen verify --update.`},
	{Code: "E0960", Summary: "Scene differs from its record", Text: `The scene was changed since it was recorded, so that its picture ` +
		`can't be the recorded one. If it is meant to be as it is now, record it with eligen verify --update.`},
	{Code: "E0961", Summary: "No recorded picture to compare with", Text: `The record was made by another engine, so that digests differ, ` +
		`and the recorded picture is not in its place to be compared with pixel by pixel.`},
}
