package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/eval/suites"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/words"
	"github.com/eligen/eligen/layouts"
)

// A SuiteScene is a suite as a scene.
type SuiteScene struct {
	Text    []byte
	Renders int
	Said    []string
}

// ImportSuite makes a scene of a suite: a render for each of its first prompts, whose name and seed are its number.
// limit is how many; 0 is all.
func (a *App) ImportSuite(path string, limit int) (*SuiteScene, error) {
	data, err := files.Read(path, maxSuite)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	out := &SuiteScene{}
	switch lines, err := suites.WantedLines(data); {
	case err == nil:
		err = out.write(&b, limit, len(lines), func(i int) (string, []suiteEntity, error) {
			return lines[i].Prompt, wantedPlaces(lines[i]), nil
		})
		out.Said = append(out.Said, "GenEval has no boxes: eligen placed its things side by side, and where a relation says so")
		if err != nil {
			return nil, err
		}
	case strings.EqualFold(filepath.Ext(path), ".txt"):
		items := suites.PromptLines(data)
		if err := out.write(&b, limit, len(items), func(i int) (string, []suiteEntity, error) {
			list, err := spatialPlaces(items[i].Prompt)
			return items[i].Prompt, list, err
		}); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out.Said = append(out.Said, "T2I-CompBench has no boxes: eligen placed its things as the words between them say")
	default:
		if err := a.placedSuite(&b, out, path, limit); err != nil {
			return nil, err
		}
	}
	text, ds := dsl.Format(path, []byte(b.String()))
	if err := ds.Err(); err != nil {
		return nil, fmt.Errorf("the scene that was made is not valid, which is a mistake of eligen's: %w", err)
	}
	out.Text = text
	return out, nil
}

// A suiteEntity is a thing of a suite's prompt, and its box.
type suiteEntity struct {
	prompt string
	box    suites.Box
}

// write writes renders.
func (s *SuiteScene) write(b *strings.Builder, limit, n int, at func(i int) (prompt string, list []suiteEntity, err error)) error {
	if limit > 0 {
		n = min(n, limit)
	}
	for i := range n {
		prompt, list, err := at(i)
		if err != nil {
			return fmt.Errorf("prompt %d: %w", i, err)
		}
		s.render(b, fmt.Sprintf("n%05d", i), uint64(i), prompt, list)
	}
	return nil
}

func (s *SuiteScene) render(b *strings.Builder, name string, seed uint64, prompt string, list []suiteEntity) {
	var refs []string
	for k := range list {
		refs = append(refs, fmt.Sprintf("entity.%s_%d", name, k+1))
	}
	fmt.Fprintf(b, "\nrender %q {\n  prompt = %s\n  seed = %d\n  entities = [%s]\n}\n", name, words.HCL(prompt), seed,
		strings.Join(refs, ", "))
	for k, e := range list {
		fmt.Fprintf(b, "\nentity \"%s_%d\" {\n  prompt = %s\n  box = xyxy(%s)\n}\n", name, k+1, words.HCL(e.prompt), corners(e.box))
	}
	s.Renders++
}

func corners(b suites.Box) string {
	var out []string
	for _, v := range b {
		out = append(out, strconv.FormatFloat(math.Round(v*1e4)/1e4, 'f', -1, 64))
	}
	return strings.Join(out, ", ")
}

// placedSuite makes renders of a suite that has boxes.
func (a *App) placedSuite(b *strings.Builder, out *SuiteScene, path string, limit int) error {
	reading, err := a.ReadLayout(LayoutFile{Path: path})
	if err != nil {
		return err
	}
	if reading.Verdict != layouts.Import || !slices.Contains([]string{"coco-mig", "cobench-csv", "nsr-1k", "layoutgpt"}, reading.Format) {
		return fmt.Errorf("%s is %s, and no suite that eval import reads; eligen import reads layouts", path, reading.Format)
	}
	out.Said = reading.Said
	for i, sc := range reading.Scenes {
		if limit > 0 && i == limit {
			break
		}
		seed := i
		if sc.Index != nil && *sc.Index >= 0 {
			seed = *sc.Index
		}
		var list []suiteEntity
		for _, e := range sc.Entities {
			if e.Empty || e.Prompt == nil || len(e.XYXY) != 4 {
				out.Said = append(out.Said, fmt.Sprintf("%s of %s is left out: it has no area, or no words", e.ID, sc.Name))
				continue
			}
			list = append(list, suiteEntity{*e.Prompt, suites.Box(e.XYXY)})
		}
		prompt := sc.Name
		if sc.Prompt != nil {
			prompt = *sc.Prompt
		}
		out.render(b, fmt.Sprintf("n%05d", seed), uint64(uint32(seed)), prompt, list)
	}
	return nil
}

