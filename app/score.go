package app

import (
	"context"
	"errors"
	"fmt"
	"image"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/eval/suites"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/internal/words"
	"github.com/eligen/eligen/layouts"
)

// maxSuite is the most bytes that a file of a suite, or of detections, may have.
const maxSuite = 512 << 20

// A ScoreRequest says which detections to score, and by which benchmark's rules.
type ScoreRequest struct {
	Suite      string // one of Suites
	Items      string // the file with what is asked for
	Detections string // in COCO's results form
	Images     string // COCO's images and categories; "" where detections name both
	Pictures   string // the folder with the scored pictures, by the images' file names
	Objects    string // of numeracy: the suite's list of nouns
	Side       int    // of the square pictures that boxes were detected in; 0 is the suite's
}

// A Score is what detections come to.
type Score struct {
	Suite   string          `json:"suite"`
	Note    string          `json:"note"` // whose rule it is, and what it was given
	Figures []suites.Figure `json:"figures"`
}

// A suite is a benchmark's rule.
type suite struct {
	name  string
	note  string
	score func(a *App, ctx context.Context, r ScoreRequest) ([]suites.Figure, error)
}

var suiteTable = []suite{
	{"boxes", "no benchmark's: the IoU of each entity's box with the best detection of its words", (*App).scoreBoxes},
	{"cocomig", "COCO-MIG's rule; masks are the detections', or else the asked boxes", (*App).scoreMIG},
	{"geneval", "GenEval's rule; colours are those that detections name", (*App).scoreGenEval},
	{"numeracy", "T2I-CompBench's rule for numbers", (*App).scoreNumeracy},
	{"overlaybench", "OverLayBench's rule for boxes; its questions to a language model are not asked", (*App).scoreOverlay},
	{"spatial", "T2I-CompBench's rule for places; the nouns are the word after the first article, and the last one", (*App).scoreSpatial},
}

// Suites lists the rules that detections are scored by.
func Suites() (out []string) {
	for _, s := range suiteTable {
		out = append(out, s.name)
	}
	return out
}

// Score scores detections.
func (a *App) Score(ctx context.Context, r ScoreRequest) (*Score, error) {
	i := slices.IndexFunc(suiteTable, func(s suite) bool { return s.name == r.Suite })
	if i < 0 {
		return nil, fmt.Errorf("no suite %q: there are %s", r.Suite, words.Listed(Suites(), "and"))
	}
	s := suiteTable[i]
	if r.Objects != "" && s.name != "numeracy" {
		return nil, errors.New("--objects is for numeracy alone")
	}
	if r.Pictures != "" && s.name != "cocomig" {
		return nil, errors.New("--pictures is for cocomig alone: no other rule looks at pixels")
	}
	if r.Side != 0 && s.name != "overlaybench" {
		return nil, errors.New("--side is for overlaybench alone")
	}
	figures, err := s.score(a, ctx, r)
	if err != nil {
		return nil, err
	}
	return &Score{Suite: s.name, Note: s.note, Figures: figures}, nil
}

// found reads detections, by the names that a suite gives pictures.
func (r ScoreRequest) found(name func(file, id string) string) (map[string]suites.Found, error) {
	results, err := files.Read(r.Detections, maxSuite)
	if err != nil {
		return nil, err
	}
	var listed []byte
	if r.Images != "" {
		if listed, err = files.Read(r.Images, maxSuite); err != nil {
			return nil, err
		}
	}
	found, err := suites.Detections(results, listed, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Detections, err)
	}
	return found, nil
}

// items reads what is asked for.
func (r ScoreRequest) items() ([]byte, error) { return files.Read(r.Items, maxSuite) }

func (r ScoreRequest) wrong(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", r.Items, err)
}

func (a *App) scoreMIG(_ context.Context, r ScoreRequest) ([]suites.Figure, error) {
	items, err := a.migItems(r.Items)
	if err != nil {
		return nil, r.wrong(err)
	}
	at := map[string]string{}
	found, err := r.found(func(file, id string) string {
		name := suites.MIGName(file, id)
		at[name] = file
		return name
	})
	if err != nil {
		return nil, err
	}
	return suites.MIG{Picture: func(id string) (image.Image, error) {
		if r.Pictures == "" || at[id] == "" {
			return nil, errors.New("the colours are looked at: pass --pictures FOLDER, and --images FILE with their names")
		}
		data, err := files.Read(filepath.Join(r.Pictures, filepath.FromSlash(at[id])), layouts.MaxBytes)
		if err != nil {
			return nil, err
		}
		return pixels.Decode(data)
	}}.Rate(items, found)
}

