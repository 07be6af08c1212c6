package lora

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/names"
)

// The formats of LoRA files, by whose names they use.
const (
	Native     = "native"     // DiffSynth-Studio: blocks.0.attn.a_to_qkv.lora_A[.default].weight
	Kohya      = "kohya"      // lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight, .alpha
	Diffusers  = "diffusers"  // PEFT: transformer.transformer_blocks.0.attn.to_q.lora_A.weight
	BFL        = "bfl"        // double_blocks.0.img_attn.qkv.lora_A.weight
	OneTrainer = "onetrainer" // lora_transformer_transformer_blocks_0_attn_to_q.lora_down.weight
	LyCORIS    = "lycoris"    // lycoris_transformer_blocks_0_attn_to_q.lokr_w1
	XLabs      = "xlabs"      // double_blocks.0.processor.qkv_lora1.down.weight
)

// A Part is the component of a model that a file's tensors are for.
type Part string

// The parts that LoRAs are trained for.
const (
	Transformer Part = ""
	CLIP        Part = "CLIP"
	T5          Part = "T5"
)

// target is the module that a file's name means, or some of its rows.
type target struct {
	part   Part
	module names.Module
	rows   int // part of module.Diffusers; all or qkv
	format string
	swap   bool // the halves of its rows are the other way round than the module's
	scale  bool // the name is that of a norm's scale itself, not of its module
}

// Rows of a module, where they are no single part of it.
const (
	all = -1
	qkv = -2 // queries, keys and values: the first three parts
)

// weight returns the name of the module's weight, or of its scale.
func (t target) weight() string {
	if t.module.Norm && t.part == Transformer {
		return t.module.BFL + ".scale"
	}
	return t.module.BFL + ".weight"
}

// rowsOf returns the rows of the target in a weight [out, in].
func (t target) rowsOf(shape []int) (from, to int) {
	switch t.rows {
	case all:
		return 0, shape[0]
	case qkv:
		return 0, 3 * shape[1]
	}
	return t.module.PartRows(t.rows, shape)
}

// A dictionary has every spelling of every module, in a model that has as many blocks as a
// file's names say.
type dictionary struct {
	dotted     map[string]target
	underlined map[string]target // by names with underscores for dots
	encoders   map[Part]map[string]target
}

// newDictionary makes the dictionary that a file's tensors need.
func newDictionary(model Model, tensors []tensor.Info) dictionary {
	blocks := 0
	for _, t := range tensors {
		for _, s := range strings.FieldsFunc(t.Name, func(r rune) bool { return r == '.' || r == '_' }) {
			// No FLUX comes near a thousand blocks; a larger number is not one.
			if n, err := strconv.Atoi(s); err == nil && n >= blocks && n < 1000 {
				blocks = n + 1
			}
		}
	}
	d := dictionary{dotted: map[string]target{}, underlined: map[string]target{}, encoders: map[Part]map[string]target{CLIP: {}, T5: {}}}
	for _, m := range model.modules(blocks) {
		d.add(m)
	}
	for part, list := range map[Part][]names.Module{CLIP: names.CLIPModules(blocks), T5: names.T5Modules(blocks)} {
		for _, m := range list {
			t := target{part: part, module: m, rows: all}
			d.encoders[part][m.BFL], d.encoders[part][underlined(m.BFL)] = t, t
			if m.Norm {
				t.scale = true
				d.encoders[part][m.BFL+".weight"] = t
			}
		}
	}
	return d
}

