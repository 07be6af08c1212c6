package mcp

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/layouts"
)

// fileTools adds what lists, reads and writes files.
func (s *Server) fileTools() {
	tool(s, &sdk.Tool{Name: "list_scenes", Title: "List scenes", Annotations: reads,
		Description: "List the folder's scene files."}, s.listScenes)
	tool(s, &sdk.Tool{Name: "read_scene", Title: "Read a scene", Annotations: reads,
		Description: "Read a scene file's text, and its version, which write_scene wants."}, s.readScene)
	tool(s, &sdk.Tool{Name: "read_picture", Title: "Look at a picture", Annotations: reads,
		Description: "Show a picture of the folder, such as one that apply has written, scaled to at most 1024 pixels."}, s.readPicture)
	imports := &sdk.Tool{Name: "import_layout", Title: "Import a layout", Annotations: writes,
		Description: "Make a scene of another program's layout: prompts with boxes, ComfyUI graphs and pictures that hold one, COCO, " +
			"Label Studio and other annotations, benchmark prompts. What a file leaves open comes back as questions; nothing is guessed."}
	if s.o.ReadOnly {
		imports.Annotations = reads
	} else {
		tool(s, &sdk.Tool{Name: "write_scene", Title: "Write a scene", Annotations: writes,
			Description: "Write a scene file, formatted, if it has no errors. To replace a file, pass the version that read_scene returned, so " +
				"that nobody's changes are lost."}, s.writeScene)
	}
	tool(s, imports, s.importLayout)
}

type noArg struct{}

type sceneList struct {
	Scenes []string `json:"scenes" jsonschema:"paths from the folder, at most 500"`
}

func (s *Server) listScenes(context.Context, *sdk.CallToolRequest, noArg) (*sdk.CallToolResult, sceneList, error) {
	return nil, sceneList{append([]string{}, s.folder.scenes()...)}, nil
}

// A fileArg names a file.
type fileArg struct {
	Path string `json:"path" jsonschema:"from the folder, such as scenes/rain.hcl"`
}

type sceneText struct {
	Path    string `json:"path"`
	Text    string `json:"text"`
	Version string `json:"version" jsonschema:"of the text, for write_scene"`
}

// isScene checks that a file's name is a scene's.
func isScene(name string) error {
	if !strings.HasSuffix(name, ".hcl") {
		return fmt.Errorf("%q is no scene: its name must end in .hcl", name)
	}
	return nil
}

func (s *Server) readScene(_ context.Context, _ *sdk.CallToolRequest, in fileArg) (*sdk.CallToolResult, sceneText, error) {
	if err := isScene(in.Path); err != nil {
		return nil, sceneText{}, err
	}
	data, err := s.folder.read(in.Path, maxFile)
	if err != nil {
		return nil, sceneText{}, err
	}
	version := versionOf(data)
	return text(string(data), &sdk.TextContent{Text: "The version is " + version + "."}), sceneText{in.Path, string(data), version}, nil
}

// A pictureArg names a picture.
type pictureArg struct {
	Path string `json:"path" jsonschema:"from the folder, such as out/rain.png"`
}

func (s *Server) readPicture(_ context.Context, _ *sdk.CallToolRequest, in pictureArg) (*sdk.CallToolResult, any, error) {
	data, err := s.folder.read(in.Path, layouts.MaxBytes)
	if err != nil {
		return nil, nil, err
	}
	img, err := picture(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s is no picture that can be shown: %w", in.Path, err)
	}
	return &sdk.CallToolResult{Content: []sdk.Content{img}}, nil, nil
}

// A writeArg is a scene's new text.
type writeArg struct {
	Path    string `json:"path" jsonschema:"from the folder; it must end in .hcl"`
	Text    string `json:"text" jsonschema:"the scene, in HCL"`
	Version string `json:"version,omitempty" jsonschema:"of the file that is replaced, from read_scene; empty for a new file"`
}

// A written is a scene that was written, if it was.
type written struct {
	findings
	Path    string `json:"path"`
	Written bool   `json:"written"`
	Version string `json:"version" jsonschema:"of the text as it was written"`
}

