package mcp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"image"
	_ "image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/mcp"
)

const rain = `# The frog sits.
render "rain" {
  prompt = "a frog in a meadow"
  size   = [64, 64]
}

entity "frog" {
  prompt = "a frog"
  box    = xywh(0.25, 0.25, 0.5, 0.5)
}

check "frog" {
  assert {
    condition     = placement(render.rain, entity.frog) > 0.5
    error_message = "The frog is elsewhere."
  }
}
`

const walk = `render "walk" {
  prompt   = "a dog"
  size     = [64, 64]
  timeline = timeline.walk

  output {
    path = "out/walk.gif"
  }
}

entity "dog" {
  prompt = "a dog"
  box    = xywh(0, 0.25, 0.5, 0.5)
}

timeline "walk" {
  frames = 24
  fps    = 12

  track {
    target = entity.dog.box
    keys = [
      { at = 0, value = xywh(0, 0.25, 0.5, 0.5) },
      { at = 23, value = xywh(0.5, 0.25, 0.5, 0.5) },
    ]
  }
}
`

// A client is the official SDK's, connected to a server of a folder.
type client struct {
	t      *testing.T
	folder string
	*sdk.ClientSession
	told *progress
}

// A progress is what a client was told while calls were going on.
type progress struct {
	mu   sync.Mutex
	list []sdk.ProgressNotificationParams
	on   func()
}

func (p *progress) add(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, *r.Params)
	if p.on != nil {
		p.on()
	}
}

func (p *progress) all() []sdk.ProgressNotificationParams {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.list)
}

// connect starts a server of a folder with files.
func connect(t *testing.T, files map[string]string, change ...func(*mcp.Options)) *client {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		at := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := app.New(app.Options{Folder: t.TempDir(), Env: func(string) (string, bool) { return "", false }})
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	o := mcp.Options{App: a, Folder: folder, Engine: "paint"}
	for _, f := range change {
		f(&o)
	}
	s, err := mcp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	here, there := sdk.NewInMemoryTransports()
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { ended <- s.Run(ctx, there) }()
	told := &progress{}
	c := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, &sdk.ClientOptions{ProgressNotificationHandler: told.add})
	session, err := c.Connect(t.Context(), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = session.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &client{t, folder, session, told}
}

type args = map[string]any

// call calls a tool, and reads its structured answer into out, which may be nil.
func (c *client) call(name string, in args, out any) *sdk.CallToolResult {
	c.t.Helper()
	r, err := c.CallTool(c.t.Context(), &sdk.CallToolParams{Name: name, Arguments: in})
	if err != nil {
		c.t.Fatalf("%s: %v", name, err)
	}
	if out != nil {
		data, err := json.Marshal(r.StructuredContent)
		if err == nil {
			err = json.Unmarshal(data, out)
		}
		if err != nil {
			c.t.Fatalf("%s: %v in %s", name, err, data)
		}
	}
	return r
}

// words returns the text of an answer.
func words(r *sdk.CallToolResult) string {
	var b strings.Builder
	for _, c := range r.Content {
		if text, ok := c.(*sdk.TextContent); ok {
			b.WriteString(text.Text)
		}
	}
	return b.String()
}

// pictures decodes the pictures of an answer.
func (c *client) pictures(r *sdk.CallToolResult) (out []image.Image) {
	c.t.Helper()
	for _, content := range r.Content {
		if p, ok := content.(*sdk.ImageContent); ok {
			img, form, err := image.Decode(bytes.NewReader(p.Data))
			if err != nil || "image/"+form != p.MIMEType {
				c.t.Fatalf("%s, %s: %v", p.MIMEType, form, err)
			}
			out = append(out, img)
		}
	}
	return out
}

type findings struct {
	Valid       bool
	Diagnostics []diagnostic
}

type diagnostic struct {
	Severity, Code, Summary, Detail string
	Source                          *struct {
		File             string
		Line, Start, End int
	}
}

