package layouts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen"
)

// A schema is what ComfyUI's /object_info says of a node: its inputs' types, and its outputs'. Those of
// core nodes are as of ComfyUI 0.3, those of AttentionCouplePPM as of ComfyUI-ppm. A "?" is optional.
type schema struct {
	inputs  map[string]string
	outputs []string
}

var schemas = map[string]schema{
	"UNETLoader": {map[string]string{"unet_name": "COMBO", "weight_dtype": "COMBO"}, []string{"MODEL"}},
	"DualCLIPLoader": {map[string]string{"clip_name1": "COMBO", "clip_name2": "COMBO", "type": "COMBO", "device": "COMBO?"},
		[]string{"CLIP"}},
	"VAELoader":      {map[string]string{"vae_name": "COMBO"}, []string{"VAE"}},
	"CLIPTextEncode": {map[string]string{"text": "STRING", "clip": "CLIP"}, []string{"CONDITIONING"}},
	"ConditioningCombine": {map[string]string{"conditioning_1": "CONDITIONING", "conditioning_2": "CONDITIONING"},
		[]string{"CONDITIONING"}},
	"ConditioningSetAreaPercentage": {map[string]string{"conditioning": "CONDITIONING", "width": "FLOAT", "height": "FLOAT", "x": "FLOAT",
		"y": "FLOAT", "strength": "FLOAT"}, []string{"CONDITIONING"}},
	"ConditioningSetMask": {map[string]string{"conditioning": "CONDITIONING", "mask": "MASK", "strength": "FLOAT",
		"set_cond_area": "COMBO"},
		[]string{"CONDITIONING"}},
	"LoadImageMask": {map[string]string{"image": "COMBO", "channel": "COMBO"}, []string{"MASK"}},
	"SolidMask":     {map[string]string{"value": "FLOAT", "width": "INT", "height": "INT"}, []string{"MASK"}},
	"MaskComposite": {map[string]string{"destination": "MASK", "source": "MASK", "x": "INT", "y": "INT", "operation": "COMBO"},
		[]string{"MASK"}},
	"FluxGuidance": {map[string]string{"conditioning": "CONDITIONING", "guidance": "FLOAT"}, []string{"CONDITIONING"}},
	"EmptySD3LatentImage": {map[string]string{"width": "INT", "height": "INT", "batch_size": "INT"},
		[]string{"LATENT"}},
	"KSampler": {map[string]string{"model": "MODEL", "seed": "INT", "steps": "INT", "cfg": "FLOAT", "sampler_name": "COMBO",
		"scheduler": "COMBO",
		"positive":  "CONDITIONING", "negative": "CONDITIONING", "latent_image": "LATENT", "denoise": "FLOAT"}, []string{"LATENT"}},
	"VAEDecode": {map[string]string{"samples": "LATENT", "vae": "VAE"}, []string{"IMAGE"}},
	"SaveImage": {map[string]string{"images": "IMAGE", "filename_prefix": "STRING"}, nil},
	"AttentionCouplePPM": {map[string]string{"model": "MODEL", "base_cond": "CONDITIONING", "base_mask": "MASK", "cond_1": "CONDITIONING",
		"mask_1": "MASK", "cond_2": "CONDITIONING?", "mask_2": "MASK?"}, []string{"MODEL"}},
}

// valid lists what ComfyUI's own validation would refuse: unknown nodes and inputs, missing ones, links
// of the wrong type or to nowhere, circles, and a graph without an output.
func valid(t *testing.T, data []byte) (wrong []string) {
	t.Helper()
	v, err := wholeJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	done, saved := map[string]string{}, 0
	for _, n := range v.obj { // written in the order in which they run: a link goes back, so there is no circle
		class := n.get("class_type").text()
		s, ok := schemas[class]
		if !ok {
			wrong = append(wrong, "unknown class "+class)
		}
		for name, kind := range s.inputs {
			if !strings.HasSuffix(kind, "?") && !n.get("inputs").has(name) {
				wrong = append(wrong, class+" has no "+name)
			}
		}
		for _, in := range n.get("inputs").obj {
			kind := strings.TrimSuffix(s.inputs[in.name], "?")
			got := map[byte]string{'s': "STRING", 'n': "NUMBER"}[in.kind]
			if in.isList() {
				slot, _ := in.arr[1].integer()
				from := schemas[done[in.arr[0].text()]].outputs
				if slot >= len(from) {
					wrong = append(wrong, class+"."+in.name+" leads nowhere")
					continue
				}
				got = from[slot]
			}
			same := got == kind || got == "STRING" && kind == "COMBO" || got == "NUMBER" && (kind == "INT" &&
				!strings.Contains(in.num, ".") || kind == "FLOAT")
			if !same {
				wrong = append(wrong, class+"."+in.name+" is "+got+", and not "+kind)
			}
		}
		if class == "SaveImage" {
			saved++
		}
		done[n.name] = class
	}
	if saved != 1 {
		wrong = append(wrong, "no single output")
	}
	return wrong
}

