package mcp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
)

// A sceneArg names a scene: a file, a text, or a text in place of a file's.
type sceneArg struct {
	Scene string            `json:"scene,omitempty" jsonschema:"path of a scene file, such as scenes/rain.hcl"`
	Text  string            `json:"text,omitempty" jsonschema:"a text in HCL, used in place of the file's"`
	Vars  map[string]string `json:"vars,omitempty" jsonschema:"values of the scene's variables, by name"`
}

// untitled is the file that a text without one would be in.
const untitled = "untitled.hcl"

// input returns the scene that a client means.
func (s *Server) input(in sceneArg) (app.Input, error) {
	name := in.Scene
	switch {
	case name == "" && in.Text == "":
		return app.Input{}, errors.New("pass scene, a scene file's path, or text, a scene's text")
	case name == "":
		name = untitled
	case !strings.HasSuffix(name, ".hcl") && !strings.HasSuffix(name, ".json"):
		return app.Input{}, fmt.Errorf("%q is no scene: its name must end in .hcl or .json", name)
	case len(in.Text) > maxFile:
		return app.Input{}, fmt.Errorf("the text has %d bytes; a scene has at most %d", len(in.Text), maxFile)
	}
	path, err := s.folder.abs(name)
	if err != nil {
		return app.Input{}, err
	}
	out := app.Input{Path: path, Below: s.folder.path}
	if in.Text != "" {
		out.Unsaved = map[string][]byte{path: []byte(in.Text)}
	} else if _, err := s.folder.read(name, maxFile); err != nil {
		return app.Input{}, err
	}
	for _, v := range slices.Sorted(maps.Keys(in.Vars)) {
		out.Vars = append(out.Vars, v+"="+in.Vars[v])
	}
	return out, nil
}

// A makeArg says what to make of a scene.
type makeArg struct {
	sceneArg
	Engine  string   `json:"engine,omitempty" jsonschema:"model, or paint: each region in a flat colour, in a second. Default: the server's"`
	Targets []string `json:"targets,omitempty" jsonschema:"only these renders, such as render.rain"`
	Seeds   []uint64 `json:"seeds,omitempty" jsonschema:"seeds in place of the scene's; with several, one picture each and a sheet of them"`
	Frames  [][2]int `json:"frames,omitempty" jsonschema:"only these frames of clips: pairs of the first and the last"`
}

// planRequest returns what a client wants planned.
func (s *Server) planRequest(in makeArg) (app.PlanRequest, error) {
	input, err := s.input(in.sceneArg)
	r := app.PlanRequest{Input: input, Engine: in.Engine, Backend: s.o.Backend, Targets: in.Targets, Seeds: in.Seeds}
	if r.Engine == "" {
		r.Engine = s.o.Engine
	}
	if err == nil && !slices.Contains(app.Engines, r.Engine) {
		err = app.Unknown("engine", r.Engine, "engine", app.Engines)
	}
	if r.Engine == "paint" {
		r.Backend = ""
	}
	for _, f := range in.Frames {
		r.Frames = append(r.Frames, app.Span{First: f[0], Last: f[1]})
	}
	return r, err
}

// found returns the diagnostics in an error, or what else it is.
func found(err error) (eligen.Diagnostics, error) {
	var ds eligen.Diagnostics
	if errors.As(err, &ds) {
		return ds, nil
	}
	return nil, err
}

// A findings is what is wrong with a scene.
type findings struct {
	Valid       bool                `json:"valid" jsonschema:"there are no errors; there may be warnings"`
	Diagnostics []eligen.Diagnostic `json:"diagnostics" jsonschema:"what is wrong, each with its file, line and columns, and what to do"`
}

func (s *Server) findings(ds eligen.Diagnostics) findings {
	return findings{!ds.HasErrors(), s.folder.told(ds)}
}

// words writes diagnostics for who reads: with the line, and carets below what is meant.
func (f findings) words() string {
	var b strings.Builder
	for _, d := range f.Diagnostics {
		b.WriteString(d.String() + "\n")
	}
	return b.String()
}

// wrong returns the result of a call whose scene has errors.
func (f findings) wrong() *sdk.CallToolResult {
	r := text(f.words())
	r.IsError = true
	return r
}

// sceneTools adds what looks at scenes and writes nothing.
func (s *Server) sceneTools() {
	tool(s, &sdk.Tool{Name: "validate", Title: "Check a scene", Annotations: reads,
		Description: "Find everything that is wrong with a scene, without making a picture. Weights are not looked for; plan does that."},
		s.validate)
	tool(s, &sdk.Tool{Name: "plan", Title: "Plan a scene", Annotations: reads,
		Description: "Show what apply would do: the files it writes, the stages it makes and those it has, time, memory and what has " +
			"changed since the last run."}, s.plan)
	tool(s, &sdk.Tool{Name: "preview", Title: "Draw a scene's layout", Annotations: reads,
		Description: "Draw where each entity is, as the model will see it, in a second and without a model. Returns a picture for each render."},
		s.preview)
	tool(s, &sdk.Tool{Name: "keys", Title: "Values of a clip", Annotations: reads,
		Description: "Work out a timeline: where each moving entity is in each frame."}, s.keys)
}