type runState struct {
	findings
	Run, State   string
	Done, Stages int
	Files        []string
	Checks       []struct {
		Check string
		Holds bool
	}
}

// What is wrong with a scene comes back twice: for programs with file, line and columns, and for who reads
// with the line and carets below.
func TestValidate(t *testing.T) {
	c := connect(t, map[string]string{"scenes/rain.hcl": rain})
	var got findings
	if r := c.call("validate", args{"scene": "scenes/rain.hcl"}, &got); !got.Valid || len(got.Diagnostics) > 0 || r.IsError {
		t.Errorf("%+v, %s", got, words(r))
	}
	wrong := strings.Replace(rain, "box  ", "bocks", 1)
	r := c.call("validate", args{"scene": "scenes/rain.hcl", "text": wrong}, &got)
	if got.Valid || len(got.Diagnostics) == 0 {
		t.Fatalf("%+v", got)
	}
	d := got.Diagnostics[slices.IndexFunc(got.Diagnostics, func(d diagnostic) bool { return strings.Contains(d.Detail, "bocks") })]
	if at := d.Source; d.Severity != "error" || d.Code == "" || at == nil || at.File != "scenes/rain.hcl" || at.Line != 9 ||
		at.End <= at.Start {
		t.Errorf("%+v at %+v", d, d.Source)
	}
	for _, part := range []string{"scenes/rain.hcl:9", "bocks", "^^^^^"} {
		if !strings.Contains(words(r), part) {
			t.Errorf("%q is not in\n%s", part, words(r))
		}
	}
	if strings.Contains(words(r), c.folder) {
		t.Errorf("the answer names the machine's folder:\n%s", words(r))
	}
	// The same code, explained.
	if r := c.call("explain", args{"code": d.Code}, nil); !strings.Contains(words(r), d.Code+" "+d.Summary) {
		t.Errorf("%s", words(r))
	}
}

// A plan says what apply would do; after apply nothing is left to do.
func TestPlanAndApply(t *testing.T) {
	c := connect(t, map[string]string{"rain.hcl": rain})
	var plan struct {
		findings
		Files        []string
		Stages, Left int
		Renders      []struct {
			Width, Height, Steps int
			Seed                 uint64
		}
	}
	c.call("plan", args{"scene": "rain.hcl"}, &plan)
	if !plan.Valid || !slices.Equal(plan.Files, []string{"out/rain.png"}) || plan.Left != plan.Stages || plan.Stages == 0 ||
		len(plan.Renders) != 1 || plan.Renders[0].Width != 64 || plan.Renders[0].Steps == 0 {
		t.Errorf("%+v", plan)
	}
	stages := plan.Stages
	call := &sdk.CallToolParams{Name: "apply", Arguments: args{"scene": "rain.hcl"}, Meta: sdk.Meta{"progressToken": "mine"}}
	r, err := c.CallTool(t.Context(), call)
	if err != nil || r.IsError {
		t.Fatal(words(r), err)
	}
	var run runState
	data, _ := json.Marshal(r.StructuredContent)
	if err := json.Unmarshal(data, &run); err != nil {
		t.Fatal(err)
	}
	if run.State != "done" || !slices.Equal(run.Files, []string{"out/rain.png"}) || run.Done != stages ||
		len(run.Checks) != 1 || !run.Checks[0].Holds {
		t.Errorf("%+v", run)
	}
	if p := c.pictures(r); len(p) != 1 || p[0].Bounds().Dx() != 64 {
		t.Errorf("%d pictures", len(p))
	}
	if _, err := os.Stat(filepath.Join(c.folder, "out", "rain.png")); err != nil {
		t.Error(err)
	}
	last := -1.0
	for _, p := range c.told.all() {
		if p.ProgressToken != "mine" || p.Progress <= last || p.Progress > p.Total || p.Total != float64(stages) || p.Message == "" {
			t.Errorf("told %+v after %v", p, last)
		}
		last = p.Progress
	}
	if last != float64(stages) {
		t.Errorf("told at last of %v of %d stages", last, stages)
	}
	if c.call("plan", args{"scene": "rain.hcl"}, &plan); plan.Left != 0 {
		t.Errorf("%d stages are left", plan.Left)
	}
	// The picture can be looked at later, as a tool and by its address.
	if p := c.pictures(c.call("read_picture", args{"path": "out/rain.png"}, nil)); len(p) != 1 {
		t.Errorf("%d pictures", len(p))
	}
	read, err := c.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: "eligen://picture/out/rain.png"})
	if err != nil || len(read.Contents) != 1 || read.Contents[0].MIMEType != "image/png" || len(read.Contents[0].Blob) == 0 {
		t.Errorf("%+v, %v", read, err)
	}
}

