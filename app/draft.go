package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dataset"
	"github.com/eligen/eligen/draft"
	"github.com/eligen/eligen/dsl"
)

// A DraftRequest says what scene to make from words.
type DraftRequest struct {
	Words string
	Name  string       // of the scene; "" is what the words suggest
	Model *draft.Model // a language model to ask; nil: rules, which need none
}

// A Drafted is a scene's text, and notes for the author.
type Drafted struct {
	Text  []byte
	Notes []string
}

// Draft makes a scene from words, and checks it as any scene is before anybody gets it.
func (a *App) Draft(ctx context.Context, r DraftRequest) (Drafted, error) {
	var d draft.Draft
	var notes []string
	var err error
	if r.Model == nil {
		d, notes, err = draft.Plan(r.Words, vocabulary())
	} else {
		d, notes, err = r.Model.Plan(ctx, r.Words, vocabulary())
	}
	if err != nil {
		return Drafted{}, err
	}
	if r.Name != "" {
		d.Called(r.Name)
	}
	text := d.HCL()
	_, ds, err := a.reread(ctx, Input{Path: filepath.Join(os.TempDir(), "new.hcl")}, text)
	if err != nil {
		return Drafted{}, err
	}
	if ds.HasErrors() {
		return Drafted{}, fmt.Errorf("the scene that was made is not valid, which is a mistake of eligen's: %w", ds.Err())
	}
	return Drafted{text, notes}, nil
}

// A RefineRequest says how to change a scene by words.
type RefineRequest struct {
	Input
	Words string
	Model *draft.Model // as a DraftRequest's
}

// Refine returns a scene's text, changed by words: comments and what the words don't touch stay. It
// reads the result to see that it states what was meant. It returns warnings of the scene as it was.
func (a *App) Refine(ctx context.Context, r RefineRequest) (Drafted, eligen.Diagnostics, error) {
	if strings.HasSuffix(strings.ToLower(r.Path), ".json") {
		return Drafted{}, nil, errors.New("scenes in JSON are not refined; write it as .hcl")
	}
	scene, warnings, err := a.Open(ctx, r.Input)
	if err != nil {
		return Drafted{}, nil, err
	}
	src, unsaved := r.Unsaved[r.Path]
	if !unsaved {
		if src, err = os.ReadFile(r.Path); err != nil {
			return Drafted{}, warnings, err
		}
	}
	out, err := a.refine(ctx, r, scene, src)
	return out, warnings, err
}

func (a *App) refine(ctx context.Context, r RefineRequest, scene *eligen.Scene, src []byte) (Drafted, error) {
	before, err := draft.Of(scene, src)
	if err != nil {
		return Drafted{}, err
	}
	var after draft.Draft
	var notes []string
	if r.Model == nil {
		after, notes, err = draft.Edit(before, r.Words, vocabulary())
	} else {
		after, notes, err = r.Model.Refine(ctx, before, r.Words, vocabulary())
	}
	if err != nil {
		return Drafted{}, err
	}
	text, err := draft.Rewrite(src, before, after)
	if err != nil {
		return Drafted{}, err
	}
	text, ds := dsl.Format(r.Path, text)
	if err := ds.Err(); err != nil {
		return Drafted{}, fmt.Errorf("%s is written in a way that can't be changed by words: %w", r.Path, err)
	}
	got, ds, err := a.reread(ctx, r.Input, text)
	if err != nil {
		return Drafted{}, err
	}
	if err := ds.Err(); err != nil {
		return Drafted{}, fmt.Errorf("the change does not fit the rest of %s: %w", r.Path, err)
	}
	if why := after.Same(got, text); why != "" {
		return Drafted{}, fmt.Errorf("%s is written in a way that can't be changed by words (%s): change it by hand", r.Path, why)
	}
	return Drafted{text, notes}, nil
}

// reread reads a text in place of a scene's, where what it names is.
func (a *App) reread(ctx context.Context, in Input, text []byte) (*eligen.Scene, eligen.Diagnostics, error) {
	unsaved := map[string][]byte{in.Path: text}
	for path, other := range in.Unsaved {
		if path != in.Path {
			unsaved[path] = other
		}
	}
	in.Unsaved = unsaved
	return a.load(ctx, in)
}

// NanoDraws returns what the model nano was trained on: its kinds of object, and backgrounds as they end prompts
// ("in a meadow").
func NanoDraws() (objects, backgrounds []string) {
	for _, o := range vocabulary().Objects {
		objects = append(objects, o.Name)
	}
	for _, b := range dataset.Backgrounds() {
		backgrounds = append(backgrounds, b.Place)
	}
	return objects, backgrounds
}

// vocabulary returns what nano was trained on.
func vocabulary() draft.Vocabulary {
	v := draft.Vocabulary{Of: "nano", Words: dataset.MaxTokens}
	for _, c := range dataset.Classes(0) {
		v.Objects = append(v.Objects, draft.Object{Name: c.Name, Also: c.Also, Bare: c.Bare, Sky: c.Sky})
	}
	known := dataset.Backgrounds()
	places := known
	for _, a := range known {
		for _, b := range known {
			if g, err := dataset.BackgroundNamed(a.Name + " to " + b.Name); err == nil {
				places = append(places, g)
			}
		}
	}
	for _, b := range places {
		v.Backgrounds = append(v.Backgrounds, draft.Background{Name: b.Name, Phrase: b.Phrase, At: b.Place})
	}
	return v
}