func (s *Server) writeScene(ctx context.Context, _ *sdk.CallToolRequest, in writeArg) (*sdk.CallToolResult, written, error) {
	out := written{Path: in.Path}
	if err := isScene(in.Path); err != nil {
		return nil, out, err
	}
	if app.IsLock(in.Path) {
		return nil, out, errors.New("the lock is written by eligen verify, and by nobody else")
	}
	input, err := s.input(sceneArg{Scene: in.Path, Text: in.Text})
	if err != nil {
		return nil, out, err
	}
	neat, ds := dsl.Format(input.Path, []byte(in.Text))
	if !ds.HasErrors() {
		if err := s.folder.mkdir(path.Dir(in.Path)); err != nil { // what the scene names is looked for there
			return nil, out, err
		}
		input.Unsaved[input.Path] = neat
		if ds, err = s.app.Validate(ctx, input); err != nil {
			return nil, out, err
		}
	}
	out.findings = s.findings(ds)
	if !out.Valid {
		return out.wrong(), out, nil
	}
	if err := s.folder.write(in.Path, neat, in.Version); err != nil {
		return nil, out, err
	}
	out.Written, out.Version = true, versionOf(neat)
	s.listed()
	return text(fmt.Sprintf("%s is written. Its version is %s.\n%s", in.Path, out.Version, out.words())), out, nil
}

// An importArg names a layout, and answers what it leaves open.
type importArg struct {
	Path       string                `json:"path" jsonschema:"the layout's file, from the folder"`
	Out        string                `json:"out,omitempty" jsonschema:"a new file to write the scene to; without it, the text comes back"`
	Convention string                `json:"convention,omitempty" jsonschema:"how boxes are written: yxyx/1000, corner/px, SR (RAG's grid)"`
	Width      int                   `json:"width,omitempty" jsonschema:"of the canvas, where the file has none, and of the renders"`
	Height     int                   `json:"height,omitempty"`
	Words      []string              `json:"words,omitempty" jsonschema:"prompts of entities that have none, in their order"`
	Places     map[string][4]float64 `json:"places,omitempty" jsonschema:"x0 y0 x1 y1 in fractions, by name"`
	Radius     float64               `json:"radius,omitempty" jsonschema:"of the region around a point, as a share of the shorter side"`
	Picture    string                `json:"picture,omitempty" jsonschema:"the picture that an edit paints into, from the folder"`
	Images     string                `json:"images,omitempty" jsonschema:"the file with the sizes and names of detections, from the folder"`
	Score      float64               `json:"score,omitempty" jsonschema:"leave out detections below this score"`
	Crowds     bool                  `json:"crowds,omitempty" jsonschema:"take crowds, many things as one, as entities"`
}

// An imported is what was read of a layout.
type imported struct {
	Format    string   `json:"format"`
	Why       string   `json:"why" jsonschema:"the file was taken for this format"`
	Order     string   `json:"order" jsonschema:"of the numbers of a box"`
	Unit      string   `json:"unit"`
	By        string   `json:"by" jsonschema:"who says so"`
	Questions []string `json:"questions" jsonschema:"that must be answered first, by the argument of the flag's name"`
	Notes     []string `json:"notes" jsonschema:"what was left out, cut or taken for granted"`
	Entities  []int    `json:"entities" jsonschema:"of each scene"`
	Text      string   `json:"text" jsonschema:"the scene; empty where there are questions"`
	Files     []string `json:"files" jsonschema:"that were written"`
}