// migItems reads COCO-MIG's prompts, in its own form or in that of its harness.
func (a *App) migItems(path string) ([]suites.Item, error) {
	if strings.EqualFold(filepath.Ext(path), ".json") {
		data, err := files.Read(path, maxSuite)
		if err != nil {
			return nil, err
		}
		if items, err := suites.MIGItems(data); err == nil {
			return items, nil
		}
	}
	reading, err := a.ReadLayout(LayoutFile{Path: path})
	if err != nil {
		return nil, err
	}
	if reading.Format != "coco-mig" {
		return nil, fmt.Errorf("it is %s, and not COCO-MIG's mig_bench_anno.yaml or sample_prompt_color_split.json", reading.Format)
	}
	var out []suites.Item
	for i, s := range reading.Scenes {
		it := suites.Item{ID: strconv.Itoa(i + 1), Prompt: *s.Prompt}
		if s.Index != nil {
			it.ID = strconv.Itoa(*s.Index)
		}
		for _, e := range s.Entities {
			it.Entities = append(it.Entities, suites.Entity{Label: bare(*e.Prompt), Box: suites.Box(e.XYXY)})
		}
		out = append(out, it)
	}
	return out, nil
}

// bare returns words without an article before them.
func bare(s string) string {
	first, rest, ok := strings.Cut(strings.TrimSpace(s), " ")
	if ok && slices.Contains([]string{"a", "an", "the"}, strings.ToLower(first)) {
		return rest
	}
	return strings.TrimSpace(s)
}

func (a *App) scoreGenEval(_ context.Context, r ScoreRequest) ([]suites.Figure, error) {
	data, err := r.items()
	if err != nil {
		return nil, err
	}
	lines, err := suites.WantedLines(data)
	if err != nil {
		return nil, r.wrong(err)
	}
	found, err := r.found(suites.GenEvalName)
	if err != nil {
		return nil, err
	}
	var list []suites.Picture
	for id := range found {
		n, err := suites.PromptOf(id)
		if err != nil {
			return nil, err
		}
		if n >= len(lines) {
			return nil, fmt.Errorf("picture %s is of prompt %d, and %s has %d", id, n, r.Items, len(lines))
		}
		list = append(list, suites.Picture{ID: id, Want: lines[n]})
	}
	slices.SortFunc(list, func(a, b suites.Picture) int { return strings.Compare(a.ID, b.ID) })
	return suites.GenEval(list, found)
}

func (a *App) scoreSpatial(_ context.Context, r ScoreRequest) ([]suites.Figure, error) {
	data, err := r.items()
	if err != nil {
		return nil, err
	}
	found, err := r.found(suites.T2IName)
	if err != nil {
		return nil, err
	}
	return suites.Spatial(suites.PromptLines(data), found)
}

func (a *App) scoreNumeracy(_ context.Context, r ScoreRequest) ([]suites.Figure, error) {
	if r.Objects == "" {
		return nil, errors.New("numeracy needs --objects, the suite's examples/dataset/new_objects.txt: it says which words are things")
	}
	data, err := r.items()
	if err != nil {
		return nil, err
	}
	list, err := files.Read(r.Objects, maxSuite)
	if err != nil {
		return nil, err
	}
	nouns, err := suites.ReadNouns(list)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Objects, err)
	}
	found, err := r.found(suites.T2IName)
	if err != nil {
		return nil, err
	}
	return suites.Numeracy(suites.PromptLines(data), nouns, found)
}

func (a *App) scoreOverlay(_ context.Context, r ScoreRequest) ([]suites.Figure, error) {
	data, err := r.items()
	if err != nil {
		return nil, err
	}
	items, err := suites.OverlaidItems(data)
	if err != nil {
		return nil, r.wrong(err)
	}
	found, err := r.found(suites.StemName)
	if err != nil {
		return nil, err
	}
	side := r.Side
	if side == 0 {
		side = 1024
	}
	return suites.OverLay(items, side, found)
}

// scoreBoxes scores the boxes of a scene's renders.
func (a *App) scoreBoxes(ctx context.Context, r ScoreRequest) ([]suites.Figure, error) {
	list, ds, err := a.Layouts(ctx, LayoutRequest{Input: Input{Path: r.Items}})
	if err == nil {
		err = ds.Err()
	}
	if err != nil {
		return nil, err
	}
	found, err := r.found(suites.StemName)
	if err != nil {
		return nil, err
	}
	var items []suites.Item
	for _, l := range list {
		it := suites.Item{ID: strings.TrimPrefix(l.Render, "render."), Prompt: l.Prompt}
		for _, e := range l.Entities {
			it.Entities = append(it.Entities, suites.Entity{Label: bare(e.Prompt), Box: around(e, l.Size)})
		}
		items = append(items, it)
	}
	return suites.Boxes(items, found)
}

// around returns the box around an entity's region, in fractions.
func around(e eligen.Entity, size eligen.Size) suites.Box {
	if n := e.Region.Numbers; e.Region.Kind == "box" && !e.Region.Pixels {
		return suites.Box(n)
	}
	x0, y0, x1, y1 := size.W, size.H, 0, 0
	for i, on := range e.Region.Sample(size, size) {
		if x, y := i%size.W, i/size.W; on {
			x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x+1), max(y1, y+1)
		}
	}
	w, h := float64(size.W), float64(size.H)
	return suites.Box{float64(x0) / w, float64(y0) / h, float64(x1) / w, float64(y1) / h}
}