// wantedPlaces places what a line of GenEval includes.
func wantedPlaces(w suites.Wanted) (out []suiteEntity) {
	var all []string
	for _, c := range w.Include {
		thing := c.Class
		if c.Color != "" {
			thing = c.Color + " " + thing
		}
		for range min(c.Count, 16) {
			all = append(all, article(thing))
		}
	}
	for _, c := range w.Include {
		if c.Position != nil && len(all) == 2 && c.Position.Target == 0 {
			first, second := halves(c.Position.Relation) // where this clause's thing is, and where its target is
			return []suiteEntity{{all[0], second}, {all[1], first}}
		}
	}
	for i, box := range cells(len(all)) {
		out = append(out, suiteEntity{all[i], box})
	}
	return out
}

func article(s string) string {
	if strings.ContainsRune("aeiou", rune(s[0])) {
		return "an " + s
	}
	return "a " + s
}

// halves returns where a thing is, and where the one is that it has a relation to.
func halves(relation string) (one, other suites.Box) {
	left, right := suites.Box{0.05, 0.25, 0.45, 0.75}, suites.Box{0.55, 0.25, 0.95, 0.75}
	top, bottom := suites.Box{0.25, 0.05, 0.75, 0.45}, suites.Box{0.25, 0.55, 0.75, 0.95}
	switch {
	case strings.Contains(relation, "right"):
		return right, left
	case strings.Contains(relation, "above"), strings.Contains(relation, "top"):
		return top, bottom
	case strings.Contains(relation, "below"), strings.Contains(relation, "bottom"):
		return bottom, top
	}
	return left, right
}

// cells returns boxes for n things, in rows.
func cells(n int) (out []suites.Box) {
	columns := int(math.Ceil(math.Sqrt(float64(n))))
	for i := range n {
		rows := (n + columns - 1) / columns
		x, y := float64(i%columns)/float64(columns), float64(i/columns)/float64(rows)
		w, h := 1/float64(columns), 1/float64(rows)
		out = append(out, suites.Box{x + 0.1*w, y + 0.1*h, x + 0.9*w, y + 0.9*h})
	}
	return out
}

// spatialPlaces places the two things of a prompt of T2I-CompBench.
func spatialPlaces(prompt string) ([]suiteEntity, error) {
	for _, l := range suites.Localities() {
		one, other, ok := strings.Cut(strings.TrimRight(prompt, ". "), " "+l+" ")
		if ok {
			a, b := halves(l)
			return []suiteEntity{{one, a}, {other, b}}, nil
		}
	}
	return nil, fmt.Errorf("%q says nothing of places: make a layout of it with eligen new", prompt)
}

// Harnesses lists the folders' layouts that ExportSuite writes.
func Harnesses() []string { return []string{"cocomig", "geneval", "overlaybench", "t2icompbench"} }

// A SuiteExport says which pictures go into which harness's folder.
type SuiteExport struct {
	Input
	Harness string // one of Harnesses
	Suite   string // the suite's file, for the harnesses whose folders hold parts of it
	Split   string // of OverLayBench
	Out     string
}

// ExportSuite copies the pictures of a scene's renders into a folder that a benchmark's own program reads, and
// returns how many. A render belongs to the prompt that it has; several renders of a prompt are its samples.
func (a *App) ExportSuite(ctx context.Context, r SuiteExport) (int, error) {
	if !slices.Contains(Harnesses(), r.Harness) {
		return 0, fmt.Errorf("no layout %q: there are %s", r.Harness, words.Listed(Harnesses(), "and"))
	}
	p, _, err := a.Plan(ctx, PlanRequest{Input: r.Input, Engine: "paint"})
	if err != nil {
		return 0, err
	}
	name, err := a.harness(r)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, l := range p.Layouts() {
		i := slices.IndexFunc(p.Outputs, func(o eligen.PlannedOutput) bool { return o.Render == l.Render })
		if i < 0 {
			continue
		}
		from := p.Outputs[i].Path
		if !strings.EqualFold(filepath.Ext(from), ".png") {
			return n, fmt.Errorf("%s writes %s, and the harness reads PNG", l.Render, from)
		}
		data, err := os.ReadFile(from)
		if errors.Is(err, os.ErrNotExist) {
			return n, fmt.Errorf("%s is not there: eligen apply %s writes it", from, r.Path)
		}
		if err != nil {
			return n, err
		}
		to, err := name(l)
		if err != nil {
			return n, err
		}
		to = filepath.Join(r.Out, filepath.FromSlash(to))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return n, err
		}
		if err := files.WriteBytes(to, data); err != nil {
			return n, err
		}
		n++
	}
	if n == 0 {
		return 0, fmt.Errorf("%s has no render with a picture", r.Path)
	}
	return n, nil
}

