package dsl

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/internal/words"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// What a recipe can train.
var trainings = []string{"autoencoder", "base", "eligen", "in-context", "vision", "ip", "judge", "style"}

var (
	recipeGrammar = &grammar{
		what: "a recipe",
		optional: []string{"kind", "model", "dataset", "classes", "pictures", "size", "window", "seed", "steps", "batch", "train", "regions",
			"dropout",
			"timesteps", "weighting", "object_weight", "position_loss", "appearance_loss", "pairs", "distill", "image_prompts", "styles", "ema",
			"every"},
		blocks:  []hcl.BlockHeaderSchema{{Type: "optimizer", LabelNames: []string{"name"}}, {Type: "validation"}},
		later:   []string{"for_each", "count"},
		renamed: map[string]string{"within": "position_loss", "across": "appearance_loss", "objects": "object_weight", "words": "distill"},
		inside: map[string]string{
			"learning_rate": "optimizer", "warmup": "optimizer", "schedule": "optimizer", "weight_decay": "optimizer", "clip": "optimizer",
			"rate": "optimizer", "decay": "optimizer", "weight": "optimizer", "betas": "optimizer", "epsilon": "optimizer", "prompt": "render",
			"negative": "render",
		},
	}
	heldGrammar      = &grammar{what: "a validation", required: []string{"pictures"}, optional: []string{"drawn", "steps"}}
	dropoutGrammar   = &grammar{what: "dropout", optional: []string{"prompt", "entity"}}
	stylesGrammar    = &grammar{what: "a set of styles", optional: []string{"flat", "ink", "noto"}}
	optimizerGrammar = &grammar{what: "an optimizer", optional: []string{"learning_rate", "warmup", "schedule", "weight_decay", "clip",
		"betas", "epsilon"},
		renamed: map[string]string{"rate": "learning_rate", "decay": "schedule", "weight": "weight_decay"}}
)

// A recipeBody is a recipe block.
type recipeBody struct{ *body }

func (l *loader) recipe(block *hcl.Block) {
	b := recipeBody{l.open(block, recipeGrammar)}
	r := eligen.Recipe{Name: block.Labels[0], Source: l.source(b.rng), Model: eligen.Model{Family: "nano", Source: l.source(b.rng)}}
	r.Kind = b.kind(r.Name)
	b.model(&r.Model)
	if s, ok := b.text("dataset"); ok {
		r.Dataset = b.dataset(s)
	}
	r.Size, r.Window = b.size("size"), b.size("window")
	b.wholeTokens("size", r.Size)
	b.wholeTokens("window", r.Window)
	if r.Window.W > r.Size.W || r.Window.H > r.Size.H {
		b.errorf(b.place("window"), outOfRange, "A window is a part of a picture, and pictures are %d×%d here; say how large with \"size\".",
			r.Size.W, r.Size.H)
	}
	b.numbers(&r)
	r.Timesteps, _ = b.choice("timesteps", "logit-normal", "uniform", "reference")
	r.Weighting, _ = b.choice("weighting", "none", "reference")
	r.Rank = b.rank()
	if d, ok := b.object("dropout", dropoutGrammar); ok {
		r.Drop.Prompt, _ = d.number("prompt", 0, 1)
		r.Drop.Entity, _ = d.number("entity", 0, 1)
		b.failed = b.failed || d.failed
	}
	b.ofKind(r)
	b.styles(&r)
	if o := b.inner("optimizer"); o != nil {
		r.Optimizer = b.optimizer(o)
	}
	if v := b.inner("validation"); v != nil {
		r.Validation = b.validation(v, r)
	}
	if !b.failed {
		l.recipes = append(l.recipes, r)
	}
}

// kind returns what a recipe trains: the recipe's name, where it doesn't say.
func (b recipeBody) kind(name string) string {
	if s, ok := b.choice("kind", trainings...); ok {
		return s
	}
	if b.has("kind") {
		return ""
	}
	if !slices.Contains(trainings, name) && !b.damaged {
		b.errorf(b.rng, missing, "What does this recipe train? Set \"kind\" to %s, or give the recipe that name.", words.Quoted(trainings, "or"))
	}
	return name
}

// numbers reads how much a recipe trains, and what counts how much.
func (b recipeBody) numbers(r *eligen.Recipe) {
	if n, ok := b.whole("seed", 0, 1<<32-1); ok {
		r.Seed = uint64(n)
	}
	for _, x := range []struct {
		name      string
		low, high int64
		to        *int
	}{
		{"classes", 0, 1_000_000, &r.Classes}, {"steps", 1, 1_000_000_000, &r.Steps}, {"batch", 1, 1_000_000, &r.Batch},
		{"every", 1, 1_000_000_000, &r.Every},
		{"pictures", 0, 1_000_000_000, &r.Pictures},
	} {
		if n, ok := b.whole(x.name, x.low, x.high); ok {
			*x.to = int(n)
		}
	}
	for _, x := range []struct {
		name string
		high float64
		to   *float64
	}{
		{"regions", 1, &r.Regions}, {"object_weight", 1000, &r.Objects}, {"position_loss", 1000, &r.Within},
		{"appearance_loss", 1000, &r.Across}, {"distill", 1, &r.Words}, {"image_prompts", 1, &r.ImagePrompts},
		{"pairs", 1, &r.Pairs}, {"ema", 1, &r.EMA},
	} {
		if f, ok := b.number(x.name, 0, x.high); ok {
			*x.to = f
		}
	}
	if r.EMA == 1 {
		b.errorf(b.place("ema"), outOfRange, "\"ema\" must be less than 1: at 1 the mean would never move. 0.999 is usual, 0 is off.")
	}
}