// A layout is drawn without a model: the entity's colour is in its box, and not in the corner.
func TestPreview(t *testing.T) {
	c := connect(t, map[string]string{"rain.hcl": rain})
	var got struct {
		findings
		Layouts []struct {
			Render   string
			Entities []struct {
				Address string
				Box     [4]float64
				Tokens  int
			}
		}
	}
	r := c.call("preview", args{"scene": "rain.hcl"}, &got)
	p := c.pictures(r)
	if len(p) != 1 || p[0].Bounds().Dx() < 320 {
		t.Fatalf("%d pictures: %s", len(p), words(r))
	}
	if len(got.Layouts) != 1 || len(got.Layouts[0].Entities) != 1 || got.Layouts[0].Entities[0].Box != [4]float64{0.25, 0.25, 0.75, 0.75} ||
		got.Layouts[0].Entities[0].Tokens != 4 {
		t.Errorf("%+v", got)
	}
	w, h := p[0].Bounds().Dx(), p[0].Bounds().Dy()
	if a, b := p[0].At(w*5/8, h*5/8), p[0].At(w/16, h/16); a == b {
		t.Errorf("the entity has the background's colour %v", a)
	}
	if _, err := os.Stat(filepath.Join(c.folder, "out")); err == nil {
		t.Error("a preview has written something")
	}
}

// Whoever cancels the call stops the run, and the next one makes only the rest.
func TestCancelledCall(t *testing.T) {
	c := connect(t, map[string]string{"walk.hcl": walk})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.told.on = cancel // at the first news
	_, err := c.CallTool(ctx, &sdk.CallToolParams{Name: "apply", Arguments: args{"scene": "walk.hcl"}, Meta: sdk.Meta{"progressToken": 7}})
	if err == nil {
		t.Fatal("the call wasn't cancelled")
	}
	c.told.on = nil
	var run runState
	c.call("run_status", args{"wait": 30}, &run)
	if run.State != "cancelled" || run.Done == 0 || run.Done >= run.Stages {
		t.Fatalf("%+v", run)
	}
	var plan struct{ Stages, Left int }
	if c.call("plan", args{"scene": "walk.hcl"}, &plan); plan.Left == 0 || plan.Left >= plan.Stages {
		t.Errorf("%d of %d stages are left", plan.Left, plan.Stages)
	}
	if r := c.call("apply", args{"scene": "walk.hcl"}, &run); run.State != "done" || len(c.pictures(r)) == 0 {
		t.Errorf("%+v", run)
	}
}

// A run in the background is asked about, stopped by its name, and resumed. A second one waits for its turn.
func TestBackground(t *testing.T) {
	c := connect(t, map[string]string{"walk.hcl": walk, "rain.hcl": rain})
	var first, second runState
	c.call("apply", args{"scene": "walk.hcl", "background": true}, &first)
	c.call("apply", args{"scene": "rain.hcl", "background": true}, &second)
	if first.Run == second.Run || first.Run == "" {
		t.Fatalf("%+v, %+v", first, second)
	}
	c.call("cancel", args{"run": first.Run}, &first)
	if first.State != "cancelled" && first.State != "done" { // it may have been quicker
		t.Errorf("%+v", first)
	}
	r := c.call("run_status", args{"run": second.Run, "wait": 30}, &second)
	if second.State != "done" || len(c.pictures(r)) != 1 {
		t.Errorf("%+v", second)
	}
	if r := c.call("run_status", args{"run": "run-9"}, nil); !r.IsError || !strings.Contains(words(r), "run-") {
		t.Errorf("%s", words(r))
	}
}

