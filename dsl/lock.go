package dsl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

var (
	lockGrammar = &grammar{what: "a lock", blocks: []hcl.BlockHeaderSchema{{Type: "render", LabelNames: []string{"scene", "address"}},
		{Type: "weights", LabelNames: []string{"repository"}}}, many: []string{"render", "weights"}}
	lockRepoGrammar = &grammar{what: "pinned weights", required: []string{"revision"},
		blocks: []hcl.BlockHeaderSchema{{Type: "file", LabelNames: []string{"name"}}}, many: []string{"file"}}
	lockFileGrammar   = &grammar{what: "a pinned file", required: []string{"sha256", "size"}}
	lockRenderGrammar = &grammar{
		what:     "a recorded render",
		required: []string{"plan", "engine", "pixels"},
		optional: []string{"psnr", "resolved", "files", "tiles"},
		blocks:   []hcl.BlockHeaderSchema{{Type: "weights", LabelNames: []string{"part"}}},
		many:     []string{"weights"},
	}
	lockWeightsGrammar = &grammar{what: "recorded weights", required: []string{"sha256"}}
)

var sha256Text = regexp.MustCompile(`^[0-9a-f]{64}$`)

// LoadLock reads the lock of a folder; where there is none it is empty.
func LoadLock(folder string) (*eligen.Lock, eligen.Diagnostics) {
	path := filepath.Join(folder, eligen.LockName)
	var ds eligen.Diagnostics
	root, err := os.OpenRoot(folder)
	if err != nil {
		ds.Errorf(nil, "Lock can't be read", "%v.", err)
		return nil, ds
	}
	defer root.Close()
	// Who checks a scene of somebody else's doesn't want to be shown his own files.
	src, err := readBelow(root, eligen.LockName, "scene's", "a lock", maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return &eligen.Lock{}, nil
	}
	if err != nil {
		ds.Errorf(nil, "Lock can't be read", "%v.", err)
		return nil, ds
	}
	l := newLoader(context.Background(), newFile(path, src))
	l.syntax, l.diags = parse(l.main)
	if l.syntax.body == nil {
		return nil, tidy(l.diags)
	}
	top := &body{l: l, g: lockGrammar, at: map[string]eligen.Source{}}
	top.read(l.syntax.body)
	lock := &eligen.Lock{}
	for _, block := range top.blocks {
		if block.Type == "weights" {
			l.pin(lock, block)
			continue
		}
		b := lockBody{l.open(block, lockRenderGrammar)}
		r := b.render(block)
		if first := lock.Find(r.Scene, r.Address); first != nil {
			b.errorf(b.rng, "Recorded twice", "%s of %s is recorded twice. Remove one of the two, or record again with eligen verify --update.",
				r.Address, r.Scene).Note(first.Source, "first recorded here")
		}
		lock.Renders = append(lock.Renders, r)
	}
	if l.diags.HasErrors() {
		return nil, tidy(l.diags)
	}
	return lock, nil
}

// render reads what is recorded of a render.
func (b lockBody) render(block *hcl.Block) eligen.LockedRender {
	r := eligen.LockedRender{Scene: block.Labels[0], Address: block.Labels[1], PSNR: eligen.DefaultPSNR, Source: b.l.source(b.rng)}
	r.Plan, r.Pixels = b.digest("plan"), b.digest("pixels")
	r.Engine, _ = b.text("engine")
	if f, ok := b.number("psnr", 0, 100); ok {
		r.PSNR = f
	}
	if v, ok := b.convert("resolved", cty.Map(cty.String), "an object of texts"); ok {
		r.Resolved = map[string]string{}
		for name, text := range v.AsValueMap() {
			if !text.IsNull() {
				r.Resolved[name] = text.AsString()
			}
		}
	}
	if v, ok := b.convert("files", cty.List(cty.String), "a list of paths"); ok {
		for _, path := range v.AsValueSlice() {
			if !path.IsNull() {
				r.Files = append(r.Files, path.AsString())
			}
		}
	}
	r.Tiles = b.recordedTiles()
	for _, inner := range b.blocks {
		w := lockBody{b.l.open(inner, lockWeightsGrammar)}
		r.Weights = append(r.Weights, eligen.LockedWeights{Part: inner.Labels[0], Digest: w.digest("sha256")})
	}
	return r
}

// pin reads what is pinned of a repository.
func (l *loader) pin(lock *eligen.Lock, block *hcl.Block) {
	b := lockBody{l.open(block, lockRepoGrammar)}
	r := eligen.LockedRepo{Repo: block.Labels[0], Source: l.source(b.rng)}
	if repo, ok := eligen.ParseRepo(r.Repo); !ok || repo.File != "" {
		b.errorf(block.LabelRanges[0], invalidSource, "%q is no repository: it must be owner/name.", r.Repo)
	}
	r.Revision = b.revision()
	for _, inner := range b.blocks {
		w := lockBody{l.open(inner, lockFileGrammar)}
		f := eligen.LockedFile{Name: inner.Labels[0], SHA256: w.digest("sha256"), Source: l.source(w.rng)}
		if _, ok := eligen.ParseRepo("owner/name/" + f.Name); !ok {
			w.errorf(inner.LabelRanges[0], invalidSource, "%q is no file of a repository.", f.Name)
		}
		f.Size, _ = w.whole("size", 0, 1<<50)
		r.Files = append(r.Files, f)
	}
	if first := lock.Pin(r.Repo); first != nil {
		b.errorf(b.rng, duplicateBlock, "%s is pinned twice. Remove one of the two.", r.Repo).Note(first.Source, "first pinned here")
	}
	lock.Weights = append(lock.Weights, r)
}

// A lockBody is a block of a lock.
type lockBody struct{ *body }

