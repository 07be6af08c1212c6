package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/model/flux"
)

// A memoryCase is a picture whose memory is measured.
type memoryCase struct {
	flux           fluxShape // zero: the embedded model
	side, entities int
	more           []string // of caseExtras
}

// caseExtras are what a case may have beside its size and entities. FLUX.1's weights are zero
// unless they are random: those take disk, and what is computed with them.
// Of forms, fp8 and q4_0 are those of the files, and int8 and int4 are made of bfloat16; stream has 10 GiB,
// small 2.
var caseExtras = []string{"negative", "inpaint", "image", "random", "fp8", "q4_0", "int8", "int4", "stream", "small"}

// form returns the form that a case's files are in.
func (c memoryCase) form() string {
	switch {
	case slices.Contains(c.more, "fp8"):
		return "F8_E4M3"
	case slices.Contains(c.more, "q4_0"):
		return "Q4_0"
	}
	return "BF16"
}

// folder is where a case's files are.
func (c memoryCase) folder() string {
	if c.form() == "BF16" {
		return c.flux.String()
	}
	return c.flux.String() + "-" + strings.ToLower(c.form())
}

// dtype is what a case's scene says of it; "" for nothing.
func (c memoryCase) dtype() string {
	for _, d := range []string{"int8", "int4"} {
		if slices.Contains(c.more, d) {
			return d
		}
	}
	return ""
}

// limit is the value of --memory.
func (c memoryCase) limit() string {
	switch {
	case slices.Contains(c.more, "stream"):
		return "10GiB"
	case slices.Contains(c.more, "small"):
		return "2GiB"
	}
	return "any"
}

// readMemoryCases reads cases separated by commas: 1024/4, flux/256/0, flux-2-4/256/1/negative.
func readMemoryCases(list []string) (cases []memoryCase, err error) {
	for _, s := range list {
		c, err := readMemoryCase(s)
		if err != nil {
			return nil, fmt.Errorf("-memory %s: %w", s, err)
		}
		cases = append(cases, c)
	}
	return cases, nil
}

func readMemoryCase(s string) (c memoryCase, err error) {
	words := strings.Split(s, "/")
	if model, ok := strings.CutPrefix(words[0], "flux"); ok {
		c.flux = fluxShape{flux.Dev.Double, flux.Dev.Single}
		if model != "" {
			if _, err := fmt.Sscanf(model, "-%d-%d", &c.flux.double, &c.flux.single); err != nil ||
				c.flux.double <= 0 || c.flux.single < 0 {
				return c, errors.New("write FLUX.1's shape with two double and four single blocks as flux-2-4, the whole as flux")
			}
		}
		words = words[1:]
	}
	if len(words) < 2 {
		return c, errors.New("a case is a side in pixels and a number of entities, as 1024/4")
	}
	if _, err := fmt.Sscanf(words[0]+"/"+words[1], "%d/%d", &c.side, &c.entities); err != nil || c.side <= 0 || c.entities < 0 {
		return c, errors.New("a case is a side in pixels and a number of entities, as 1024/4")
	}
	for _, w := range words[2:] {
		if !slices.Contains(caseExtras, w) {
			return c, fmt.Errorf("%q is none of %s", w, strings.Join(caseExtras, ", "))
		}
	}
	if c.more = words[2:]; c.entities == 0 && slices.Contains(c.more, "inpaint") {
		return c, errors.New("what is painted into a picture is entities, and there are none")
	}
	return c, nil
}

func (c memoryCase) String() string {
	s := fmt.Sprintf("%d×%d, %d entities", c.side, c.side, c.entities)
	if c.flux != (fluxShape{}) {
		s = c.flux.String() + ", " + s
	}
	return strings.Join(append([]string{s}, c.more...), ", ")
}

// memoryCases lists the cases that promises are compared with, those that take little
// first.
func memoryCases(quick bool) (list []memoryCase) {
	sides, entities := []int{256, 512, 1024, 1536}, []int{0, 4, 50, 200}
	if quick {
		sides, entities = sides[:2], entities[:3]
	}
	for _, side := range sides {
		for _, n := range entities {
			list = append(list, memoryCase{side: side, entities: n})
		}
	}
	return list
}