// harness returns what names pictures in a harness's folder, and writes what the folder holds besides.
func (a *App) harness(r SuiteExport) (func(Layout) (string, error), error) {
	if r.Harness == "overlaybench" {
		if r.Split == "" {
			return nil, errors.New("OverLayBench has the splits simple, medium and hard: pass --split")
		}
		return func(l Layout) (string, error) {
			return r.Split + "/1/" + strings.TrimPrefix(l.Render, "render.") + ".png", nil
		}, nil
	}
	if r.Suite == "" {
		return nil, errors.New("pictures are named by their prompts' numbers: pass --suite FILE, the benchmark's prompts")
	}
	prompts, line, err := a.suitePrompts(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Suite, err)
	}
	taken := map[string]int{}
	return func(l Layout) (string, error) {
		var at []int
		for i, p := range prompts {
			if p == l.Prompt {
				at = append(at, i)
			}
		}
		if len(at) == 0 {
			return "", fmt.Errorf("%s has the prompt %q, which is not in %s", l.Render, l.Prompt, r.Suite)
		}
		k := taken[l.Prompt]
		taken[l.Prompt]++
		return line(at[k%len(at)], k/len(at))
	}, nil
}

// suitePrompts returns a suite's prompts, and what names the k-th sample of one.
func (a *App) suitePrompts(r SuiteExport) (prompts []string, line func(i, k int) (string, error), err error) {
	data, err := files.Read(r.Suite, maxSuite)
	if err != nil {
		return nil, nil, err
	}
	switch r.Harness {
	case "geneval":
		lines, err := suites.WantedLines(data)
		raw := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
		if err == nil && len(raw) != len(lines) {
			err = errors.New("it is not one JSON object a line")
		}
		for _, l := range lines {
			prompts = append(prompts, l.Prompt)
		}
		return prompts, func(i, k int) (string, error) {
			folder := fmt.Sprintf("%05d", i)
			at := filepath.Join(r.Out, folder, "metadata.jsonl")
			err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), files.WriteBytes(at, append(bytes.TrimSpace(raw[i]), '\n')))
			return fmt.Sprintf("%s/samples/%04d.png", folder, k), err
		}, err
	case "t2icompbench":
		for _, it := range suites.PromptLines(data) {
			prompts = append(prompts, it.Prompt)
		}
		return prompts, func(i, k int) (string, error) {
			return fmt.Sprintf("samples/%s_%06d.png", strings.TrimRight(prompts[i], "."), i+k*len(prompts)), nil
		}, nil
	}
	items, err := a.migItems(r.Suite)
	if err != nil {
		return nil, nil, err
	}
	for _, it := range items {
		prompts = append(prompts, it.Prompt)
	}
	if err := writeMIG(filepath.Join(r.Out, "sample_prompt_color_split.json"), items); err != nil {
		return nil, nil, err
	}
	return prompts, func(i, k int) (string, error) {
		var labels []string
		for _, e := range items[i].Entities {
			labels = append(labels, e.Label)
		}
		return fmt.Sprintf("images/%d_%s_%s.png", k, strings.Join(labels, "_"), items[i].ID), nil
	}, nil
}

// writeMIG writes items as COCO-MIG's harness reads them.
func writeMIG(path string, items []suites.Item) error {
	type segment struct {
		Label string     `json:"label"`
		Box   suites.Box `json:"bbox"`
	}
	type item struct {
		Caption string    `json:"caption"`
		Segment []segment `json:"segment"`
	}
	out := map[string]item{}
	for _, it := range items {
		m := item{Caption: it.Prompt}
		for _, e := range it.Entities {
			m.Segment = append(m.Segment, segment{e.Label, e.Box})
		}
		out[it.ID] = m
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return files.WriteFile(path, func(w io.Writer) error { return json.NewEncoder(w).Encode(out) })
}