// recordedTiles reads the tile and the stride of what was decoded in tiles.
func (b lockBody) recordedTiles() *eligen.Tiling {
	v, ok := b.convert("tiles", cty.List(cty.Number), "a tile and a stride in latents, as [128, 64]")
	if !ok || v.IsNull() {
		return nil
	}
	var n []int
	for _, x := range v.AsValueSlice() {
		if x.IsNull() {
			n = append(n, 0)
			continue
		}
		i, _ := x.AsBigFloat().Int64()
		n = append(n, int(min(i, 1<<20)))
	}
	if len(n) != 2 || n[0] < 1 || n[1] < 1 || n[1] > n[0] {
		b.errorf(b.place("tiles"), wrongType, "\"tiles\" must be a tile and a stride in latents, as [128, 64], and the stride at most the tile.")
		return nil
	}
	return &eligen.Tiling{Tile: n[0], Stride: n[1]}
}

func (b lockBody) digest(name string) eligen.Digest {
	s, ok := b.text(name)
	if ok && !sha256Text.MatchString(s) {
		b.errorf(b.place(name), wrongType, "%q must be a SHA-256 digest, 64 hexadecimal digits.", name)
	}
	return eligen.Digest(s)
}

// lockHead returns the comment that begins a lock.
func lockHead(lock *eligen.Lock) string {
	s := ""
	if len(lock.Weights) > 0 {
		s = "# Which revisions of repositories the scenes use. Made by eligen apply --pull.\n"
	}
	if len(lock.Renders) > 0 || s == "" {
		s += "# What eligen verify holds renders to. Made by eligen verify --update.\n"
	}
	return s
}

// writePins writes what is pinned, in order of names.
func writePins(body *hclwrite.Body, pins []eligen.LockedRepo) {
	pins = slices.Clone(pins)
	slices.SortFunc(pins, func(a, b eligen.LockedRepo) int { return cmp.Compare(a.Repo, b.Repo) })
	for _, p := range pins {
		body.AppendNewline()
		b := body.AppendNewBlock("weights", []string{p.Repo}).Body()
		b.SetAttributeValue("revision", cty.StringVal(p.Revision))
		list := slices.Clone(p.Files)
		slices.SortFunc(list, func(a, b eligen.LockedFile) int { return cmp.Compare(a.Name, b.Name) })
		for _, f := range list {
			b.AppendNewline()
			inner := b.AppendNewBlock("file", []string{f.Name}).Body()
			inner.SetAttributeValue("sha256", cty.StringVal(string(f.SHA256)))
			inner.SetAttributeValue("size", cty.NumberIntVal(f.Size))
		}
	}
}

// UpdateLock reads the lock of a folder, has change change it, and writes it. No other process updates it
// meanwhile. Mistakes in the lock, which is then left as it is, are an error of type eligen.Diagnostics.
func UpdateLock(ctx context.Context, folder string, change func(*eligen.Lock)) error {
	path, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	// The folder of a scene gets no file that only locks.
	claim := filepath.Join(os.TempDir(), "eligen-lock-"+string(eligen.DigestOf([]byte(path)))[:16])
	for {
		free, ok, err := files.Claim(claim)
		if err != nil {
			return err
		}
		if ok {
			defer free() //nolint:errcheck // it ends with the process
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	lock, ds := LoadLock(folder)
	if err := ds.Err(); err != nil {
		return err
	}
	change(lock)
	return WriteLock(folder, lock)
}

// WriteLock writes the lock of a folder, whole or not at all, in an order that
// depends on its content alone.
func WriteLock(folder string, lock *eligen.Lock) (err error) {
	f := hclwrite.NewEmptyFile()
	f.Body().AppendUnstructuredTokens(hclwrite.Tokens{{Type: 'C',
		Bytes: []byte(lockHead(lock))}})
	writePins(f.Body(), lock.Weights)
	renders := slices.Clone(lock.Renders)
	slices.SortFunc(renders, func(a, b eligen.LockedRender) int {
		return cmp.Or(cmp.Compare(a.Scene, b.Scene), cmp.Compare(a.Address, b.Address))
	})
	for _, r := range renders {
		f.Body().AppendNewline()
		b := f.Body().AppendNewBlock("render", []string{r.Scene, r.Address}).Body()
		b.SetAttributeValue("plan", cty.StringVal(string(r.Plan)))
		b.SetAttributeValue("engine", cty.StringVal(r.Engine))
		b.SetAttributeValue("pixels", cty.StringVal(string(r.Pixels)))
		b.SetAttributeValue("psnr", cty.NumberFloatVal(r.PSNR))
		if len(r.Files) > 0 {
			var paths []cty.Value
			for _, path := range r.Files {
				paths = append(paths, cty.StringVal(path))
			}
			b.SetAttributeValue("files", cty.ListVal(paths))
		}
		if t := r.Tiles; t != nil {
			b.SetAttributeValue("tiles", cty.ListVal([]cty.Value{cty.NumberIntVal(int64(t.Tile)), cty.NumberIntVal(int64(t.Stride))}))
		}
		if len(r.Resolved) > 0 {
			words := map[string]cty.Value{}
			for name, text := range r.Resolved {
				words[name] = cty.StringVal(text)
			}
			b.SetAttributeValue("resolved", cty.ObjectVal(words))
		}
		for _, w := range r.Weights {
			b.AppendNewline()
			b.AppendNewBlock("weights", []string{w.Part}).Body().SetAttributeValue("sha256", cty.StringVal(string(w.Digest)))
		}
	}
	if err := files.WriteBytes(filepath.Join(folder, eligen.LockName), hclwrite.Format(f.Bytes())); err != nil {
		return fmt.Errorf("the lock can't be written: %w", err)
	}
	return nil
}