// scene writes the case's scene file: entities in a grid, and two steps, since each step
// takes what the one before it did.
func (c memoryCase) scene() string {
	var b strings.Builder
	adapters := []string{}
	if c.flux != (fluxShape{}) {
		fmt.Fprintf(&b, "model \"flux\" \"m\" {\n  source = \"./%s\"\n", c.folder())
		if d := c.dtype(); d != "" {
			fmt.Fprintf(&b, "  dtype = %q\n", d)
		}
		b.WriteString("}\n\n")
	} else {
		b.WriteString("model \"nano\" \"m\" {}\n\n")
		if c.entities > 0 {
			b.WriteString("adapter \"lora\" \"eligen\" {}\n\n")
			adapters = append(adapters, "adapter.lora.eligen")
		}
	}
	if slices.Contains(c.more, "image") {
		b.WriteString("adapter \"ip\" \"style\" {\n  image = image(\"picture.png\")\n")
		if c.flux != (fluxShape{}) {
			fmt.Fprintf(&b, "  source = \"./%s/ip-adapter.safetensors\"\n  encoder = \"./%[1]s/siglip\"\n", c.folder())
		}
		b.WriteString("}\n\n")
		adapters = append(adapters, "adapter.ip.style")
	}
	fmt.Fprintf(&b, "render \"memory\" {\n  model    = model.%s.m\n  adapters = [%s]\n  prompt   = \"a meadow\"\n"+
		"  size     = [%d, %d]\n  sampler { steps = 2 }\n",
		c.family(), strings.Join(adapters, ", "), c.side, c.side)
	if slices.Contains(c.more, "negative") {
		b.WriteString("  negative = \"a sun\"\n")
	}
	if slices.Contains(c.more, "inpaint") {
		b.WriteString("  inpaint {\n    image = image(\"picture.png\")\n  }\n")
	}
	b.WriteString("}\n")
	columns := int(math.Ceil(math.Sqrt(float64(c.entities))))
	for i := range c.entities {
		d := 1 / float64(columns)
		fmt.Fprintf(&b, "\nentity \"e%d\" {\n  prompt = \"a cat\"\n  box    = xywh(%.4f, %.4f, %.4f, %.4f)\n}\n",
			i, float64(i%columns)*d,
			float64(i/columns)*d, 0.98*d, 0.98*d)
	}
	return b.String()
}

// family returns the case's family of models.
func (c memoryCase) family() string {
	if c.flux != (fluxShape{}) {
		return "flux"
	}
	return "nano"
}

// files writes what the case's scene reads.
func (c memoryCase) files(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "memory.hcl"), []byte(c.scene()), 0o644); err != nil {
		return err
	}
	if slices.Contains(c.more, "inpaint") || slices.Contains(c.more, "image") {
		if err := writePicture(filepath.Join(dir, "picture.png"), c.side); err != nil {
			return err
		}
	}
	if folder := filepath.Join(dir, c.folder()); c.family() == "flux" {
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
			if err := removeFlux(dir); err != nil {
				return err
			}
			return writeFlux(folder, c.flux, slices.Contains(c.more, "random"), c.form())
		}
	}
	return nil
}

// removeFlux removes the weights of other cases: each form of the whole takes tens of gigabytes.
func removeFlux(dir string) error {
	list, err := filepath.Glob(filepath.Join(dir, "flux-*"))
	for _, folder := range list {
		err = errors.Join(err, os.RemoveAll(folder))
	}
	return err
}

// writePicture writes a picture of a side.
func writePicture(path string, side int) error {
	m := image.NewNRGBA(image.Rect(0, 0, side, side))
	for i := range m.Pix {
		m.Pix[i] = byte(i * i >> 8)
		if i%4 == 3 {
			m.Pix[i] = 255
		}
	}
	var b bytes.Buffer
	return errors.Join(png.Encode(&b, m), os.WriteFile(path, b.Bytes(), 0o644))
}

// A promise is what a plan says a render takes, and what its process took.
type promise struct {
	promised, taken int64
	kinds           map[string]int64 // the peak while stages of a kind ran
	step            time.Duration    // the last one
	picture         image.Image
}

// off returns by how much the promise misses what was taken: −0.1 is a tenth too little.
func (p promise) off() float64 { return float64(p.promised)/float64(p.taken) - 1 }

// memory holds what plans promise against what processes take.
func (b *bench) promises() error {
	program := filepath.Join(b.dir, "eligen")
	if err := buildEligen(b.ctx, program); err != nil {
		return err
	}
	t := table{head: []string{
		"backend", "case", "promised MiB", "taken MiB", "off, %", "start", "prompts", "pictures", "steps", "decoding",
		"s a step", "dB to plain",
	}}
	worst, plain := 0.0, map[string]image.Image{}
	for _, c := range b.all {
		if c.Backend == "" || c.Missing != "" {
			continue
		}
		for _, m := range b.memoryCases {
			b.progress("memory of %s on %s", m, c.Backend)
			p, err := measureMemory(b.ctx, program, b.dir, c.Backend, m)
			if err != nil {
				t.add(c.Backend, m.String(), firstLine(err), "", "", "", "", "", "", "", "", "")
				continue
			}
			b.progress("%s promised, %s taken", mebibytes(p.promised), mebibytes(p.taken))
			worst = max(worst, math.Abs(p.off()))
			t.add(c.Backend, m.String(), mebibytes(p.promised), mebibytes(p.taken), fmt.Sprintf("%+.0f", 100*p.off()),
				mebibytes(p.kinds["start"]), mebibytes(p.kinds["encode"]),
				mebibytes(max(p.kinds["image"], p.kinds["imageprompt"], p.kinds["latents"])),
				mebibytes(p.kinds["denoise"]), mebibytes(p.kinds["decode"]), digits(p.step.Seconds()),
				differs(plain, c.Backend+" "+m.plain().String(), p.picture))
		}
	}
	b.section("Memory: what `eligen plan` promises, and the largest resident memory of `eligen apply`", &t)
	b.goals.add("P10", "promised memory: the worst miss, %", digits(100*worst), "≤ 10")
	return b.ctx.Err()
}

