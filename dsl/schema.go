package dsl

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/eligen/eligen/internal/pixels"
	"github.com/zclconf/go-cty/cty/function"
)

// A Reference is the language as this release reads it: what Load accepts, from
// the same declarations that it reads by.
type Reference struct {
	Format    int              `json:"format"` // of this struct: 1
	Blocks    []BlockSchema    `json:"blocks"`
	Functions []FunctionSchema `json:"functions"`
	Limits    []LimitSchema    `json:"limits"`
}

// A LimitSchema is the most that Load reads of something.
type LimitSchema struct {
	What string `json:"what"`
	Most int64  `json:"most"`
}

// A BlockSchema is what a block may hold.
type BlockSchema struct {
	Type      string           `json:"type"`
	Labels    []string         `json:"labels,omitempty"`
	Repeated  bool             `json:"repeated"` // it may stand more than once
	What      string           `json:"what"`
	Arguments []ArgumentSchema `json:"arguments,omitempty"`
	Blocks    []BlockSchema    `json:"blocks,omitempty"`
	Later     []string         `json:"later,omitempty"` // part of the language, and refused by this release
	Never     []ArgumentSchema `json:"never,omitempty"` // no part of the language, for a reason
}

// An ArgumentSchema is one argument of a block.
type ArgumentSchema struct {
	Name     string `json:"name"`
	Required bool   `json:"required"`
	What     string `json:"what"`
}

// A FunctionSchema is one function of expressions.
type FunctionSchema struct {
	Name  string `json:"name"`
	Call  string `json:"call"` // "xywh(x, y, w, h)"
	What  string `json:"what"`
	Group string `json:"group"` // "shapes", "numbers", …
}