// add takes in the names of a module of the transformer.
func (d dictionary) add(m names.Module) {
	put := func(name string, t target) {
		if _, taken := d.dotted[name]; taken {
			return
		}
		d.dotted[name], d.underlined[underlined(name)] = t, t
	}
	own := BFL
	if len(m.Diffusers) == 1 && m.BFL == m.Diffusers[0] { // Qwen-Image's only names
		own = Diffusers
	}
	put(m.BFL, target{module: m, rows: all, format: own})
	put(m.Native, target{module: m, rows: all, format: Native})
	for i, name := range m.Diffusers {
		t := target{module: m, rows: i, format: Diffusers, swap: m.Swap}
		if len(m.Diffusers) == 1 {
			t.rows = all
		}
		put(name, t)
		if m.Norm {
			t.scale = true
			put(name+".weight", t)
		}
	}
	if m.Norm {
		put(m.BFL+".scale", target{module: m, rows: all, format: BFL, scale: true})
	}
	// XLabs: "1" is the picture's stream, "2" the text's.
	block, layer, _ := cutBlock(m.BFL)
	for _, x := range []struct {
		layer, name string
		rows        int
	}{
		{"img_attn.qkv", "qkv_lora1", all}, {"img_attn.proj", "proj_lora1", all}, {"txt_attn.qkv", "qkv_lora2", all},
		{"txt_attn.proj", "proj_lora2", all}, {"linear1", "qkv_lora", qkv}, {"linear2", "proj_lora", all},
	} {
		if layer == x.layer {
			put(block+".processor."+x.name, target{module: m, rows: x.rows, format: XLabs})
		}
	}
}

// cutBlock takes "double_blocks.0.img_attn.qkv" apart into its block and the layer in it.
func cutBlock(name string) (block, layer string, ok bool) {
	parts := strings.SplitN(name, ".", 3)
	if len(parts) < 3 || !strings.HasSuffix(parts[0], "_blocks") {
		return "", name, false
	}
	return parts[0] + "." + parts[1], parts[2], true
}

func underlined(name string) string { return strings.ReplaceAll(name, ".", "_") }

// prefixes are what trainers put before names with dots, one or several of them.
var prefixes = []string{"base_model.model.", "transformer.", "diffusion_model.", "pipe.dit.", "unet."}

// underlinedPrefixes are what stands before names with underscores, with the trainers' formats.
var underlinedPrefixes = []struct{ prefix, format string }{
	{"lora_unet_", ""}, {"lora_transformer_", OneTrainer}, {"lycoris_", LyCORIS},
}

// encoderPrefixes are what text encoders' names begin with: sd-scripts', OneTrainer's,
// diffusers' and ComfyUI's.
var encoderPrefixes = []struct {
	prefix string
	part   Part
}{
	{"lora_te1_", CLIP}, {"lora_te2_", T5}, {"lora_te3_", T5}, {"lora_te_", CLIP},
	{"text_encoder_2.", T5}, {"text_encoder_3.", T5}, {"text_encoder.", CLIP},
	{"text_encoders.t5xxl.transformer.", T5}, {"text_encoders.clip_l.transformer.", CLIP},
	{"text_encoders.t5", T5}, {"text_encoders.clip", CLIP},
	{"t5xxl.transformer.", T5}, {"clip_l.transformer.", CLIP},
}

// embeddings begin the names of tensors that are no weights but words.
const embeddings = "bundle_emb."

// trim takes off what trainers put before a module's name with dots.
func trim(stem string) string {
	for {
		cut := stem
		for _, p := range prefixes {
			cut = strings.TrimPrefix(cut, p)
		}
		if cut == stem {
			return stem
		}
		stem = cut
	}
}

// encoder returns the text encoder that a name belongs to, and the rest of the name.
func encoder(stem string) (part Part, rest string, ok bool) {
	stem = strings.TrimPrefix(stem, "base_model.model.")
	for _, p := range encoderPrefixes {
		if rest, ok := strings.CutPrefix(stem, p.prefix); ok {
			return p.part, rest, true
		}
	}
	switch {
	case strings.HasPrefix(stem, "text_model."):
		return CLIP, stem, true
	case strings.HasPrefix(stem, "encoder.block."):
		return T5, stem, true
	}
	return Transformer, "", false
}

// find returns what a name means. encoder is the text encoder that it belongs to, even where
// that has no such layer.
func (d dictionary) find(stem string) (t target, encoderOf Part, ok bool) {
	if part, rest, found := encoder(stem); found {
		t, ok = d.encoders[part][rest]
		return t, part, ok
	}
	if t, ok = d.dotted[trim(stem)]; ok {
		return t, Transformer, true
	}
	for _, p := range underlinedPrefixes {
		rest, found := strings.CutPrefix(stem, p.prefix)
		if !found {
			continue
		}
		if t, ok = d.underlined[rest]; !ok {
			t, ok = d.underlined[strings.TrimPrefix(rest, "transformer_")]
		}
		switch {
		case p.format != "":
			t.format = p.format
		case t.format == BFL:
			t.format = Kohya
		}
		return t, Transformer, ok
	}
	return t, Transformer, false
}