// buildEligen builds the program that is measured.
func buildEligen(ctx context.Context, program string) error {
	out, err := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/eligen/eligen/cmd/eligen").CombinedOutput()
	if err != nil {
		return fmt.Errorf("building eligen: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// plain is the case over weights that are held as they are, of which others are forms.
func (c memoryCase) plain() memoryCase {
	forms := []string{"fp8", "q4_0", "int8", "int4", "stream", "small"}
	c.more = slices.DeleteFunc(slices.Clone(c.more), func(w string) bool { return slices.Contains(forms, w) })
	return c
}

// differs returns how far a picture is from the first of its case, in dB: of the plain one, where that comes first.
func differs(first map[string]image.Image, of string, m image.Image) string {
	if other, ok := first[of]; ok {
		return decibels(psnr(other, m))
	}
	first[of] = m
	return ""
}

// measureMemory plans and applies a case in processes of their own, with an empty store.
func measureMemory(ctx context.Context, program, dir, engine string, m memoryCase) (p promise, err error) {
	plugins, err := backend.PluginDir() // is in the store's folder where nothing else is said
	if err != nil {
		return p, err
	}
	store, err := os.MkdirTemp(dir, "store-")
	if err != nil {
		return p, err
	}
	defer os.RemoveAll(store)
	path := filepath.Join(dir, "memory.hcl")
	if err := m.files(dir); err != nil {
		return p, err
	}
	command := func(verb string) *exec.Cmd {
		c := exec.CommandContext(ctx, program, verb, path, "--json", "--backend", engine, "--memory", m.limit())
		c.Env = append(os.Environ(), "ELIGEN_CACHE_DIR="+store, "ELIGEN_PLUGIN_DIR="+plugins)
		return c
	}
	plan := command("plan")
	var problems bytes.Buffer
	plan.Stderr = &problems
	out, err := plan.Output()
	if err != nil {
		return p, fmt.Errorf("eligen plan: %s", cause(nil, problems.String()))
	}
	var said struct {
		Renders []struct {
			PeakMemory int64 `json:"peak_memory"`
		} `json:"renders"`
	}
	if err := json.Unmarshal(out, &said); err != nil || len(said.Renders) != 1 {
		return p, errors.Join(err, errors.New("the plan has not one render"))
	}
	p.promised = said.Renders[0].PeakMemory
	apply := command("apply")
	apply.Args = append(apply.Args, "--out", store)
	if p.kinds, p.step, err = peaks(apply); err != nil {
		return p, err
	}
	for _, n := range p.kinds {
		p.taken = max(p.taken, n)
	}
	p.picture, err = readPicture(filepath.Join(store, "out", "memory.png"))
	return p, err
}

func readPicture(path string) (image.Image, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return png.Decode(bytes.NewReader(data))
}

// peaks runs a command that prints events, and gives the largest resident memory from
// the start of each kind of stage that the model works in to the start of the next, and
// before the first: the system is asked for it and told to begin anew at each event. step is how long the last step took.
func peaks(c *exec.Cmd) (all map[string]int64, step time.Duration, err error) {
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, 0, err
	}
	problems := &tail{}
	c.Stderr = problems
	if err := c.Start(); err != nil {
		return nil, 0, err
	}
	all = map[string]int64{}
	running, last := "start", time.Now()
	status, refs := fmt.Sprintf("/proc/%d/status", c.Process.Pid), fmt.Sprintf("/proc/%d/clear_refs", c.Process.Pid)
	var reset error
	var problem *eligen.Diagnostic
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e eligen.Event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Type == eligen.Ended {
			continue
		}
		if e.Problem != nil {
			problem = e.Problem
		}
		if e.Type == eligen.Stepped {
			step = time.Since(last)
		}
		last = time.Now()
		all[running] = max(all[running], residentPeak(status))
		reset = errors.Join(reset, os.WriteFile(refs, []byte("5"), 0))
		if kind, _, _ := strings.Cut(e.Kind, "/"); e.Type == eligen.Started && slices.Contains(engineKinds, kind) {
			running = kind
		}
	}
	if err := c.Wait(); err != nil {
		if problem != nil {
			return nil, 0, errors.New(problem.Summary)
		}
		return nil, 0, fmt.Errorf("eligen apply: %w: %s", err, problems.last())
	}
	if slices.Max(slices.Collect(maps.Values(all))) == 0 {
		return nil, 0, errors.New("the system doesn't say how much memory a process takes")
	}
	return all, step, reset
}

// engineKinds are the kinds of stages of a still that a model works in.
var engineKinds = []string{"encode", "image", "imageprompt", "latents", "denoise", "decode"}