// Schema returns the language.
func Schema() Reference {
	out := Reference{Format: 1}
	out.Blocks = blockSchemas("", topGrammar)
	out.Limits = limits
	l := newLoader(context.Background(), nil)
	for name, f := range l.allFunctions() {
		out.Functions = append(out.Functions, FunctionSchema{Name: name, Call: signature(name, f), What: functionWords[name].what,
			Group: functionWords[name].group})
	}
	m := &metrics{body: &body{l: newLoader(context.Background(), nil)}}
	for name, f := range m.functions(nil) {
		out.Functions = append(out.Functions, FunctionSchema{Name: name, Call: signature(name, f), What: functionWords[name].what,
			Group: functionWords[name].group})
	}
	slices.SortFunc(out.Functions, func(a, b FunctionSchema) int {
		if a.Group != b.Group {
			return slices.Index(functionGroups, a.Group) - slices.Index(functionGroups, b.Group)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

// grammars are what the blocks of the language may hold, by their path.
var grammars = map[string]*grammar{
	"eligen": settingsGrammar, "variable": variableGrammar, "variable.validation": validationGrammar,
	"model": modelGrammar, "adapter": adapterGrammar, "entity": entityGrammar, "entity.schedule": strengthGrammar,
	"render.schedule": strengthGrammar,
	"render":          renderGrammar, "render.sampler": samplerGrammar, "render.init": initGrammar, "render.output": outputGrammar,
	"render.dynamic": dynamicGrammar, "check.dynamic": dynamicGrammar, "render.dynamic.content": {}, "check.dynamic.content": {},
	"timeline": timelineGrammar, "timeline.track": trackGrammar, "timeline.dynamic": dynamicGrammar, "timeline.dynamic.content": {},
	"render.inpaint": inpaintGrammar, "render.transfer": transferGrammar, "render.vae": vaeGrammar, "render.warm_start": warmGrammar,
	"render.background": backgroundGrammar,
	"check":             checkGrammar, "check.assert": assertGrammar, "module": moduleGrammar, "moved": movedGrammar,
	"recipe": recipeGrammar, "recipe.optimizer": optimizerGrammar, "recipe.validation": heldGrammar,
}

func blockSchemas(path string, g *grammar) []BlockSchema {
	var out []BlockSchema
	for _, header := range g.blocks {
		at := strings.TrimPrefix(path+"."+header.Type, ".")
		b := BlockSchema{Type: header.Type, Labels: header.LabelNames, Repeated: slices.Contains(g.many, header.Type), What: blockWords[at]}
		if inner := grammars[at]; inner != nil {
			for _, name := range inner.arguments() {
				b.Arguments = append(b.Arguments, ArgumentSchema{name, slices.Contains(inner.required, name), argumentWords[at+"."+name]})
			}
			b.Blocks = blockSchemas(at, inner)
			b.Later = laterWords(inner)
			for _, name := range slices.Sorted(maps.Keys(inner.never)) {
				b.Never = append(b.Never, ArgumentSchema{Name: name, What: inner.never[name]})
			}
		}
		out = append(out, b)
	}
	return out
}

func laterWords(g *grammar) []string {
	out := slices.Clone(g.later)
	for _, b := range g.laterBlocks {
		out = append(out, b.Type+" { }")
	}
	return out
}

// signature writes how a function is called.
func signature(name string, f function.Function) string {
	var args []string
	for _, p := range f.Params() {
		args = append(args, p.Name)
	}
	if p := f.VarParam(); p != nil {
		args = append(args, p.Name+"…")
	}
	return name + "(" + strings.Join(args, ", ") + ")"
}

var limits = []LimitSchema{
	{"bytes of a scene's file, of a variable file, of a text that is read, and of all files of a module", maxFile},
	{"blocks in a file", maxBlocks},
	{"brackets, blocks and templates inside one another", maxNesting},
	{"`!` and `-` in a row; `? :` and `[*]` in an expression", maxUnary},
	{"words and signs in an expression", maxExpression},
	{"`for` inside one another", maxLoops},
	{"template directives `%{ … }` in a file", maxDirectives},
	{"elements of a value", maxElements},
	{"bytes of text in a value", maxText},
	{"numbers that a call of `range` makes", maxRange},
	{"steps that all expressions of a scene take", maxWork},
	{"bytes of text that all expressions make", maxMade},
	{"seconds that one expression takes, without reading files", int64(maxThinking / time.Second)},
	{"instances of one block", maxInstances},
	{"instances of all blocks, and entities of all renders", maxExpansion},
	{"modules in a scene", maxModules},
	{"modules inside one another", maxModuleDepth},
	{"bytes of a picture", pixels.MaxBytes},
	{"pixels of a picture, and of a render", pixels.MaxPixels},
	{"pixels of a render in one direction", maxSide},
}

var blockWords = map[string]string{
	"eligen": "Settings of the scene itself.",
	"locals": "Names for values: `name = expression`, used as `local.name`.",
	"variable": "A value from outside, used as `var.name`. As in Terraform, the last of these that gives one wins: the " +
		"environment's `ELIGEN_VAR_name`, the file `.auto.eligen.hclvars` next to the scene, `--var-file` in their order, `--var name=value` " +
		"in their order.",
	"variable.validation": "A rule for the variable's value.",
	"model": "Weights, and how to run them. The family is `nano`, which is embedded in eligen, `flux` or `qwen`. " +
		"`model.nano.base` is there without a block.",
	"adapter": "Weights that are laid over a model's, of kind `lora`; or of kind `ip`, an IP-Adapter, which brings in " +
		"pictures: their style and what they show. A render has several, each at its own scale; its IP-Adapters are of the same weights.",
	"entity": "One thing in the picture: what it is, and where. It has exactly one of `box`, `mask` and `region`.",
	"render": "One picture. Everything but the prompt has a default: the embedded model at its native size, all " +
		"entities of the file, seed 0, and the file `out/NAME.png`.",
	"timeline": "What moves, and how, from frame to frame. Frame t depends on nothing but the scene and t, so that frames " +
		"are kept, resumed and asked for by themselves.\n\nThings may drive in and out: regions and centres of frames may lie beyond the " +
		"canvas, partly or wholly. In a frame in which a region covers no image token (16×16 pixels) its entity is left out, prompt and all, " +
		"and the plan says in which; one that is in no frame is an error. Where one entity has a track for its `box`, `mask` or `region` and " +
		"one for its `center`, the first says what shape it has in a frame, and the second moves that shape. Without the first, it is the " +
		"entity's own shape that moves; what the entity's block says of the place then doesn't matter, and may lie outside too.",
	"timeline.track":           "One attribute that moves: from key to key, along a path, or after another entity.",
	"timeline.dynamic":         "A `track` block for each element of a list, a set or a map, as in a render.",
	"timeline.dynamic.content": "What each of the blocks holds.",
	"render.inpaint":           "Paint the regions of the entities into a picture, and keep the rest.",
	"render.transfer": "Paint what one picture shows into another one: the regions of the entities are painted into `target`, " +
		"and the model sees `source` next to it, as the left one of two panels. Regions, `size` and the result are the right panel's; the " +
		"prompt describes both, as \"two-panel image of one frog; [LEFT] … [RIGHT] …\". Besides EliGen's, it takes an in-context LoRA; " +
		"nano's own is there without a word, and for FLUX.1 `adapters` lists both.",
	"render.vae": "How the autoencoder makes a picture of latents, and latents of the pictures of `init`, `inpaint` and " +
		"`transfer`. Tiles take memory for a square instead of for the picture, and more time; seams may show. A render without this block " +
		"is decoded whole where there is memory for it, else in the largest tiles that fit, with a warning.",
	"render.warm_start": "Begin a frame from the one before it, instead of from noise alone. Frames then depend on those before them.",
	"render.background": "What is behind the entities of a clip.",
	"render.schedule": "When and where in the model entities act, those that have no `schedule` of their own: a layout that is strict " +
		"early and free late, say. Steps in which none acts are cheaper.",
	"entity.schedule": "When and where in the model the entity acts; without it, as its render's `schedule` says.",
	"render.sampler":  "How latents are denoised. What is left out is the model's default.",
	"render.init":     "Image to image: start from a picture instead of from noise alone.",
	"render.dynamic": "A block of a kind, most often `output`, for each element of a list, a set or a map. Inside, " +
		"`output.key` and `output.value` are the element.",
	"check.dynamic":          "An `assert` block for each element of a list, a set or a map, as in a render.",
	"render.output":          "A file that the picture is written to.",
	"check":                  "A promise about the pictures, tested once they are made. A check that does not hold makes `apply` exit with 3.",
	"render.dynamic.content": "What each of the blocks holds.",
	"check.dynamic.content":  "What each of the blocks holds.",
	"check.assert":           "One condition of a check.",
	"module": "A folder of scene files, taken in as a part. Arguments other than `source` are values for the variables that " +
		"its files declare. Its blocks are `module.NAME.entity.x`, `module.NAME.render.x`, and so on; its locals and variables are its own. " +
		"Paths in its files are below its folder, except those of outputs, which are below the scene's.",
	"moved":  "What was recorded under an old address belongs to a new one.",
	"recipe": "A training, run by `eligen train`.",
	"recipe.validation": "What each checkpoint is judged by, of a LoRA for a model other than nano: pictures that it isn't trained on. " +
		"Their loss is logged, at the same noise every time.",
	"recipe.optimizer": "How weights follow the gradient: `adamw`, or `muon`, which moves the matrices inside the network by Muon and the " +
		"rest by AdamW.",
}

var blockExamples = map[string]string{
	"eligen": `
eligen {
  required_version = "~> 0.1"
}`,
	"locals": `
locals {
  steps = { draft = 8, final = 50 }[var.quality]
}`,
	"variable": `
variable "quality" {
  type    = string
  default = "draft"

  validation {
    condition     = contains(["draft", "final"], var.quality)
    error_message = "quality must be draft or final."
  }
}`,
	"model": `
model "flux" "base" {
  source = "./weights/FLUX.1-dev"
  dtype  = "bfloat16"
}`,
	"adapter": `
adapter "lora" "eligen" {
  source = "./weights/eligen.safetensors"
  scale  = 0.8
}`,
	"entity": `
entity "duck" {
  for_each = { near = 0.1, far = 0.6 }
  prompt   = "a duck"
  box      = xywh(each.value, 0.5, 0.3, 0.3)
}`,
	"render": `
render "pond" {
  prompt   = "two ducks on a pond"
  entities = values(entity.duck)
  size     = [256, 256]
  seed     = 7

  sampler {
    steps = 20
  }
}

render "again" {
  from = render.pond
  seed = 8

  dynamic "output" {
    for_each = { again = false, regions = true }

    content {
      path    = "out/${output.key}.png"
      overlay = output.value
    }
  }
}`,
	"timeline": `
timeline "swim" {
  duration = "2s"
  fps      = 12

  track {
    target = entity.duck["near"].box
    keys = [
      { at = "0%", value = xywh(0.1, 0.5, 0.3, 0.3), ease = "cubic-in-out" },
      { at = "100%", value = xywh(0.6, 0.4, 0.3, 0.3) },
    ]
  }

  track {
    target = entity.duck["far"].center
    path   = orbit(0.5, 0.4, 0.3, 0.1, 180, 1)
    ease   = "sine-in-out"
  }
}

render "swimming" {
  from     = render.pond
  timeline = timeline.swim

  background {
    lock = true
  }

  output {
    path = "out/swimming.gif"
  }
}`,
	"check": `
check "near" {
  assert {
    condition     = placement(render.pond, entity.duck["near"]) > 0.5
    error_message = "The near duck is not where it was asked for."
  }
}`,
	"module": `
module "left" {
  source = "./flock"
  where  = xywh(0, 0, 0.5, 0.5)
}

render "flock" {
  prompt   = "a guarded flock"
  entities = [module.left.entity.guard, module.left.entity.animal[0]]
}`,
	"moved": `
moved {
  from = render.lake
  to   = render.pond
}`,
	"recipe": `
recipe "eligen" {
  train = lora(16)
  steps = 400
  batch = 16

  optimizer "adamw" {
    learning_rate = 1e-3
  }
}`,
}

var argumentWords = map[string]string{
	"eligen.required_version": "Releases that may read the scene: `\"~> 0.1\"`, `\">= 0.1, < 2\"`",

	"variable.type": "A type constraint: `string`, `number`, `list(string)`, `map(object({ x = number, size = " +
		"optional(number, 0.1) }))`",
	"variable.default":                  "The value where none is given; without it one must be",
	"variable.description":              "For people",
	"variable.nullable":                 "Whether null may be given; `false` makes null stand for the default. `true` by default",
	"variable.validation.condition":     "True where the value is good",
	"variable.validation.error_message": "What to say where it is not",

	"model.source": "A folder or file, from the scene's folder where it begins with `./`, or from yours with `~/`; a repository of " +
		"Hugging Face, `\"owner/name\"`, or of ModelScope, `\"modelscope:owner/name\"`; or a file in ComfyUI's folders, `\"comfyui:NAME\"`. " +
		"Only `--pull` downloads",
	"model.revision": "Of a repository: a branch, a tag or a commit; the lock file's by default, else `main`",
	"model.file":     "Of a repository: one file of it, for a transformer or a checkpoint in a file of its own",
	"model.clip": "The CLIP text encoder, where it lies elsewhere: a source as above; a file of a repository is " +
		"`\"owner/name/FILE\"`, with a revision `\"owner/name@REVISION/FILE\"`",
	"model.t5":   "The T5 text encoder, likewise",
	"model.text": "The text encoder of a family with one, likewise",
	"model.vae":  "The autoencoder, likewise",
	"model.dtype": "`\"float32\"` or `\"bfloat16\"`: what is computed in; `\"int8\"` or `\"int4\"`: what the large matrices are held as; " +
		"else what suits the family and the backend",

	"adapter.revision": "Of a repository, as for a model",
	"adapter.file":     "Of a repository: the file, as `\"model_bf16.safetensors\"`; needed where it holds several",
	"adapter.source": "The file, or a folder of PEFT's, as for a model; without it the family's own: EliGen's LoRA, or its " +
		"IP-Adapter. Of `lora`, `\"in-context\"` is the family's own for `transfer`. Of `ip`, InstantX's `ip-adapter.bin`, or its tensors as " +
		"safetensors",
	"adapter.scale": "How strong, from −100 to 100; 1 by default",
	"adapter.encoder": "Of `ip`: the vision tower that reads its pictures, such as `\"./weights/siglip-so400m-patch14-384\"`; FLUX has none " +
		"of its own",
	"adapter.image":      "Of `ip`: the picture, `image(\"refs/painting.jpg\")`, of any size. It is seen as a square",
	"adapter.background": "Of `ip`: the colour behind transparent pictures, as in `init`",
	"adapter.images":     "Of `ip`: several, in a list",
	"adapter.alpha":      "Of `lora`. `\"file\"`: the alpha that the file gives (default); `\"ignore\"`: none",
	"adapter.for_each":   "A map, or a set of texts: one adapter for each, `adapter.lora.NAME[\"key\"]`",
	"adapter.count":      "A number: so many adapters, `adapter.lora.NAME[0]`",

	"entity.schedule.strength": "Points of progress, from 0 at the first step to 1 at the last, and of what `strength` is multiplied by: " +
		"`[[0, 1], [0.6, 1], [1, 0]]`. At 0 the entity is left out",
	"entity.schedule.blocks": "The first and the last block of the model in which it acts, counted from 0: `\"0-18\"` are FLUX.1's " +
		"double blocks",
	"render.schedule.strength": "Points of progress, from 0 at the first step to 1 at the last, and of what `strength` is multiplied by: " +
		"`[[0, 1], [0.6, 1], [1, 0]]`. At 0 entities are left out",
	"render.schedule.blocks": "The first and the last block of the model in which they act, counted from 0: `\"0-18\"` are FLUX.1's " +
		"double blocks",
	"entity.prompt":        "What is drawn in the region: `\"a dog\"`",
	"entity.box":           "Where: `xywh()`, `xyxy()` or `cxcywh()`",
	"entity.mask":          "Where: `image(\"mask.png\")`, on where it is bright",
	"entity.region":        "Where: any shape",
	"entity.strength":      "Multiplies the weight of the entity's text in attention; 1 is EliGen's own",
	"entity.z":             "In a render with `overlap = \"over\"` or `\"layered\"`, the higher lies above; 0 by default",
	"entity.negative":      "What should not be in its region; it needs `cfg` above 1",
	"entity.auto_negative": "True: what it is should be nowhere else. Its prompt is a negative one outside its region; it needs `cfg` above 1",
	"entity.occludes":      "Entities that it lies above, in such a render: a list, as `[entity.house]`. It comes before `z`",
	"entity.opacity": "In a render with `overlap = \"layered\"`, how much the entity hides of what lies below it: glass, fog, a ghost; 1, " +
		"all of it, by default",
	"entity.feather":  "Over how many pixels inside the region's edge the entity fades in: soft edges; 0 by default",
	"entity.for_each": "A map, or a set of texts: one entity for each, with `each.key` and `each.value`: `entity.NAME[\"key\"]`",
	"entity.count":    "How many entities to make, with `count.index`: `entity.NAME[0]`",

	"render.from":     "Another render: everything is as there but what is written here, and the outputs",
	"render.prompt":   "The whole picture in words; needed unless `from` is given",
	"render.model":    "A model; `model.nano.base` by default",
	"render.adapters": "A list of adapters; by default the family's EliGen LoRA where there are entities. `[]` is none",
	"render.size":     "`[width, height]` in pixels, multiples of 16; the model's native size by default",
	"render.negative": "What should not be in the picture; it needs `cfg` above 1",
	"render.entities": "A list of entities, in drawing order; all of the file by default",
	"render.overlap": "Where regions meet: `\"blend\"`, both prompts (EliGen's rule, default); `\"over\"`, the higher `z`; " +
		"`\"layered\"`, from the back to the front, each as much as its `opacity`; " +
		"`\"exclusive\"`, an error",
	"render.text_tokens": "How many tokens entities' prompts are padded or cut to: fewer than the model's own make steps cheaper. The " +
		"picture is an approximation, and says so",
	"render.seed":     "Of the noise, from 0 to 4294967295",
	"render.for_each": "A map, or a set of texts: one picture for each, `out/NAME-KEY.png`",
	"render.count":    "A number: so many pictures, `out/NAME-0.png`",

	"timeline.duration":         "How long: `\"2s\"`, `\"500ms\"`, `\"1m\"`, or a number of seconds",
	"timeline.frames":           "How many frames, in place of `duration`",
	"timeline.fps":              "Frames a second; 12 by default",
	"timeline.dynamic.for_each": "A list, a set or a map",
	"timeline.dynamic.iterator": "Another name for the element than `track`",
	"timeline.track.target": "What moves, as a reference: `entity.dog.box` (or `mask`, `region`: what the entity has), `.center`, " +
		"`.strength`, `.opacity`; `adapter.lora.eligen.scale`; `sampler.guidance`, `sampler.cfg`",
	"timeline.track.keys": "A list of `{ at = …, value = …, ease = … }` in the order of time. `at` is `\"1.2s\"`, `\"40%\"` of the " +
		"way to the last frame, or a frame's number, from 0. The end of the timeline counts too, `\"2s\"` of two seconds: it lies one frame " +
		"after the last. A timeline of one frame shows where everything begins. The ease is that of the way to the next key",
	"timeline.track.path": "For a center: `path()`, `polyline()`, `spline()` or `orbit()`, gone along at even speed over the whole " +
		"timeline",
	"timeline.track.follow": "For a center: the entity to keep the distance to",
	"timeline.track.ease": "Of the path, or of keys that name none: a name of easings.net as `\"cubic-in-out\"` " +
		"(`\"easeInOutCubic\"` and `\"ease-in-out-cubic\"` are the same), CSS's `\"ease-in\"`, `\"linear\"` (default), `\"hold\"`, or " +
		"`bezier()`, `steps()`, `spring()`",
	"timeline.track.extrapolate": "Before the first key and after the last: `\"hold\"` (default), `\"loop\"`, `\"mirror\"` or `\"continue\"`",

	"render.timeline":      "A timeline: the render is a clip, `out/NAME.gif` by default",
	"render.inpaint.image": "`image(\"photo.png\")`; needed unless the render is `from` one with an inpaint",
	"render.inpaint.fit":   "Of a picture of another shape, as in `init`",
	"render.inpaint.background": "The colour behind a transparent picture, as in `init`. What is painted is opaque, what is kept " +
		"stays transparent; a JPEG shows the background there",
	"render.inpaint.mode": "`\"exact\"`: pixels outside the regions stay as they are (default); `\"reference\"`: as " +
		"DiffSynth-Studio 1.1 did, which keeps them roughly",
	"render.inpaint.feather":           "Of exact: over how many pixels inside the regions' edge the new fades in; 0 by default",
	"render.inpaint.background_weight": "Of reference: how much of the model's own velocity is mixed in outside the regions; 0 by default",
	"render.transfer.source":           "`image(\"frog.png\")`: what is transferred; needed unless the render is `from` one with a transfer",
	"render.transfer.target":           "`image(\"meadow.png\")`: what it is painted into; needed as `source` is",
	"render.transfer.fit":              "Of pictures of another shape, as in `init`; the reference stretches them",
	"render.transfer.background":       "The colour behind transparent pictures, as in `inpaint`",
	"render.transfer.mode": "`\"exact\"`: pixels of the target outside the regions stay as they are (default); " +
		"`\"reference\"`: as DiffSynth-Studio 1.1 did, which keeps them roughly",
	"render.transfer.feather":           "Of exact: as in `inpaint`",
	"render.transfer.background_weight": "Of reference: as in `inpaint`",
	"render.transfer.clean_source": "Of exact: whether the model sees the source without noise at every step. nano's in-context LoRA " +
		"is trained so, and it is its default; those of FLUX.1 are not",
	"render.warm_start.strength": "Between 0 and 1: how much of the noise schedule a frame goes through",
	"render.warm_start.every":    "Every so many frames, one begins from noise; without it, frame 0 alone does",
	"render.background.lock":     "Whether all but the image tokens (16×16 pixels) that regions cover stays as it is in frame 0, to the pixel",
	"render.output.quality":      "Of a JPEG, 1 to 100; 90 by default",
	"render.output.sheet":        "Of a clip: all frames side by side, as a PNG",
	"render.output.loop":         "Of a GIF, APNG or animated WebP: how often it is played; 0, without end, by default",
	"render.output.dither":       "Of a GIF: `\"floyd-steinberg\"` (default), `\"ordered\"` or `\"none\"`",

	"render.sampler.steps":             "How many steps",
	"render.sampler.cfg":               "Classifier-free guidance; 1 is off",
	"render.sampler.guidance":          "The guidance that FLUX.1-dev embeds",
	"render.sampler.schedule":          "`\"eligen\"`, `\"flux-dev\"`, `\"flux-schnell\"` or `\"diffusers\"`",
	"render.sampler.shift":             "The time shift of the schedule `\"eligen\"`, 3 by default, or of `\"qwen\"`, by default the size's",
	"render.sampler.negative_entities": "Whether the negative branch has the entities too",
	"render.sampler.tea_cache": "Skip most of the model in steps that change little: how much estimated changes may add up to " +
		"before it runs in full, such as 0.2; 0 is off. The estimate was fitted to FLUX.1. The picture is an approximation, and says so",
	"render.vae.tiled": "Whether it works in tiles; false refuses a picture that doesn't fit whole",
	"render.vae.tile":  "A tile's side in latents, 8 pixels each; 128 by default, which is 1024 pixels",
	"render.vae.stride": "From one tile to the next, in latents; 64 by default, or half a smaller tile. Tiles blend where they " +
		"overlap",
	"render.init.image": "`image(\"photo.png\")`; needed unless the render is `from` one with an init",
	"render.init.fit": "Of a picture of another shape than the render: `\"stretch\"`, or `\"cover\"`, which cuts what is " +
		"outside; without it it is refused. One of the same shape and another size is scaled, bicubically",
	"render.init.background":  "The colour that the model sees behind a transparent picture, such as `\"#808080\"`; white by default",
	"render.init.strength":    "From above 0 to 1, which ignores the picture",
	"render.dynamic.for_each": "A list, a set or a map",
	"render.dynamic.iterator": "Another name for the element than the block's",
	"check.dynamic.for_each":  "A list, a set or a map",
	"check.dynamic.iterator":  "Another name for the element than `assert`",
	"render.output.path": "Below the scene's folder. A picture is `.png`, `.jpg` or `.webp` (lossless); a clip `.gif`, `.apng`, " +
		"`.webp`, or by ffmpeg `.mp4`, `.webm`; `%04d` in a name numbers the frames of a clip",
	"render.output.overlay":        "Whether regions and their labels are drawn over it",
	"render.output.strip_metadata": "Whether to leave out of the file what made the picture",
	"render.output.mark": "Whether the file says by IPTC's digital source type that a model made it; true by default. Laws ask for " +
		"such a mark where pictures are published",

	"check.assert.condition":     "True where the promise is kept. It measures with `placement`, `locality` and `psnr`",
	"check.assert.error_message": "What to say where it is not; it may measure too",

	"module.source": "A folder below the scene's, such as `\"./birds\"`: its files `*.hcl`, except the lock",

	"moved.from": "An address that nothing has any more",
	"moved.to":   "The address that it has now",

	"recipe.kind": "What is trained: `\"autoencoder\"`, `\"base\"`, `\"eligen\"`, `\"vision\"`, `\"ip\"`, " +
		"`\"in-context\"`, or one of evaluation's classifiers, `\"judge\"` and `\"style\"`; the recipe's name by default",
	"recipe.model":         "The model to start from",
	"recipe.dataset":       "`\"composed\"` (default), or a folder in EliGen's format",
	"recipe.classes":       "Of the composed dataset: how many kinds of object; 0 is all",
	"recipe.pictures":      "How many different pictures are seen, again and again; 0 is as many as it takes",
	"recipe.size":          "`[width, height]` of the training pictures",
	"recipe.window":        "`[width, height]`: how much of a picture a sample shows, at its place in it; all by default",
	"recipe.seed":          "Of weights, samples and noise",
	"recipe.steps":         "How many steps",
	"recipe.batch":         "Pictures a step",
	"recipe.train":         "`\"all\"` weights, or `lora(16)` of that rank",
	"recipe.regions":       "The share of samples that carry entities and regional attention",
	"recipe.dropout":       "`{ prompt = 0.1, entity = 0.1 }`: how often a condition is left out",
	"recipe.timesteps":     "`\"logit-normal\"`, `\"uniform\"` or `\"reference\"`",
	"recipe.weighting":     "`\"none\"` or `\"reference\"`: the loss's weight by timestep",
	"recipe.object_weight": "How much more the loss counts inside objects; 1 by default",
	"recipe.position_loss": "How much the loss counts where in its region each image token is, which linear heads say while a " +
		"model is trained and no model holds afterwards; 0 by default",
	"recipe.appearance_loss": "Of pairs of panels: how much the loss counts what the object looks like in the left one, which " +
		"linear heads say of its image tokens in the right one; 0 by default",
	"recipe.pairs": "Of a base's steps, the share that sees pairs: two panels that show the same object, half as many " +
		"as pictures in other steps; 0 by default",
	"recipe.image_prompts": "Of a base's samples, the share whose style is shown by another picture and not said by the " +
		"caption: the IP-Adapter is trained with the base then; 0 by default",
	"recipe.distill": "Of ip, from 0 to 1: how much of what the adapter learns to draw is what the model itself draws " +
		"where the caption says the style; the rest is the pictures, and all of it by default",
	"recipe.styles": "`{ flat = 0.1, ink = 0.1, noto = 0.1 }`: of the composed dataset, which share of the pictures is " +
		"drawn in other styles",
	"recipe.ema":                     "Decay of the running mean of the weights; 0 is off",
	"recipe.every":                   "Steps between checkpoints",
	"recipe.optimizer.learning_rate": "The largest learning rate",
	"recipe.optimizer.warmup":        "Steps until it is reached",
	"recipe.optimizer.schedule":      "`\"cosine\"`, `\"constant\"` or `\"reference\"`",
	"recipe.optimizer.weight_decay":  "Weight decay",
	"recipe.optimizer.clip":          "The largest norm of the gradient; 0 is none",
	"recipe.optimizer.betas":         "`[0.9, 0.999]`: decay of the running means",
	"recipe.optimizer.epsilon":       "Keeps divisions finite",
	"recipe.validation.pictures":     "How many: the last of the dataset",
	"recipe.validation.drawn":        "How many of them are drawn beside the originals, in a sheet; none by default",
	"recipe.validation.steps":        "Steps of denoising for those; the model's by default",
}

var functionGroups = []string{"boxes and shapes", "shapes from shapes", "layout", "time", "measures of pictures", "numbers", "text",
	"lists and maps", "conversion", "files", "training"}

type functionWord struct{ group, what string }

var functionWords = func() map[string]functionWord {
	out := map[string]functionWord{}
	for group, words := range map[string]map[string]string{
		"boxes and shapes": {
			"xywh":    "A box by its left and upper edge, width and height",
			"xyxy":    "A box by two corners",
			"cxcywh":  "A box by its centre, width and height",
			"ellipse": "An ellipse by its centre and radii",
			"polygon": "A polygon by a list of points `[x, y]`, inside by the even-odd rule",
			"svg":     "The inside of a closed path in SVG's syntax (`M L H V C S Q T A Z`), by the nonzero rule",
			"image": "A PNG, JPEG, WebP or TIFF of the scene's folder: as a mask, or to start from. It is read as viewers show it: turned by " +
				"its EXIF orientation, its colours converted to sRGB (not a mask's, which are data). Options of masks: `{ channel = \"alpha\" }`, " +
				"`{ fit = \"stretch\" }`, `\"cover\"`, `\"contain\"`",
			"px": "The same shape, its numbers read as pixels of the canvas",
		},
		"shapes from shapes": {
			"union":     "All of the shapes together",
			"subtract":  "The first shape without the others",
			"intersect": "What all shapes share",
			"invert":    "Everything outside the shape",
			"grow":      "The shape grown by a number of pixels; a negative one shrinks it",
			"translate": "The shape moved right by dx and down by dy",
			"scale":     "The shape made larger or smaller around its centre; a second number is for the height",
			"rotate":    "The shape turned clockwise by degrees around its centre, in pixels",
			"mirror":    "The shape turned over in its place: `\"x\"` exchanges left and right, `\"y\"` top and bottom",
		},
		"layout": {
			"above":    "A box of a width and height above the shape, centred; a third number is the gap",
			"below":    "A box below the shape, as `above`",
			"left_of":  "A box left of the shape, as `above`",
			"right_of": "A box right of the shape, as `above`",
			"inside":   "A box in the middle of the shape, so many times as wide and as high",
			"grid":     "The canvas as a list of boxes, row by row; a third number is the gap",
			"cell":     "One box of a grid: columns, rows, and which of them, counted from 0",
			"row":      "The box around the shape as a list of n boxes side by side; a third number is the gap",
			"column":   "The box around the shape as a list of n boxes one above the other; a third number is the gap",
			"center":   "The centre of the box around the shape, `[x, y]`",
			"bounds":   "The box around the shape as numbers: `x y w h`, `x0 y0 x1 y1`, `cx cy`",
			"iou":      "The area that two shapes share over the area of both, from 0 to 1",
			"area":     "The share of the canvas that the shape covers",
		},
		"time": {
			"bezier":   "An ease: CSS's `cubic-bezier(x1, y1, x2, y2)`",
			"steps":    "An ease of n equal jumps",
			"spring":   "An ease: a spring of a stiffness and damping, with the time between keys as its unit of time",
			"path":     "A line to move along, in SVG's syntax",
			"polyline": "A line through a list of points `[x, y]`",
			"spline":   "A smooth line through a list of points `[x, y]` (Catmull–Rom)",
			"orbit":    "A line around `(cx, cy)` with two radii, from an angle in degrees (0 is to the right, clockwise), so many turns",
		},
		"measures of pictures": {
			"placement": "How well what was drawn fills the entity's box, from 0 to 1: the intersection over union of the boxes. Only in checks",
			"locality": "How much of the change that the entity's prompt makes is in its region, from 0 to 1. It renders the picture once " +
				"more, without that prompt. Only in checks",
			"psnr": "How like two pictures are, in dB; 100 where they are equal. The second is a render or `image(…)`. Only in checks",
		},
		"numbers": {
			"abs": "Without its sign", "ceil": "Rounded up", "floor": "Rounded down", "log": "The logarithm to a base", "max": "The largest",
			"min":      "The smallest",
			"parseint": "A text as a whole number in a base", "pow": "A number to a power", "signum": "−1, 0 or 1", "sum": "The sum of a list",
		},
		"text": {
			"chomp": "Without line ends at its end", "format": "By a format, such as `format(\"%02d\", 7)`", "formatlist": "`format` over lists",
			"indent": "Lines after the first moved right",
			"join":   "A list as one text, with a separator", "lower": "In lower case", "upper": "In upper case",
			"regex": "The first match of a pattern", "regexall": "All matches of a pattern",
			"replace": "With every occurrence replaced; `\"/…/\"` is a pattern", "split": "Cut at a separator", "strrev": "Backwards",
			"substr": "A part, by offset and length", "title": "Words with a capital",
			"trim": "Without some characters at both ends", "trimprefix": "Without a prefix", "trimspace": "Without space at both ends",
			"trimsuffix": "Without a suffix",
			"formatdate": "A time as text, by a format: `formatdate(\"YYYY\", \"2026-01-02T03:04:05Z\")`", "timeadd": "A time and a duration later",
			"startswith": "Whether it begins so", "endswith": "Whether it ends so",
		},
		"lists and maps": {
			"chunklist": "Cut into lists of a length", "coalesce": "The first that is not null or empty",
			"coalescelist": "The first list that is not empty", "compact": "Without empty texts",
			"concat": "Lists one after the other", "contains": "Whether a list has a value", "distinct": "Each value once",
			"element": "By its index, which wraps around",
			"flatten": "Lists in lists as one list", "index": "Where a value is", "keys": "The keys of a map",
			"length": "How many elements, or characters", "lookup": "A map's value, or a default",
			"merge": "Maps together; the later wins", "range": "Numbers from, to, step", "reverse": "Backwards",
			"setintersection": "What all sets share", "setproduct": "All combinations",
			"setsubtract": "The first set without the second", "setunion": "All sets together", "slice": "A part of a list",
			"sort": "Texts in order", "values": "The values of a map", "zipmap": "A map from keys and values",
		},
		"conversion": {
			"csvdecode": "A table as a list of objects: `csvdecode(file(\"layouts.csv\"))`", "jsondecode": "JSON as a value",
			"jsonencode": "A value as JSON",
			"tobool":     "As a truth value", "tolist": "As a list", "tomap": "As a map", "tonumber": "As a number", "toset": "As a set",
			"tostring": "As a text",
			"can":      "Whether an expression has a value", "try": "The first expression that has a value",
		},
		"files": {
			"file": "The text of a file below the scene's folder, at most 1 MiB",
			"templatefile": "The same, with its `${ … }` and `%{ … }` evaluated by an object of values: `templatefile(\"prompt.tmpl\", { who = " +
				"\"a dog\" })`",
		},
		"training": {"lora": "A LoRA of a rank: what a recipe trains"},
	} {
		for name, what := range words {
			out[name] = functionWord{group, what}
		}
	}
	return out
}()