// Roles of tensors in a module of a file.
const (
	down      = "down" // A [rank, in]
	up        = "up"   // B [out, rank]
	upBias    = "up.bias"
	alphaRole = "alpha"
	rowNorms  = "lora_magnitude_vector" // PEFT's
	doraScale = "dora_scale"            // LyCORIS'
	diff      = "diff"
	diffBias  = "diff_b"
)

// suffixes tell a tensor's role by how its name ends. PEFT may put the adapter's name before
// ".weight".
var suffixes = []struct {
	fits *regexp.Regexp
	role string
}{
	{regexp.MustCompile(`^(.*)\.(?:lora_A(?:\.[^.]+)?|lora_down(?:\.[^.]+)?|lora\.down|lora_linear_layer\.down)\.weight$`), down},
	{regexp.MustCompile(`^(.*)\.(?:lora_B(?:\.[^.]+)?|lora_up(?:\.[^.]+)?|lora\.up|lora_linear_layer\.up)\.weight$`), up},
	{regexp.MustCompile(`^(.*_lora\d*)\.down\.weight$`), down},
	{regexp.MustCompile(`^(.*_lora\d*)\.up\.weight$`), up},
	{regexp.MustCompile(`^(.*)\.(?:lora_B(?:\.[^.]+)?|lora_up(?:\.[^.]+)?|lora\.up)\.bias$`), upBias},
	{regexp.MustCompile(`^(.*)\.lora_magnitude_vector(?:\.[^.]+)?$`), rowNorms},
	{regexp.MustCompile(`^(.*)\.lora_magnitude_vector\.[^.]+\.weight$`), rowNorms},
	{regexp.MustCompile(`^(.*)\.dora_scale$`), doraScale},
	{regexp.MustCompile(`^(.*)\.(?:diff|w_norm)$`), diff},
	{regexp.MustCompile(`^(.*)\.(?:diff_b|b_norm)$`), diffBias},
}

// lycoris ends the names of LyCORIS' factors, which PEFT may follow by the adapter's name.
var lycoris = regexp.MustCompile(`^(.*)\.(lokr_(?:w1|w1_a|w1_b|w2|w2_a|w2_b)|hada_(?:w1_a|w1_b|w2_a|w2_b))(?:\.[^.]+)?$`)

// split takes a key apart into the module's name and the tensor's role; "" where it has none.
func split(name string) (stem, role string) {
	if stem, ok := strings.CutSuffix(name, ".alpha"); ok {
		return stem, alphaRole
	}
	for _, s := range suffixes {
		if m := s.fits.FindStringSubmatch(name); m != nil {
			return m[1], s.role
		}
	}
	if m := lycoris.FindStringSubmatch(name); m != nil {
		return m[1], m[2]
	}
	return name, ""
}

// Is reports whether a tensor's name is one that LoRA files have, or files of its
// relatives that eligen doesn't read.
func Is(name string) bool {
	_, role := split(name)
	return role != "" && role != alphaRole || otherKind(name) != ""
}

// otherKind names the kind of file that has such names, where eligen reads none of it; "" for none.
func otherKind(list ...string) string {
	for _, k := range []struct{ part, name string }{
		{".oft_", "OFT"}, {".boft_", "BOFT"}, {".lokr_t2", "LoKr in Tucker's form"}, {".hada_t1", "LoHa in Tucker's form"},
		{".hada_t2", "LoHa in Tucker's form"}, {".lora_mid.", "LoRA in Tucker's form"}, {".ia3_l", "IA3"}, {".vera_lambda_", "VeRA"},
	} {
		if slices.ContainsFunc(list, func(name string) bool { return strings.Contains(name, k.part) }) {
			return k.name
		}
	}
	return ""
}