// styles reads which share of the pictures is drawn in which style.
func (b recipeBody) styles(r *eligen.Recipe) {
	if s, ok := b.object("styles", stylesGrammar); ok {
		r.Styles = map[string]float64{}
		sum := 0.0
		for _, name := range stylesGrammar.optional {
			if share, ok := s.number(name, 0, 1); ok {
				r.Styles[name] = share
				sum += share
			}
		}
		if sum > 1 {
			b.errorf(b.place("styles"), outOfRange,
				"The styles' shares of the pictures add up to %v; they can't be more than 1. What is left is drawn in the dataset's own style.", sum)
		}
		b.failed = b.failed || s.failed
	}
}

// wholeTokens checks the size of training pictures. They are nano's: no planner, which
// judges the sizes of renders, sees a recipe.
func (b recipeBody) wholeTokens(name string, s eligen.Size) {
	token := eligen.DefaultGeometry.Token()
	for i, n := range []int{s.W, s.H} {
		if n%token != 0 {
			b.errorf(b.place(name), "Invalid size", "The %s must be a multiple of %d pixels; %d is none.", []string{"width", "height"}[i], token, n)
		}
	}
	if s.W*s.H > pixels.MaxPixels {
		b.errorf(b.place(name), "Invalid size", "%d×%d has more than 16 megapixels, which is the limit.", s.W, s.H)
	}
}

// ofKind refuses what the recipe's training has no use for.
func (b recipeBody) ofKind(r eligen.Recipe) {
	if r.Kind == "" { // it is said already that there is no such training
		return
	}
	refuse := func(name, detail string, args ...any) {
		if b.has(name) {
			b.errorf(b.place(name), notApplicable, detail, args...)
		}
	}
	if !slices.Contains([]string{"base", "eligen", "in-context"}, r.Kind) {
		refuse("position_loss", "\"position_loss\" applies where the transformer learns: kinds base, eligen and in-context, not %q. Remove it.",
			r.Kind)
	}
	if r.Kind != "base" {
		refuse("pairs", "\"pairs\" applies to kind base, not %q; in-context sees pairs alone. Remove it.", r.Kind)
	}
	if r.Kind != "in-context" && r.Pairs == 0 {
		refuse("appearance_loss", "\"appearance_loss\" applies to pairs of panels: kind in-context, and base with \"pairs\". Remove it.")
	}
	if r.Kind != "ip" {
		refuse("distill", "\"distill\" applies to an IP-Adapter: kind ip, not %q. Remove it.", r.Kind)
	}
	if r.Kind != "base" {
		refuse("image_prompts", "\"image_prompts\" applies to kind base, not %q; ip shows the style to all of its samples. Remove it.", r.Kind)
	} else if !b.has("styles") {
		refuse("image_prompts",
			"An image prompt shows a style, and this recipe has no \"styles\". Set \"styles\" to the share of each, or remove \"image_prompts\".")
	}
	if r.Kind == "in-context" {
		refuse("object_weight", "An in-context LoRA's loss counts in the object's region alone. Remove \"object_weight\".")
	}
	if r.Model.Family != "nano" {
		b.ofLarge(r, refuse)
	}
	if learns := map[string]string{
		"autoencoder": "An autoencoder learns from parts of pictures alone", "vision": "A vision tower learns from parts of pictures alone",
		"judge": "A classifier learns from objects and their names alone", "style": "A classifier learns from objects and their styles alone",
	}[r.Kind]; learns != "" {
		for _, name := range []string{"pictures", "window", "train", "regions", "dropout", "timesteps", "weighting", "object_weight"} {
			refuse(name, "%s: %q does not apply. Remove it.", learns, name)
		}
	}
}

// ofLarge refuses what trainings of nano alone have: of any other model a LoRA is trained.
func (b recipeBody) ofLarge(r eligen.Recipe, refuse func(name, detail string, args ...any)) {
	if r.Kind != "eligen" {
		b.errorf(b.place("kind"), notApplicable, "Of the family %s a LoRA is trained: set kind = \"eligen\". Kind %q is for nano.",
			r.Model.Family, r.Kind)
		return
	}
	if r.Rank == 0 {
		b.errorf(b.place("train"), missing, "Of the family %s a LoRA is trained: set train = lora(16), or another rank.", r.Model.Family)
	}
	for _, name := range []string{"window", "position_loss"} {
		refuse(name, "%q is for nano; a model of the family %s learns whole pictures by their loss alone. Remove it.", name, r.Model.Family)
	}
	if r.Steps == 0 {
		b.errorf(b.rng, missing, "A recipe needs \"steps\": how many to train for.")
	}
}

