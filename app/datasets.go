package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dataset"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/words"
	"github.com/eligen/eligen/layouts"
)

// A DatasetImport says which annotations of other programs, or which scene, become a dataset.
type DatasetImport struct {
	LayoutFile // or a scene
	Out        string
}

// ImportDataset writes the pictures and annotations of another program, or of a scene that was applied, as a
// dataset. It returns how many pictures it has, and what was left out.
func (a *App) ImportDataset(ctx context.Context, r DatasetImport) (n int, said []string, err error) {
	if isScene(r.Path) {
		return a.importPictures(ctx, r)
	}
	paths, err := annotationFiles(r.Path)
	if err != nil {
		return 0, nil, err
	}
	var list []layouts.Scene
	var folders []string
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return 0, nil, err
		}
		one := r.LayoutFile
		one.Path = path
		reading, err := a.ReadLayout(one)
		if err != nil {
			return 0, nil, err
		}
		if reading.Verdict != layouts.Import {
			return 0, nil, fmt.Errorf("%s leaves something open: %s", path, strings.Join(reading.Ask, "; "))
		}
		scenes, left := annotatedScenes(reading.Scenes)
		for _, s := range append(reading.Said, left...) {
			if !slices.Contains(said, s) {
				said = append(said, s)
			}
		}
		for _, s := range scenes {
			list, folders = append(list, s), append(folders, filepath.Dir(path))
		}
	}
	if len(list) == 0 {
		return 0, said, fmt.Errorf("%s has no annotated picture", r.Path)
	}
	return len(list), said, dataset.Write(r.Out, func(i int) (annotated.Sample, error) {
		if err := ctx.Err(); err != nil {
			return annotated.Sample{}, err
		}
		return sampleOf(folders[i], list[i])
	}, len(list))
}

// annotationFiles returns a file, or those of a folder, which holds one for each picture.
func annotationFiles(path string) (list []string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	for _, e := range entries {
		ext := strings.ToLower(filepath.Ext(e.Name()))
		if e.Type().IsRegular() && slices.Contains([]string{".txt", ".xml", ".json"}, ext) && e.Name() != "classes.txt" {
			list = append(list, filepath.Join(path, e.Name()))
		}
	}
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("%s has no annotations: .txt, .xml or .json files", path)
	}
	return list, err
}

func isScene(path string) bool {
	path = strings.ToLower(path)
	return strings.HasSuffix(path, ".hcl") || strings.HasSuffix(path, ".hcl.json")
}

// annotatedScenes returns those that have a picture and entities, and says what is left out.
func annotatedScenes(scenes []layouts.Scene) (list []layouts.Scene, left []string) {
	for _, s := range scenes {
		usable := slices.DeleteFunc(slices.Clone(s.Entities), func(e layouts.Entity) bool { return !e.Usable() })
		if n := len(s.Entities) - len(usable); n > 0 {
			left = append(left, fmt.Sprintf("%s: %d of its entities have no words, no place or no area, and are left out", s.Name, n))
		}
		s.Entities = usable
		switch {
		case s.Picture == "":
			left = append(left, s.Name+" names no picture, and is left out")
		case len(s.Entities) == 0:
			left = append(left, s.Name+" has no entities, and is left out")
		default:
			list = append(list, s)
		}
	}
	return list, left
}