// exported is a render with a box and a shape that is none.
var exported = View{Name: "pond", Size: eligen.Size{W: 64, H: 32}, Prompt: `a "pond"`, Seed: 7, Entities: []eligen.Entity{
	{Name: "duck", Address: "entity.duck", Prompt: "a duck", Region: eligen.Box(0.25, 0, 0.5, 1), Strength: 1},
	{Name: "sun", Address: `entity.sun["near"]`, Prompt: "a sun", Region: eligen.Region{Kind: "ellipse", Numbers: []float64{0.75,
		0.5, 0.2, 0.4}}, Strength: 1},
}}

// TestExportComfyUI: the graphs are such as ComfyUI loads, by the schemas of their nodes.
func TestExportComfyUI(t *testing.T) {
	for _, to := range []string{"comfyui", "comfyui-couple"} {
		e, err := ExportTo(to, "pond", []View{exported})
		if err != nil {
			t.Fatal(err)
		}
		if wrong := valid(t, e.Text); len(wrong) > 0 {
			t.Errorf("%s: %s\n%s", to, strings.Join(wrong, "\n"), e.Text)
		}
		if len(e.Files) != 1 || e.Files["pond-sun__near.png"] == nil {
			t.Errorf("%s: the files are %v", to, len(e.Files))
		}
	}
	if wrong := valid(t, []byte(`{"1": {"class_type": "VAEDecode", "inputs": {"samples": ["9", 0]}}}`)); len(wrong) != 3 {
		t.Errorf("a wrong graph passes: %v", wrong)
	}
}

// TestExportArea: the area of a polygon in COCO is the polygon's, whichever way it goes round, and not its box's.
func TestExportArea(t *testing.T) {
	for _, corners := range [][]float64{{0, 0, 1, 0, 0, 1}, {0, 0, 0, 1, 1, 0}} {
		v := exported
		v.Entities = []eligen.Entity{{Name: "sail", Address: "entity.sail", Prompt: "a sail", Strength: 1,
			Region: eligen.Region{Kind: "polygon", Numbers: corners}}}
		e, err := ExportTo("coco", "pond", []View{v})
		if err != nil {
			t.Fatal(err)
		}
		out, err := wholeJSON(e.Text)
		if err != nil {
			t.Fatal(err)
		}
		if a := out.get("annotations").first().get("area").text(); a != "1024" { // half of 64×32
			t.Errorf("%v: an area of %s", corners, a)
		}
	}
}

// TestExportSays: what a form can't hold is said.
func TestExportSays(t *testing.T) {
	v := exported
	v.Negative, v.Moves, v.Overlap = "text", true, "over"
	v.Entities = slices.Clone(v.Entities)
	v.Entities[0].Strength = 0.5
	for _, to := range []string{"ideogram4", "flux3"} {
		e, err := ExportTo(to, "pond", []View{v})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"pond moves", `entity.sun["near"]`, "strength of entity.duck", "seed", "negative", "overlap", "size"} {
			if !slices.ContainsFunc(e.Said, func(s string) bool { return strings.Contains(s, want) }) {
				t.Errorf("%s says nothing of %s: %v", to, want, e.Said)
			}
		}
	}
}

// TestExportScripts: the scripts are Python.
func TestExportScripts(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	for _, to := range []string{"diffusers", "diffsynth"} {
		e, err := ExportTo(to, "pond", []View{exported})
		if err != nil {
			t.Fatal(err)
		}
		c := exec.CommandContext(t.Context(), python, "-c", "import ast, sys; ast.parse(sys.stdin.read())")
		c.Stdin = bytes.NewReader(e.Text)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s\n%s", to, err, out, e.Text)
		}
		if !strings.Contains(string(e.Text), `"a \"pond\""`) {
			t.Errorf("%s: the prompt isn't quoted\n%s", to, e.Text)
		}
	}
}

// packageOf returns the folder of a package that ELIGEN_PYTHON has, or skips.
func packageOf(t *testing.T, name string) string {
	t.Helper()
	interpreter := os.Getenv("ELIGEN_PYTHON")
	if interpreter == "" {
		t.Skip("ELIGEN_PYTHON names no interpreter that could have " + name)
	}
	find := "import importlib.util as u, sys; print(u.find_spec(sys.argv[1]).submodule_search_locations[0])"
	out, err := exec.Command(interpreter, "-c", find, name).Output()
	if err != nil {
		t.Skip(interpreter + " has no " + name)
	}
	return strings.TrimSpace(string(out))
}

