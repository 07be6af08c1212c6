package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/hub"
	"github.com/eligen/eligen/model/backend"
	models "github.com/eligen/eligen/model/engine"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/planner"
)

// A Kit is published weights that together draw, in a form for machines of a size.
type Kit struct {
	Name  string `json:"name"`  // "flux-dev-fp8"
	Title string `json:"title"` // "FLUX.1 [dev] in 8-bit floats"
	Model string `json:"-"`     // the arguments of a scene's model block
	Page  string `json:"page"`  // where its licence is accepted, if it has to be; "" if nothing is known
	Terms string `json:"terms"` // its licence, in a word

	family, dtype string
	form          family.Form
}

// kits are the weights that setup knows, the largest of a model first.
var kits = []Kit{
	{
		Name: "flux-dev", Title: "FLUX.1 [dev] as published", Terms: "non-commercial",
		Page:  "https://huggingface.co/black-forest-labs/FLUX.1-dev",
		Model: `source = "black-forest-labs/FLUX.1-dev"`, family: "flux", form: family.Form{Transformer: "BF16", Text: "BF16"},
	},
	{
		Name: "flux-dev-int8", Title: "the same, held in 8-bit integers", Terms: "non-commercial",
		Page: "https://huggingface.co/black-forest-labs/FLUX.1-dev", Model: "source = \"black-forest-labs/FLUX.1-dev\"\n  dtype  = \"int8\"",
		family: "flux", dtype: "int8", form: family.Form{Transformer: "BF16", Text: "BF16"},
	},
	{
		Name: "flux-dev-fp8", Title: "FLUX.1 [dev] in 8-bit floats, one file", Terms: "non-commercial",
		Model:  "source = \"Comfy-Org/flux1-dev\"\n  file   = \"flux1-dev-fp8.safetensors\"",
		family: "flux", form: family.Form{Transformer: "F8_E4M3", Text: "F8_E4M3"},
	},
	{
		Name: "flux-dev-q4", Title: "FLUX.1 [dev] in 4 bits (GGUF)", Terms: "non-commercial",
		Model: `source = "city96/FLUX.1-dev-gguf"
  file   = "flux1-dev-Q4_0.gguf"
  clip   = "comfyanonymous/flux_text_encoders/clip_l.safetensors"
  t5     = "comfyanonymous/flux_text_encoders/t5xxl_fp8_e4m3fn.safetensors"
  vae    = "Comfy-Org/Lumina_Image_2.0_Repackaged/split_files/vae/ae.safetensors"`,
		family: "flux", form: family.Form{Transformer: "Q4_0", Text: "F8_E4M3"},
	},
	{
		Name: "qwen", Title: "Qwen-Image as published", Terms: "Apache 2.0", Model: `source = "Qwen/Qwen-Image"`,
		family: "qwen", form: family.Form{Transformer: "BF16", Text: "BF16"},
	},
}

// eligens are EliGen's LoRAs, by family: the arguments of a scene's adapter block.
var eligens = map[string]string{
	"flux": "source = \"modelscope:DiffSynth-Studio/Eligen\"\n  file   = \"model_bf16.safetensors\"",
	"qwen": "source = \"modelscope:DiffSynth-Studio/Qwen-Image-EliGen-V2\"\n  file   = \"model.safetensors\"",
}

// A SetupRequest asks what draws on this machine.
type SetupRequest struct {
	Memory  int64  // bytes that a render may take; 0 is the machine's memory
	Backend string // to estimate for; "" is the fastest that can be installed
	Card    string // one of Cards, to estimate for a graphics card that isn't here; "" is none
}

// A Setup is a machine, and what draws on it.
type Setup struct {
	Processors int             `json:"processors"`
	Memory     int64           `json:"memory"`      // bytes that a render may take; 0 is not known
	MemoryFrom string          `json:"memory_from"` // who says so: "this machine's memory"
	Cache      string          `json:"cache"`       // folder of downloaded models
	Free       int64           `json:"free"`        // bytes that its disk has free; 0 is not known, or another machine is meant
	Token      bool            `json:"token"`       // there is one for gated repositories
	Backend    string          `json:"backend"`     // that estimates are for
	Backends   []backend.State `json:"backends"`
	Found      []FoundModel    `json:"found"` // models that are here already
	Kits       []KitFit        `json:"kits"`
}

// A KitFit is a kit on this machine: a picture of 1024×1024 with two entities.
type KitFit struct {
	Kit
	Fits     bool   `json:"fits"`     // in memory
	Problem  string `json:"problem"`  // why it doesn't
	Download int64  `json:"download"` // bytes of its files
	Peak     int64  `json:"peak"`     // bytes of memory
	Reads    int64  `json:"reads"`    // bytes that are read from files in each step, where not all fits
	Suits    bool   `json:"suits"`    // it is the best of its model that holds its weights in memory, and on the disk
}