// pictureOf finds an annotated picture: by its path, or, where that is a name alone, in the folders next to the
// annotations in which programs keep pictures.
func pictureOf(folder, name string) string {
	for _, next := range []string{".", "images", "../images", "../../images", "..", "../JPEGImages"} {
		path := filepath.Join(folder, filepath.FromSlash(next), name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
		if filepath.Base(name) != name {
			break
		}
	}
	return filepath.Join(folder, name)
}

// sampleOf opens an annotated picture.
func sampleOf(folder string, s layouts.Scene) (annotated.Sample, error) {
	local, err := filepath.Localize(filepath.ToSlash(filepath.Clean(s.Picture)))
	if err != nil {
		return annotated.Sample{}, fmt.Errorf("the picture %q leads out of the file's folder", s.Picture)
	}
	file := pictureOf(folder, local)
	img, err := openPicture(file)
	if err != nil {
		return annotated.Sample{}, err
	}
	caption, err := captionOf(file)
	if err != nil {
		return annotated.Sample{}, err
	}
	out := annotated.Sample{Name: s.Name, Image: img}
	var names []string
	for _, e := range s.Entities {
		out.Entities = append(out.Entities, annotated.Entity{Prompt: strings.TrimSpace(*e.Prompt), Region: e.Place()})
		names = append(names, strings.TrimSpace(*e.Prompt))
	}
	if s.Prompt != nil && strings.TrimSpace(*s.Prompt) != "" {
		caption = *s.Prompt
	}
	if out.Prompt = strings.Join(strings.Fields(caption), " "); out.Prompt == "" {
		out.Prompt = words.Listed(names, "and")
	}
	return out, nil
}

// importPictures writes a dataset of the pictures that a scene's renders made: the model's own.
func (a *App) importPictures(ctx context.Context, r DatasetImport) (n int, said []string, err error) {
	p, _, err := a.Plan(ctx, PlanRequest{Input: Input{Path: r.Path}, Engine: "paint"})
	if err != nil {
		return 0, nil, err
	}
	var list []Layout
	var paths []string
	for _, l := range p.Layouts() {
		i := slices.IndexFunc(p.Outputs, func(o eligen.PlannedOutput) bool { return o.Render == l.Render })
		switch {
		case l.Timeline != nil:
			said = append(said, l.Render+" is a clip, and is left out")
		case i < 0 || len(l.Entities) == 0:
			said = append(said, l.Render+" has no picture or no entities, and is left out")
		default:
			if _, err := os.Stat(p.Outputs[i].Path); errors.Is(err, os.ErrNotExist) {
				return 0, said, fmt.Errorf("%s is not there: eligen apply %s writes it", p.Outputs[i].Path, r.Path)
			}
			list, paths = append(list, l), append(paths, p.Outputs[i].Path)
		}
	}
	if len(list) == 0 {
		return 0, said, fmt.Errorf("%s has no render with a picture and entities", r.Path)
	}
	return len(list), said, dataset.Write(r.Out, func(i int) (annotated.Sample, error) {
		if err := ctx.Err(); err != nil {
			return annotated.Sample{}, err
		}
		img, err := openPicture(paths[i])
		if err != nil {
			return annotated.Sample{}, err
		}
		s := annotated.Sample{Name: strings.TrimPrefix(list[i].Render, "render."), Image: img, Prompt: list[i].Prompt}
		if got := (eligen.Size{W: img.Rect.Dx(), H: img.Rect.Dy()}); got != list[i].Size {
			return s, fmt.Errorf("%s has %v pixels, and the scene says %v: apply it again", paths[i], got, list[i].Size)
		}
		for _, e := range list[i].Entities {
			s.Entities = append(s.Entities, annotated.Entity{Prompt: e.Prompt, Region: e.Region})
		}
		return s, nil
	}, len(list))
}

// A DatasetExport says which dataset to write in another program's form.
type DatasetExport struct {
	Folder string
	To     string // one of DatasetForms
	Out    string
}

// DatasetForms lists the forms of datasets that ExportDataset writes.
func DatasetForms() []string { return []string{"eligen", "coco", "yolo"} }

// ExportDataset writes a dataset in another program's form, in a folder of its own. It returns the file that lists the
// pictures, and what the form can't hold.
func (a *App) ExportDataset(ctx context.Context, r DatasetExport) (file string, said []string, err error) {
	if !slices.Contains(DatasetForms(), r.To) {
		return "", nil, fmt.Errorf("no form %q: there are %s", r.To, words.Listed(DatasetForms(), "and"))
	}
	folder, err := dataset.Read(r.Folder, eligen.Size{})
	if err != nil {
		return "", nil, err
	}
	if list, err := os.ReadDir(r.Out); err == nil && len(list) > 0 {
		return "", nil, fmt.Errorf("%s is not empty: choose another folder, or remove it", r.Out)
	}
	sample := func(i int) (annotated.Sample, error) {
		if err := ctx.Err(); err != nil {
			return annotated.Sample{}, err
		}
		return folder.Sample(i)
	}
	switch r.To {
	case "coco":
		return exportCOCO(r.Out, sample, folder.Len())
	case "yolo":
		return exportYOLO(r.Out, sample, folder.Len())
	}
	file = filepath.Join(r.Out, "metadata.json")
	return file, []string{"names, boxes, classes and outlines are not in the form: each entity has a mask"},
		dataset.WriteBare(r.Out, sample, folder.Len())
}

// besides says how captions go along with forms that can't hold any.
const besides = "captions are not in the form: they are NAME.txt next to the pictures, as trainers of LoRAs read them"

// exportPicture writes a sample's picture as images/NUMBER.png, and its caption next to it.
func exportPicture(out string, i int, s annotated.Sample) (name string, err error) {
	if err := os.MkdirAll(filepath.Join(out, "images"), 0o755); err != nil {
		return "", err
	}
	name = fmt.Sprintf("%06d", i)
	to := filepath.Join(out, "images", name)
	return name, errors.Join(files.WriteFile(to+".png", encodePNG(s.Image)), files.WriteBytes(to+".txt", []byte(s.Prompt+"\n")))
}

// exportCOCO writes instances.json. Its pictures' names lead from its folder.
func exportCOCO(out string, sample annotated.Samples, n int) (file string, said []string, err error) {
	var views []layouts.View
	for i := range n {
		s, err := sample(i)
		if err != nil {
			return "", nil, err
		}
		name, err := exportPicture(out, i, s)
		if err != nil {
			return "", nil, err
		}
		v := layouts.View{Name: "images/" + name, Size: eligen.Size{W: s.Image.Rect.Dx(), H: s.Image.Rect.Dy()}, Prompt: s.Prompt}
		for k, e := range s.Entities {
			v.Entities = append(v.Entities, eligen.Entity{Name: fmt.Sprintf("e%d", k), Address: fmt.Sprintf("entity %d of %s", k, name),
				Prompt: e.Prompt, Region: e.Region, Strength: 1})
		}
		views = append(views, v)
	}
	e, err := layouts.ExportTo("coco", "instances", views)
	if err != nil {
		return "", nil, err
	}
	file = filepath.Join(out, "instances.json")
	return file, []string{besides}, files.WriteBytes(file, e.Text)
}
