package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/layouts"
)

// A LayoutFile says which layout to read, and what a person answered to what it leaves open.
type LayoutFile struct {
	Path   string
	Answer layouts.Answer // its Picture and Images from where eligen runs
	// Below, where it is set, is the folder that the layout and the files that it names lie below, where
	// strangers choose them. Links that lead out of it are refused.
	Below string
}

// ReadLayout reads a layout that another program wrote.
func (a *App) ReadLayout(r LayoutFile) (*layouts.Reading, error) {
	read := func(path string) ([]byte, error) { return files.Read(path, layouts.MaxBytes) }
	if r.Below != "" {
		read = func(path string) ([]byte, error) { return readBelow(r.Below, path, layouts.MaxBytes) }
	}
	data, err := read(r.Path)
	if err != nil {
		return nil, err
	}
	folder := filepath.Dir(r.Path)
	return layouts.Read(layouts.Source{Name: filepath.ToSlash(r.Path), Data: data, Open: func(name string) ([]byte, error) {
		if r.Answer.Images != "" && name == filepath.ToSlash(filepath.Clean(r.Answer.Images)) {
			if data, err := read(r.Answer.Images); err == nil {
				return data, nil
			}
		}
		return read(filepath.Join(folder, filepath.FromSlash(name)))
	}}, r.Answer)
}

// An ImportedLayout is a scene made of a layout: its text, the files next to it by their paths from
// its folder, and what was changed on the way.
type ImportedLayout struct {
	Text  []byte
	Files map[string][]byte
	Said  []string
}

// WriteLayout makes a scene of a reading, for a file of this path, and checks it as any scene is before
// anybody gets it.
func (a *App) WriteLayout(ctx context.Context, r *layouts.Reading, path string, answer layouts.Answer) (*ImportedLayout, error) {
	if r.Verdict != layouts.Import {
		return nil, errors.New("the layout leaves something open")
	}
	if answer.Picture != "" {
		if rel, err := filepath.Rel(filepath.Dir(path), answer.Picture); err == nil {
			answer.Picture = filepath.ToSlash(rel)
		}
	}
	w, err := layouts.Write(r, sceneStem(path), answer)
	if err != nil {
		return nil, err
	}
	text, ds := dsl.Format(path, w.Text)
	if err := ds.Err(); err != nil {
		return nil, fmt.Errorf("the scene that was made is not valid, which is a mistake of eligen's: %w", err)
	}
	out := &ImportedLayout{Text: text, Files: w.Files, Said: w.Said}
	return out, a.checkLayout(ctx, out, path, answer.Picture)
}

// sceneStem returns a scene's file name without .hcl.
func sceneStem(path string) string {
	base := filepath.Base(path)
	return base[:len(base)-len(filepath.Ext(base))]
}

// checkLayout reads and plans a scene that was made, in a folder of its own.
func (a *App) checkLayout(ctx context.Context, made *ImportedLayout, path, picture string) error {
	dir, err := os.MkdirTemp("", "eligen-import-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	at := filepath.Join(dir, "scene.hcl")
	if err := made.Save(at, false); err != nil {
		return err
	}
	if picture != "" {
		if !filepath.IsLocal(filepath.FromSlash(picture)) {
			return fmt.Errorf("the picture %s must lie in the scene's folder, or below", picture)
		}
		data, err := files.Read(filepath.Join(filepath.Dir(path), filepath.FromSlash(picture)), layouts.MaxBytes)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(picture))
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, data, 0o644)); err != nil {
			return err
		}
	}
	ds, err := a.Validate(ctx, Input{Path: at})
	if err != nil {
		return err
	}
	if err := ds.Err(); err != nil {
		return fmt.Errorf("the scene that was made is not valid: %w", err)
	}
	return nil
}

// Save writes the scene and the files next to it. Files that are there stay, and are an error, unless
// replace is set.
func (m *ImportedLayout) Save(path string, replace bool) error {
	folder := filepath.Dir(path)
	write := func(name string, data []byte) error {
		if !replace {
			if _, err := os.Lstat(name); err == nil {
				return fmt.Errorf("%s is there already: --force replaces it", name)
			}
		}
		return files.WriteBytes(name, data)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if !replace {
		if _, err := os.Lstat(path); err == nil { // before a mask is written
			return fmt.Errorf("%s is there already: --force replaces it", path)
		}
	}
	for name, data := range m.Files {
		to := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := write(to, data); err != nil {
			return err
		}
	}
	return write(path, m.Text)
}