func (s *Server) validate(ctx context.Context, _ *sdk.CallToolRequest, in sceneArg) (*sdk.CallToolResult, findings, error) {
	input, err := s.input(in)
	if err != nil {
		return nil, findings{}, err
	}
	ds, err := s.app.Validate(ctx, input)
	if err != nil {
		return nil, findings{}, err
	}
	out := s.findings(ds)
	if !out.Valid {
		return text(out.words()), out, nil // it has found what it was asked for: no error
	}
	return text("The scene is valid.\n" + out.words()), out, nil
}

// A planned is what applying a scene would do.
type planned struct {
	findings
	Files   []string       `json:"files" jsonschema:"that would be written, from the folder"`
	Renders []renderValues `json:"renders"`
	Stages  int            `json:"stages"`
	Missing []stageToMake  `json:"missing" jsonschema:"stages to be made, the first 200; results of the others are there"`
	Left    int            `json:"left" jsonschema:"how many stages are to be made"`
	Seconds float64        `json:"seconds" jsonschema:"that this takes, by earlier runs; 0 is not known"`
	Changes []string       `json:"changes" jsonschema:"since the last run, in the scene's words"`
}

// renderValues are a render's settings with nothing left open.
type renderValues struct {
	Render   string  `json:"render"`
	Model    string  `json:"model"`
	Width    int     `json:"width"`
	Height   int     `json:"height"`
	Seed     uint64  `json:"seed"`
	Steps    int     `json:"steps"`
	CFG      float64 `json:"cfg"`
	Guidance float64 `json:"guidance"`
	Memory   int64   `json:"memory" jsonschema:"bytes at the peak; 0 is not known"`
}

type stageToMake struct {
	Name    string  `json:"name"`
	Kind    string  `json:"kind"`
	Seconds float64 `json:"seconds"`
}

// mostStages is how many stages an answer lists.
const mostStages = 200

func (s *Server) plan(ctx context.Context, _ *sdk.CallToolRequest, in makeArg) (*sdk.CallToolResult, planned, error) {
	out := planned{Files: []string{}, Renders: []renderValues{}, Missing: []stageToMake{}, Changes: []string{}}
	r, err := s.planRequest(in)
	if err != nil {
		return nil, out, err
	}
	p, warnings, err := s.app.Plan(ctx, r)
	if err != nil {
		ds, err := found(err)
		out.findings = s.findings(append(ds, warnings...))
		return out.wrong(), out, err
	}
	known, err := s.app.Outlook(ctx, p)
	if err != nil {
		return nil, out, err
	}
	out.findings, out.Stages, out.Left, out.Changes = s.findings(warnings), len(p.Stages), known.Missing, append(out.Changes, known.Changes...)
	for _, f := range p.Outputs {
		out.Files = append(out.Files, s.folder.name(f.Path))
	}
	memory := map[string]int64{}
	for _, r := range p.Renders {
		memory[r.Address] = r.Memory
	}
	for _, v := range p.Values() {
		out.Renders = append(out.Renders, renderValues{
			v.Render, v.Model, v.Size.W, v.Size.H, v.Seed, v.Steps, v.CFG, v.Guidance, memory[v.Render],
		})
	}
	for _, stage := range p.Stages {
		if known.Cached(stage.Digest) {
			continue
		}
		one := stageToMake{Name: stage.Name, Kind: stage.Op.Kind()}
		if known.Seconds != nil {
			one.Seconds, _ = known.Seconds(one.Kind, stage.Work)
		}
		if out.Seconds += one.Seconds; len(out.Missing) < mostStages {
			out.Missing = append(out.Missing, one)
		}
	}
	return text(out.words()), out, nil
}

// words says in short what a plan is.
func (p planned) words() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d stages are to be made", p.Left, p.Stages)
	if p.Seconds > 0 {
		fmt.Fprintf(&b, ", in about %.0f s", p.Seconds)
	}
	fmt.Fprintf(&b, ". Files: %s.\n", strings.Join(p.Files, ", "))
	for _, r := range p.Renders {
		fmt.Fprintf(&b, "%s: %s, %d×%d, seed %d, %d steps\n", r.Render, r.Model, r.Width, r.Height, r.Seed, r.Steps)
	}
	for _, c := range p.Changes {
		b.WriteString(c + "\n")
	}
	return b.String() + p.findings.words()
}