// A scene that can't be planned is an answer with diagnostics, and no file.
func TestApplyMistakes(t *testing.T) {
	c := connect(t, map[string]string{"rain.hcl": rain})
	var run runState
	r := c.call("apply", args{"text": strings.Replace(rain, "a frog in", "${var.nobody} in", 1)}, &run)
	if !r.IsError || run.State != "failed" || run.Valid || run.Diagnostics[0].Source == nil ||
		run.Diagnostics[0].Source.File != "untitled.hcl" {
		t.Errorf("%+v", run)
	}
	r = c.call("apply", args{"scene": "rain.hcl", "engine": "oils"}, nil)
	if !r.IsError || !strings.Contains(words(r), "use model or paint") {
		t.Errorf("%s", words(r))
	}
	// A file that somebody else has made stays.
	mine := filepath.Join(c.folder, "out", "rain.png")
	if err := os.MkdirAll(filepath.Dir(mine), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r = c.call("apply", args{"scene": "rain.hcl"}, &run)
	if data, err := os.ReadFile(mine); !r.IsError || string(data) != "mine" || err != nil {
		t.Errorf("%s: %q, %v", words(r), data, err)
	}
}

// A scene is written whole, formatted and without errors, and nobody's changes are lost.
func TestWriteScene(t *testing.T) {
	c := connect(t, map[string]string{"rain.hcl": rain})
	var read struct{ Text, Version string }
	// Clients may show a model the text alone: the version is in it, and nothing is in the scene's own text.
	r := c.call("read_scene", args{"path": "rain.hcl"}, &read)
	if own, ok := r.Content[0].(*sdk.TextContent); read.Text != rain || !ok || own.Text != rain || !strings.Contains(words(r), read.Version) {
		t.Errorf("%q, %s", read.Text, words(r))
	}
	moved := strings.Replace(rain, "xywh(0.25,", "xywh(0.30,", 1)
	var got struct {
		findings
		Written bool
		Version string
	}
	if r := c.call("write_scene", args{"path": "rain.hcl", "text": moved}, nil); !r.IsError {
		t.Error("a file was replaced by who hasn't read it")
	}
	messy := strings.Replace(moved, "frog\"\n  box    =", "frog\"\n  box=", 1)
	c.call("write_scene", args{"path": "rain.hcl", "text": messy, "version": read.Version}, &got)
	if data, err := os.ReadFile(filepath.Join(c.folder, "rain.hcl")); !got.Written || string(data) != moved || err != nil {
		t.Errorf("%+v: %s, %v", got, data, err)
	}
	if r := c.call("read_scene", args{"path": "rian.hcl"}, nil); !r.IsError || !strings.Contains(words(r), "unknown file; use rain.hcl") {
		t.Errorf("%s", words(r))
	}
	if r := c.call("write_scene", args{"path": "rain.hcl", "text": rain, "version": read.Version}, nil); !r.IsError {
		t.Error("a file was replaced that has changed")
	}
	if r := c.call("write_scene", args{"path": "bad.hcl", "text": "render {"}, &got); !r.IsError || got.Written || got.Valid {
		t.Errorf("%+v", got)
	}
	if r := c.call("write_scene", args{"path": "deep/er/new.hcl", "text": rain}, &got); !got.Written {
		t.Errorf("%s", words(r))
	}
	var list struct{ Scenes []string }
	if c.call("list_scenes", args{}, &list); !slices.Equal(list.Scenes, []string{"deep/er/new.hcl", "rain.hcl"}) {
		t.Errorf("%q", list.Scenes)
	}
	uris := map[string]bool{}
	for r, err := range c.Resources(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		uris[r.URI] = true
	}
	for _, uri := range []string{
		"eligen://scene/deep/er/new.hcl", "eligen://language", "eligen://schema", "eligen://errors", "eligen://example/rain.hcl",
	} {
		read, err := c.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: uri})
		if !uris[uri] || err != nil || len(read.Contents[0].Text) < 100 {
			t.Errorf("%s: %+v, %v", uri, read, err)
		}
	}
}