// TestSchemasAreComfyUIs holds the schemas above to two packages that ComfyUI installs: the documentation of each core
// node names its inputs, and the nodes of its template graphs have their types, their outputs and the values of menus.
func TestSchemasAreComfyUIs(t *testing.T) {
	docs := filepath.Join(packageOf(t, "comfyui_embedded_docs"), "docs")
	found := templateNodes(t, filepath.Join(packageOf(t, "comfyui_workflow_templates_json"), "templates"))
	typed := 0
	for class, s := range schemas {
		if class == "AttentionCouplePPM" {
			continue // of ComfyUI-ppm, which is no package
		}
		page, err := os.ReadFile(filepath.Join(docs, class, "en.md"))
		if err != nil {
			t.Errorf("ComfyUI documents no %s: %v", class, err)
			continue
		}
		for name, kind := range s.inputs {
			if !strings.HasSuffix(kind, "?") && !regexp.MustCompile("(?im)^\\| *`?"+name+"`? *\\|").Match(page) {
				t.Errorf("the documentation of %s has no input %s", class, name)
			}
			if is := found[class].inputs[name]; is != "" {
				if typed++; is != strings.TrimSuffix(kind, "?") {
					t.Errorf("%s.%s is %s in ComfyUI's graphs, and not %s", class, name, is, kind)
				}
			}
		}
		for i, is := range found[class].outputs {
			if class != "SaveImage" && (i >= len(s.outputs) || is != s.outputs[i]) {
				t.Errorf("output %d of %s is %s in ComfyUI's graphs, of %v", i, class, is, s.outputs)
			}
		}
	}
	if typed < 20 {
		t.Errorf("only %d inputs have types in ComfyUI's graphs", typed)
	}
	e, err := ExportTo("comfyui", "pond", []View{exported})
	if err != nil {
		t.Fatal(err)
	}
	v, err := wholeJSON(e.Text)
	if err != nil {
		t.Fatal(err)
	}
	menus := 0
	for _, n := range v.obj {
		class := n.get("class_type").text()
		for _, in := range n.get("inputs").obj {
			file := strings.HasSuffix(in.name, "_name") && in.name != "sampler_name" || class == "LoadImageMask"
			if file || schemas[class].inputs[in.name] != "COMBO" || len(found[class].values) == 0 {
				continue // or no graph has it
			}
			if menus++; !found[class].values[in.text()] {
				t.Errorf("no graph of ComfyUI's has %s.%s = %q", class, in.name, in.text())
			}
		}
	}
	if menus < 4 {
		t.Errorf("only %d menus were compared", menus)
	}
}

// A comfyNode is what graphs have of a class.
type comfyNode struct {
	inputs  map[string]string
	outputs []string
	values  map[string]bool
}

// templateNodes reads the nodes of all graphs in a folder, subgraphs included, by their class.
func templateNodes(t *testing.T, folder string) map[string]comfyNode {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(paths) < 100 {
		t.Fatal(len(paths), err)
	}
	type socket struct{ Name, Type any }
	type graph struct {
		Nodes []struct {
			Type    string
			Inputs  []socket
			Outputs []socket
			Values  json.RawMessage `json:"widgets_values"`
		}
		Definitions struct{ Subgraphs []json.RawMessage }
	}
	out := map[string]comfyNode{}
	var add func(data []byte)
	add = func(data []byte) {
		var g graph
		if json.Unmarshal(data, &g) != nil {
			return // no graph: an index
		}
		for _, n := range g.Nodes {
			k, ok := out[n.Type]
			if !ok {
				k = comfyNode{inputs: map[string]string{}, values: map[string]bool{}}
			}
			for _, in := range n.Inputs {
				k.inputs[fmt.Sprint(in.Name)] = fmt.Sprint(in.Type)
			}
			if len(n.Outputs) > 0 {
				k.outputs = nil
				for _, o := range n.Outputs {
					k.outputs = append(k.outputs, fmt.Sprint(o.Type))
				}
			}
			var values []any
			if json.Unmarshal(n.Values, &values) == nil {
				for _, v := range values {
					k.values[fmt.Sprint(v)] = true
				}
			}
			out[n.Type] = k
		}
		for _, s := range g.Definitions.Subgraphs {
			add(s)
		}
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		add(data)
	}
	return out
}