// A previewArg says which layouts to draw.
type previewArg struct {
	sceneArg
	Targets []string `json:"targets,omitempty" jsonschema:"only these renders, such as render.rain"`
}

// A drawn is a layout as the planner sees it.
type drawn struct {
	findings
	Layouts []layout `json:"layouts"`
}

type layout struct {
	Render   string   `json:"render"`
	Width    int      `json:"width"`
	Height   int      `json:"height"`
	Entities []placed `json:"entities"`
}

// A placed entity has a box around its region, in fractions of the canvas.
type placed struct {
	Address string     `json:"address"`
	Prompt  string     `json:"prompt"`
	Box     [4]float64 `json:"box" jsonschema:"x0 y0 x1 y1 around the region, in fractions of the canvas"`
	Tokens  int        `json:"tokens" jsonschema:"image tokens that the region takes; 0 is too small to be seen"`
}

// mostPictures is how many pictures an answer has.
const mostPictures = 4

func (s *Server) preview(ctx context.Context, _ *sdk.CallToolRequest, in previewArg) (*sdk.CallToolResult, drawn, error) {
	out := drawn{Layouts: []layout{}}
	input, err := s.input(in.sceneArg)
	if err != nil {
		return nil, out, err
	}
	p, warnings, err := s.app.Preview(ctx, app.LayoutRequest{Input: input, Targets: in.Targets})
	if err != nil {
		ds, err := found(err)
		out.findings = s.findings(append(ds, warnings...))
		return out.wrong(), out, err
	}
	if _, err := s.app.Apply(ctx, p.Plan, app.Run{Unrecorded: true, Unwritten: true}); err != nil {
		return nil, out, err
	}
	out.findings = s.findings(warnings)
	result := text("")
	for _, f := range p.Plan.Outputs {
		if len(result.Content) > mostPictures {
			break
		}
		data, err := s.app.Read(ctx, eligen.Artifact{Digest: p.Plan.Stages[f.Stage].Digest})
		if err != nil {
			return nil, out, err
		}
		img, err := picture(data)
		if err != nil {
			return nil, out, err
		}
		result.Content = append(result.Content, img)
	}
	for _, l := range p.Layouts {
		out.Layouts = append(out.Layouts, layoutOf(l))
	}
	result.Content[0] = &sdk.TextContent{Text: out.words()}
	return result, out, nil
}

func layoutOf(l app.Layout) layout {
	out := layout{Render: l.Render, Width: l.Size.W, Height: l.Size.H, Entities: []placed{}}
	g := l.Geometry
	if g == (eligen.Geometry{}) {
		g = eligen.DefaultGeometry
	}
	for _, e := range l.Entities {
		p := placed{Address: e.Address, Prompt: e.Prompt}
		if x0, y0, x1, y1, ok := e.Region.Bounds(l.Size); ok {
			w, h := float64(l.Size.W), float64(l.Size.H)
			p.Box = [4]float64{float64(x0) / w, float64(y0) / h, float64(x1) / w, float64(y1) / h}
		}
		p.Tokens = len(e.Region.Tokens(l.Size, g))
		out.Entities = append(out.Entities, p)
	}
	return out
}

func (d drawn) words() string {
	var b strings.Builder
	for _, l := range d.Layouts {
		fmt.Fprintf(&b, "%s, %d×%d:\n", l.Render, l.Width, l.Height)
		for _, e := range l.Entities {
			fmt.Fprintf(&b, "  %s %.2f %.2f to %.2f %.2f, %d tokens: %s\n", e.Address, e.Box[0], e.Box[1], e.Box[2], e.Box[3], e.Tokens, e.Prompt)
		}
	}
	return b.String() + d.findings.words()
}

// A keysArg says which frames are wanted.
type keysArg struct {
	sceneArg
	Frames [][2]int `json:"frames,omitempty" jsonschema:"only these frames: pairs of the first and the last"`
}

type keyTables struct {
	findings
	Tables []app.KeyTable `json:"tables"`
}

func (s *Server) keys(ctx context.Context, _ *sdk.CallToolRequest, in keysArg) (*sdk.CallToolResult, keyTables, error) {
	out := keyTables{Tables: []app.KeyTable{}}
	input, err := s.input(in.sceneArg)
	if err != nil {
		return nil, out, err
	}
	var frames []app.Span
	for _, f := range in.Frames {
		frames = append(frames, app.Span{First: f[0], Last: f[1]})
	}
	tables, warnings, err := s.app.Keys(ctx, input, frames)
	if err != nil {
		ds, err := found(err)
		out.findings = s.findings(append(ds, warnings...))
		return out.wrong(), out, err
	}
	out.findings, out.Tables = s.findings(warnings), append(out.Tables, tables...)
	return nil, out, nil
}