// The language is explained by topics; a word that is none leads to the one that is meant.
func TestLanguage(t *testing.T) {
	c := connect(t, nil)
	all := words(c.call("language", args{}, nil))
	for _, part := range []string{"render.inpaint", "xywh", `entity "frog"`} {
		if !strings.Contains(all, part) {
			t.Errorf("%q is not in\n%s", part, all)
		}
	}
	example := strings.Split(all, "```")[1]
	var got findings
	if c.call("validate", args{"text": strings.TrimPrefix(example, "hcl")}, &got); !got.Valid || len(got.Diagnostics) > 0 {
		t.Errorf("the example: %+v", got)
	}
	for topic, part := range map[string]string{"entity": "box", "render.inpaint": "mode", "xywh": "xywh(", "output": "path",
		"box": "of `entity`", "guidance": "`render.sampler`", "color": ""} {
		r := c.call("language", args{"topic": topic}, nil)
		if (part == "") != r.IsError || !strings.Contains(words(r), part) {
			t.Errorf("%s: %s", topic, words(r))
		}
	}
	if r := c.call("language", args{"topic": "entty"}, nil); !strings.Contains(words(r), "entity") {
		t.Errorf("%s", words(r))
	}
	var models struct {
		Models []struct {
			Name                 string
			Objects, Backgrounds []string
		}
	}
	if c.call("list_models", args{}, &models); len(models.Models) != 1 || models.Models[0].Name != "nano" ||
		!slices.Contains(models.Models[0].Objects, "frog") || !slices.Contains(models.Models[0].Backgrounds, "in a meadow") {
		t.Errorf("%+v", models)
	}
	var keys struct{ Tables []app.KeyTable }
	c.call("keys", args{"text": walk, "frames": [][2]int{{0, 0}, {23, 23}}}, &keys)
	if len(keys.Tables) != 1 || len(keys.Tables[0].Values) != 2 {
		t.Errorf("%+v", keys)
	}
}

// A layout of another program becomes a scene; what it leaves open comes back as a question.
func TestImport(t *testing.T) {
	c := connect(t, map[string]string{
		"in/detections.json": `[{"image_id": 1, "category_id": 3, "bbox": [16, 16, 32, 32], "score": 0.9},
			{"image_id": 1, "category_id": 3, "bbox": [0, 0, 8, 8], "score": 0.1}]`,
		"in/images.json": `{"images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 64}],
			"annotations": [], "categories": [{"id": 3, "name": "a cat"}]}`,
	})
	type imported struct {
		Format, Text     string
		Questions, Files []string
		Entities         []int
	}
	var got imported
	r := c.call("import_layout", args{"path": "in/detections.json"}, &got)
	if !r.IsError || len(got.Questions) == 0 || got.Text != "" {
		t.Fatalf("%+v\n%s", got, words(r))
	}
	if r := c.call("import_layout", args{"path": "in/none.json"}, nil); words(r) != "there is no file in/none.json" {
		t.Errorf("%s", words(r))
	}
	all := args{"path": "in/detections.json", "images": "in/images.json", "score": 0.5, "out": "cat.hcl"}
	var made imported
	r = c.call("import_layout", all, &made)
	if r.IsError || !slices.Equal(made.Files, []string{"cat.hcl"}) || !slices.Equal(made.Entities, []int{1}) {
		t.Fatalf("%+v\n%s", made, words(r))
	}
	var found findings
	if c.call("validate", args{"scene": "cat.hcl"}, &found); !found.Valid {
		t.Errorf("%+v", found)
	}
	all["score"] = 0.0
	if r := c.call("import_layout", all, nil); !r.IsError || !strings.Contains(words(r), "is there") {
		t.Errorf("an import has replaced a file: %s", words(r))
	}
}