// rank reads train: "all" is 0, lora(16) is 16.
func (b recipeBody) rank() int {
	v, ok := b.value("train")
	switch {
	case !ok:
	case v.Type() == trainingType:
		return v.EncapsulatedValue().(*training).rank
	case v.Type() == cty.String && v.AsString() == "all":
	default:
		b.errorf(b.place("train"), wrongType, "\"train\" must be \"all\" or lora(rank), as lora(16); this is %s.", short(v))
	}
	return 0
}

// dataset returns "composed", or the path of a folder, found from the scene's.
func (b recipeBody) dataset(s string) string {
	if s == "composed" {
		return s
	}
	p := filepath.FromSlash(s)
	if strings.ContainsRune(s, 0) {
		b.errorf(b.place("dataset"), "Dataset not found", "The path holds a zero byte.")
		return ""
	}
	if !filepath.IsAbs(p) {
		p = filepath.Join(b.l.dir, p)
	}
	p = spelledPath(p)
	info, err := os.Stat(p)
	switch {
	case err != nil:
		b.errorf(b.place("dataset"), "Dataset not found", "There is no folder %s. A dataset is \"composed\", or a folder in EliGen's format; "+
			"relative paths start at the scene's folder.%s", p, didYouMean(s, []string{"composed"}))
	case !info.IsDir():
		b.errorf(b.place("dataset"), "Dataset not found", "%s is no folder.", p)
	}
	return p
}

// validation reads how many pictures are kept out of the training, and how many of those are drawn.
func (b recipeBody) validation(block *hcl.Block, r eligen.Recipe) (out eligen.Validation) {
	v := b.child(block, heldGrammar)
	defer func() { b.failed = b.failed || v.failed }()
	if r.Model.Family == "nano" {
		v.errorf(block.DefRange, notApplicable, "Trainings of nano are judged by composed pictures, and by `eligen eval`. Remove the block.")
	}
	if n, ok := v.whole("pictures", 1, 1_000_000); ok {
		out.Pictures = int(n)
	}
	if n, ok := v.whole("drawn", 0, 64); ok {
		out.Drawn = int(n)
		if out.Drawn > out.Pictures && out.Pictures > 0 {
			v.errorf(v.place("drawn"), outOfRange, "%d can't be drawn of the %d that are kept out of the training.", out.Drawn, out.Pictures)
		}
	}
	if n, ok := v.whole("steps", 1, 1000); ok {
		out.Steps = int(n)
		if out.Drawn == 0 {
			v.errorf(v.place("steps"), notApplicable, "These are the steps of the pictures that are drawn, and none is: set \"drawn\" too.")
		}
	}
	return out
}

func (b recipeBody) optimizer(block *hcl.Block) eligen.Optimizer {
	o := b.child(block, optimizerGrammar)
	defer func() { b.failed = b.failed || o.failed }()
	kinds := []string{"adamw", "muon"}
	if name := block.Labels[0]; !slices.Contains(kinds, name) {
		o.errorf(block.LabelRanges[0], "Unknown value", "There is no optimizer %q; there are \"adamw\" and \"muon\".%s", name,
			didYouMean(name, kinds))
	}
	out := eligen.Optimizer{Kind: block.Labels[0]}
	if f, ok := o.number("learning_rate", 0, 10); ok {
		out.Rate = f
		if f == 0 {
			o.errorf(o.place("learning_rate"), outOfRange, "\"learning_rate\" must be greater than 0, else nothing is learnt.")
		}
	}
	if n, ok := o.whole("warmup", 0, 1_000_000_000); ok {
		out.Warmup = int(n)
	}
	out.Decay, _ = o.choice("schedule", "cosine", "constant", "reference")
	out.Weight, _ = o.number("weight_decay", 0, 10)
	out.Clip, _ = o.number("clip", 0, 1e6)
	out.Epsilon, _ = o.number("epsilon", 0, 1)
	if values, places, ok := o.elements("betas", "[beta1, beta2], as [0.9, 0.999]"); ok {
		if len(values) != 2 {
			o.errorf(o.place("betas"), wrongType, "\"betas\" must be [beta1, beta2], as [0.9, 0.999]; this has %d elements.", len(values))
			return out
		}
		for i, v := range values {
			if !v.IsKnown() {
				continue
			}
			v, err := toType(v, cty.Number)
			if err != nil || v.IsNull() {
				o.errorf(places[i], wrongType, "A beta must be a number; this is %s.", short(values[i]))
				continue
			}
			f, _ := v.AsBigFloat().Float64()
			if f < 0 || f >= 1 {
				o.errorf(places[i], outOfRange, "A beta must be at least 0 and less than 1, not %v.", f)
				continue
			}
			out.Betas[i] = f
		}
	}
	return out
}