// answer turns a client's answers into those of a layout.
func (s *Server) answer(in importArg) (out layouts.Answer, err error) {
	out = layouts.Answer{Convention: in.Convention, Words: in.Words, Places: in.Places, Radius: in.Radius, Score: in.Score, Crowds: in.Crowds}
	out.Size = eligen.Size{W: in.Width, H: in.Height}
	if in.Width < 0 || in.Height < 0 || (in.Width > 0) != (in.Height > 0) {
		return out, errors.New("pass both width and height, in pixels")
	}
	if in.Convention != "" && in.Convention != "SR" {
		if _, _, err := layouts.ParseConvention(in.Convention); err != nil {
			return out, fmt.Errorf("convention: %w", err)
		}
	}
	if !(in.Radius >= 0 && in.Radius <= 1) {
		return out, errors.New("radius is a share of the shorter side, such as 0.1")
	}
	for name, b := range in.Places {
		if !(b[0] < b[2] && b[1] < b[3]) {
			return out, fmt.Errorf("places: %q has no box x0 y0 x1 y1", name)
		}
	}
	for _, f := range []struct {
		name string
		to   *string
	}{{in.Picture, &out.Picture}, {in.Images, &out.Images}} {
		if f.name == "" {
			continue
		}
		if *f.to, err = s.folder.abs(f.name); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (s *Server) importLayout(ctx context.Context, _ *sdk.CallToolRequest, in importArg) (*sdk.CallToolResult, imported, error) {
	out := imported{Questions: []string{}, Notes: []string{}, Entities: []int{}, Files: []string{}}
	at, err := s.folder.abs(in.Path)
	if err != nil {
		return nil, out, err
	}
	answer, err := s.answer(in)
	if err != nil {
		return nil, out, err
	}
	to := in.Out
	if to == "" {
		to = path.Join(path.Dir(in.Path), untitled)
	} else if err := s.mayWrite(in.Out); err != nil {
		return nil, out, err
	}
	if _, err := s.folder.root.Stat(filepath.FromSlash(path.Clean(in.Path))); err != nil {
		return nil, out, s.folder.missing(in.Path, err)
	}
	r, err := s.app.ReadLayout(app.LayoutFile{Path: at, Answer: answer, Below: s.folder.path})
	if err != nil {
		return nil, out, err
	}
	out.Format, out.Why, out.Order, out.Unit, out.By = r.Format, r.Why, r.Convention.Order, r.Convention.Unit, r.Convention.By
	out.Questions, out.Notes = append(out.Questions, r.Ask...), append(out.Notes, r.Said...)
	for _, scene := range r.Scenes {
		out.Entities, out.Questions = append(out.Entities, len(scene.Entities)), append(out.Questions, scene.Ask...)
	}
	if r.Verdict != layouts.Import {
		result := text("The layout leaves something open.\n" + strings.Join(append(out.Questions, out.Notes...), "\n"))
		result.IsError = true
		return result, out, nil
	}
	scene, err := s.folder.abs(to)
	if err != nil {
		return nil, out, err
	}
	made, err := s.app.WriteLayout(ctx, r, scene, answer)
	if err != nil {
		return nil, out, err
	}
	out.Text, out.Notes = string(made.Text), append(out.Notes, made.Said...)
	if in.Out != "" {
		if err := s.save(in.Out, made, &out); err != nil {
			return nil, out, err
		}
	} else if len(made.Files) > 0 {
		out.Notes = append(out.Notes, "The scene has masks, which are written with out alone.")
	}
	return text(strings.Join(append([]string{out.Text}, out.Notes...), "\n")), out, nil
}

// mayWrite checks a file that a scene is to be written to.
func (s *Server) mayWrite(name string) error {
	if s.o.ReadOnly {
		return errors.New("the server writes nothing: leave out away")
	}
	if app.IsLock(name) {
		return errors.New("the lock is written by eligen verify, and by nobody else")
	}
	return isScene(name)
}

// save writes an imported scene, and first the files next to it.
func (s *Server) save(name string, made *app.ImportedLayout, out *imported) error {
	var names []string
	for file := range made.Files {
		names = append(names, file)
	}
	slices.Sort(names)
	for _, file := range names {
		at := path.Join(path.Dir(name), file)
		if err := s.folder.write(at, made.Files[file], ""); err != nil {
			return err
		}
		out.Files = append(out.Files, at)
	}
	if err := s.folder.write(name, made.Text, ""); err != nil {
		return err
	}
	out.Files = append(out.Files, name)
	s.listed()
	return nil
}