// setupScene is the scene that a kit is set up with.
const setupScene = `# A cat and a lamp, each where its box says.

model "%s" "base" {
  %s
}

adapter "lora" "eligen" {
  %s
}

render "shelf" {
  model    = model.%[1]s.base
  adapters = [adapter.lora.eligen]
  prompt   = "a wooden shelf in the evening, with a cat and a lamp on it"
  size     = [1024, 1024]
}

entity "cat" {
  prompt = "a grey cat, asleep"
  box    = xywh(0.08, 0.45, 0.45, 0.4)
}

entity "lamp" {
  prompt = "a brass lamp with a green shade"
  box    = xywh(0.62, 0.2, 0.28, 0.62)
}
`

// Scene returns the text of the scene that the kit is set up with.
func (k Kit) Scene() string { return fmt.Sprintf(setupScene, k.family, k.Model, eligens[k.family]) }

// FindKit returns a kit by its name.
func FindKit(name string) (Kit, error) {
	var names []string
	for _, k := range kits {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return Kit{}, Unknown("kit", name, "kit", names)
}

// Setup looks at the machine, and says which weights draw on it. It asks no hub and changes nothing.
func (a *App) Setup(ctx context.Context, q SetupRequest) (Setup, error) {
	settings, err := a.sources.settings()
	if err != nil {
		return Setup{}, err
	}
	s := Setup{
		Processors: runtime.NumCPU(), Cache: settings.Cache, Token: settings.Token != "", Backends: backend.List(), Backend: q.Backend,
	}
	if q.Card == "" {
		s.Free, _ = hub.FreeSpace(s.Cache)
		if s.Found, err = a.found(); err != nil {
			return s, err
		}
	}
	m := limit(q.Memory, "--memory", "")
	if q.Card != "" {
		card, err := FindCard(q.Card)
		if err != nil {
			return s, err
		}
		s.Backend = "xla:cuda"
		if q.Memory == 0 {
			m = card.memory()
		}
	}
	s.Memory, s.MemoryFrom = m.bytes, m.from
	if s.Backend == "" {
		s.Backend = "xla:cpu"
		if i := slices.IndexFunc(s.Backends, func(b backend.State) bool { return b.Name == "xla:cuda" && b.Ready }); i >= 0 {
			s.Backend = "xla:cuda"
		}
	}
	suited := map[string]bool{}
	for _, k := range kits {
		f, err := k.fit(ctx, s.Backend, m)
		if err != nil {
			return s, err
		}
		room := s.Free == 0 || f.Download <= s.Free
		if f.Suits = f.Fits && f.Reads == 0 && room && !suited[k.family]; f.Suits {
			suited[k.family] = true
		}
		s.Kits = append(s.Kits, f)
	}
	return s, nil
}

// fit plans a kit's scene for a machine.
func (k Kit) fit(ctx context.Context, backend string, m memoryLimit) (KitFit, error) {
	path := filepath.Join(os.TempDir(), "setup.hcl")
	text := strings.ReplaceAll(k.Scene(), "[adapter.lora.eligen]", "[]")
	scene, ds := dsl.Load(ctx, path, dsl.Vars{Unsaved: map[string][]byte{path: []byte(text)}})
	if err := ds.Err(); err != nil {
		return KitFit{}, fmt.Errorf("the scene of %s is wrong, a bug in eligen: %w", k.Name, err)
	}
	e := &models.Described{Backend: backend, Form: k.form, Memory: m.bytes}
	p, ds, err := planned(ctx, scene, e.ID(), e.Spec, planner.Options{Memory: m.bytes, MemoryFrom: m.from})
	if err != nil {
		return KitFit{}, err
	}
	f := KitFit{Kit: k, Download: e.Files}
	if ds.HasErrors() {
		f.Problem = ds.Err().Error()
		var list eligen.Diagnostics
		if errors.As(ds.Err(), &list) {
			f.Problem = list[0].Detail
		}
		return f, nil
	}
	r := p.Renders[0]
	f.Fits, f.Peak, f.Reads = true, r.Memory, r.StepReads
	return f, nil
}

// A KitRequest sets a kit up.
type KitRequest struct {
	Kit   Kit
	Scene string // file to write; one that is there is an error, unless it is what would be written

	Progress func(repo string, p hub.Progress) // may be nil
}

// SetUp writes a kit's scene, and downloads and pins what it names. What is there already isn't fetched.
func (a *App) SetUp(ctx context.Context, q KitRequest) ([]PulledRepo, error) {
	text := []byte(q.Kit.Scene())
	switch there, err := os.ReadFile(q.Scene); {
	case err == nil && !bytes.Equal(there, text):
		return nil, &InputError{Field: "scene", Problem: q.Scene + " is there already, and nothing was changed: name another file"}
	case err != nil:
		if err := os.WriteFile(q.Scene, text, 0o666); err != nil {
			return nil, err
		}
	}
	pulled, _, err := a.PullScene(ctx, PullRequest{PlanRequest: PlanRequest{Input: Input{Path: q.Scene}}, Progress: q.Progress})
	return pulled, err
}
