package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/measure"
	"github.com/eligen/eligen/stage/still"
	"github.com/eligen/eligen/store/file"
)

// verifyOptions are the flags of `eligen verify`.
type verifyOptions struct {
	planOptions
	progressOptions
	update   bool
	force    bool
	lockOnly bool
	diffDir  string
	memory   string
}

func newVerify() *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify SCENE",
		Short: "Render again, and hold the pictures to the record",
		Long: `Render again, and hold the pictures to the record, the file eligen.lock.hcl beside the scene. Nothing is taken from the store.

The same recipe on the same engine must make the same pixels. On another engine, and on a GPU, the picture must be as like the recorded one as the lock says (psnr, in dB); the recorded one is the file that the render is written to, if nobody has changed it. A render whose scene says something else than it did is a mismatch, and what it says is named.

The files that the render was recorded with must lie beside the scene, as they were: one that is gone, was changed, or shows something else is a mismatch too. Where they are not kept with the scene, --lock-only holds the render to the lock alone.

A mismatch is exit code 4; weights that are not those of the lock are 6, before anything runs. Where a picture lies beside the scene, one named ….diff.png shows where the new one differs.

--update makes the record: it renders, writes the pictures as apply does, and then the lock.`,
		Example: `eligen verify --update scenes/rain.hcl
eligen verify scenes/rain.hcl`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              o.run,
	}
	o.planOptions.flags(c)
	f := c.Flags()
	f.StringVar(&o.progress, "progress", "", "show progress as `DISPLAY`: tui, plain or none (default tui on a terminal, plain elsewhere)")
	choices(c, "progress", "tui", "plain", "none")
	f.BoolVar(&o.update, "update", false, "record the scene's renders as they are now")
	f.BoolVar(&o.force, "force", false, "with --update: replace files that eligen did not write")
	f.BoolVar(&o.lockOnly, "lock-only", false, "leave out the files beside the scene")
	f.StringVar(&o.memory, "memory", "", "let a render take at most `SIZE` of memory, as 16GiB, or any (default: the machine's)")
	f.StringVar(&o.diffDir, "diff-dir", "", "put difference pictures into this `FOLDER`, and what was rendered too")
	return c
}

func (o *verifyOptions) run(c *cobra.Command, args []string) (err error) {
	e, err := o.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	scene, err := o.read(c, args[0])
	if err != nil {
		return err
	}
	scene.Checks = nil // apply tests them
	sheets(scene)
	lock, ds := dsl.LoadLock(filepath.Dir(scene.Path))
	if err := ds.Err(); err != nil {
		return err
	}
	if o.update {
		return o.record(c, e, scene, lock)
	}
	return o.verify(c, e, scene, lock)
}

// A verification is one render: its record, and what it is now.
type verification struct {
	render   *eligen.Render
	record   *eligen.LockedRender // nil: there is none
	decoded  eligen.Ref           // the stage that makes its picture
	resolved still.Resolved
	paths    []string // files that show the picture as it is, without an overlay
	files    []eligen.PlannedOutput
}

func (v *verification) digest(p *eligen.Plan) eligen.Digest { return p.Stages[v.decoded].Digest }

// recorded is the record of a render, also under an address that it was moved from.
func recorded(lock *eligen.Lock, scene *eligen.Scene, address string) *eligen.LockedRender {
	name := filepath.Base(scene.Path)
	if r := lock.Find(name, address); r != nil {
		return r
	}
	for i := range lock.Renders {
		if r := &lock.Renders[i]; r.Scene == name && movedTo(scene.Moves, r.Address) == address {
			return r
		}
	}
	return nil
}

// verifications finds each render of a scene in its plan.
func verifications(p *eligen.Plan, scene *eligen.Scene, lock *eligen.Lock) []verification {
	var out []verification
	for i := range scene.Renders {
		v := verification{render: &scene.Renders[i], record: recorded(lock, scene, scene.Renders[i].Address)}
		for _, file := range p.Outputs {
			op := p.Stages[file.Stage].Op
			if address, _, _ := strings.Cut(file.Render, ".frame["); address == v.render.Address {
				v.files = append(v.files, file)
			}
			if v.render.Clip != nil {
				v.clip(op, file)
				continue
			}
			resolved, ok := still.ResolvedOf(op)
			if !ok || file.Render != v.render.Address {
				continue
			}
			v.decoded, v.resolved = p.Stages[file.Stage].Inputs[0], resolved
			if png, ok := op.(still.Op); ok && !png.Overlay {
				v.paths = append(v.paths, file.Path)
			}
		}
		out = append(out, v)
	}
	return out
}

// sheets adds to each clip a picture of all its frames: what a clip is held to, since
// clips' formats lose something, or take another program to read.
func sheets(scene *eligen.Scene) {
	for i := range scene.Renders {
		r := &scene.Renders[i]
		if r.Clip == nil || slices.ContainsFunc(r.Outputs, func(o eligen.Output) bool { return o.Sheet }) {
			continue
		}
		name := "out/" + r.Name + ".gif"
		if len(r.Outputs) > 0 {
			name = r.Outputs[0].Path
		}
		name = strings.TrimSuffix(name, path.Ext(name))
		if dir, file := path.Split(name); strings.Contains(file, "%") {
			name = strings.TrimSuffix(dir, "/")
		}
		r.Outputs = append(slices.Clone(r.Outputs), eligen.Output{Path: name + ".sheet.png", Sheet: true, Source: r.Source})
	}
}

// clip looks at a file of a clip: its sheet is its picture, and what made it is what
// its first frame says.
func (v *verification) clip(op eligen.Op, file eligen.PlannedOutput) {
	made, frame := still.ResolvedOf(op)
	address, _, _ := strings.Cut(made.Render, ".frame[")
	moving, whole := clip.ResolvedOf(op)
	switch _, sheet := op.(still.Sheet); {
	case sheet && file.Render == v.render.Address:
		v.decoded, v.paths = file.Stage, append(v.paths, file.Path)
	case whole && moving.Render == v.render.Address:
		v.first(moving)
	case frame && address == v.render.Address && v.resolved.Render == "":
		v.resolved = made
		v.resolved.Render = v.render.Address
	}
}

// first takes what a clip says of its first frame.
func (v *verification) first(r clip.Resolved) {
	if len(r.First) > 0 && json.Unmarshal(r.First, &v.resolved) == nil {
		v.resolved.Render = r.Render
	}
}

// weightsOf are the digests of what a render runs.
func weightsOf(r still.Resolved) []eligen.LockedWeights {
	out := []eligen.LockedWeights{{Part: "text", Digest: r.Model.Text}, {Part: "transformer", Digest: r.Model.Transformer}, {Part: "autoencoder", Digest: r.Model.Autoencoder}}
	for _, a := range r.Adapters {
		out = append(out, eligen.LockedWeights{Part: "adapter", Digest: a.Digest})
	}
	// A clip without metadata says nothing of them; its plan's digest does.
	return slices.DeleteFunc(out, func(w eligen.LockedWeights) bool { return w.Digest == "" })
}

// render runs a plan in a store of its own, so that nothing is taken from an
// earlier run, and hands the store to use.
func (o *verifyOptions) render(c *cobra.Command, e engine, p *eligen.Plan, use func(*file.Store) error) error {
	dir, err := os.MkdirTemp("", "eligen-verify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	store, err := file.Open(dir)
	if err != nil {
		return err
	}
	defer store.Close()
	show, done, err := o.frontEnd(c)
	if err != nil {
		return err
	}
	r := runtime.Runner{Store: store, Engine: e, Force: o.force, Recognise: untouched, Emit: show}
	err = r.Apply(c.Context(), p)
	done()
	if c.Context().Err() != nil {
		return exit{exitInterrupted, errors.New("interrupted. Nothing of a verification is kept: the same command begins again")}
	}
	if err != nil {
		return reported(err)
	}
	return use(store)
}

// picture is what a stage of a run has made.
func picture(store *file.Store, d eligen.Digest) (*image.NRGBA, error) {
	a, ok, err := store.Get(d)
	if err == nil && !ok {
		err = errors.New("it was made a moment ago and is gone")
	}
	if err != nil {
		return nil, err
	}
	img, err := png.Decode(bytes.NewReader(a.Data))
	if err != nil {
		return nil, err
	}
	return nrgba(img), nil
}

// record renders, and writes what came of it to the lock.
func (o *verifyOptions) record(c *cobra.Command, e engine, scene *eligen.Scene, lock *eligen.Lock) error {
	options, err := o.options(e, nil, nil)
	if err != nil {
		return err
	}
	p, err := o.buildWith(c, e, scene, options)
	if err != nil {
		return err
	}
	return o.render(c, e, p, func(store *file.Store) error {
		name := filepath.Base(scene.Path)
		var renders []eligen.LockedRender
		for _, v := range verifications(p, scene, lock) {
			img, err := picture(store, v.digest(p))
			if err != nil {
				return fmt.Errorf("%s: %w", v.render.Address, err)
			}
			r := eligen.LockedRender{
				Scene: name, Address: v.render.Address, Plan: v.digest(p), Engine: e.ID(), Pixels: still.Pixels(img),
				PSNR: eligen.DefaultPSNR, Weights: weightsOf(v.resolved), Tiles: tilesOf(v.resolved), Resolved: map[string]string{},
			}
			if v.record != nil {
				r.PSNR = v.record.PSNR // somebody's choice
			}
			for _, f := range resolvedFacts(v.resolved) {
				r.Resolved[f.name] = f.value
			}
			for _, f := range v.files {
				r.Files = append(r.Files, localPath(p, f))
			}
			renders = append(renders, r)
		}
		for _, old := range lock.Renders {
			address := movedTo(scene.Moves, old.Address)
			again := slices.ContainsFunc(renders, func(r eligen.LockedRender) bool { return r.Address == address })
			// Of a whole scene, renders that it no longer has are forgotten.
			if old.Scene != name || !again && len(o.targets) > 0 {
				renders = append(renders, old)
			}
		}
		if err := dsl.WriteLock(filepath.Dir(scene.Path), &eligen.Lock{Renders: renders}); err != nil {
			return err
		}
		for _, r := range renders {
			if r.Scene == name && slices.ContainsFunc(scene.Renders, func(x eligen.Render) bool { return x.Address == r.Address }) {
				fmt.Fprintf(c.OutOrStdout(), "%s: recorded on %s\n", r.Address, r.Engine)
			}
		}
		_, err := fmt.Fprintln(c.OutOrStdout(), filepath.Join(filepath.Dir(scene.Path), eligen.LockName))
		return err
	})
}

// again is the command that makes the record anew.
func (o *verifyOptions) again(scene *eligen.Scene) string {
	return "\n\n    eligen verify --update " + scene.Path + o.engineFlag()
}

// engineFlag is what a command needs to run on this engine, too.
func (o *verifyOptions) engineFlag() string {
	if o.engine == "model" {
		return ""
	}
	return " --engine " + o.engine
}

// options are the planner's. With a lock, a render that leaves open whether it is decoded
// in tiles is planned as it was recorded, however much memory there is: its digest must
// not depend on the machine that verifies.
func (o *verifyOptions) options(e engine, scene *eligen.Scene, lock *eligen.Lock) (planner.Options, error) {
	m, err := memory(o.memory, e.ID())
	options := planner.Options{Memory: m.bytes, MemoryFrom: m.from}
	if lock != nil {
		options.Recorded = func(address string) (*eligen.Tiling, bool) {
			if r := recorded(lock, scene, address); r != nil {
				return r.Tiles, true
			}
			return nil, false
		}
	}
	return options, err
}

// tilesOf are the tiles that a render was decoded in.
func tilesOf(r still.Resolved) *eligen.Tiling {
	if r.Approximate == nil {
		return nil
	}
	return r.Approximate.Tiles
}

// verify renders what is recorded, and compares.
func (o *verifyOptions) verify(c *cobra.Command, e engine, scene *eligen.Scene, lock *eligen.Lock) error {
	gone, err := o.chooseRecorded(c.ErrOrStderr(), scene, lock)
	if err != nil {
		return err
	}
	options, err := o.options(e, scene, lock)
	if err != nil {
		return err
	}
	p, err := o.buildWith(c, e, scene, options)
	if err != nil {
		return err
	}
	list := verifications(p, scene, lock)
	if err := o.comparable(e, scene, list); err != nil {
		return err
	}
	byEngine := map[string]*eligen.Plan{e.ID(): p} // by engine
	for _, v := range list {
		if byEngine[v.record.Engine] == nil {
			byEngine[v.record.Engine], _ = planner.Build(c.Context(), scene, v.record.Engine, e.Spec, planner.Options{Recorded: options.Recorded}) // as p was planned
		}
	}
	alone := *p
	alone.Outputs = nil // the files beside the scene are what is compared with
	return o.render(c, e, &alone, func(store *file.Store) error {
		ds := slices.Clone(gone)
		for _, v := range list {
			img, err := picture(store, v.digest(p))
			if err != nil {
				return fmt.Errorf("%s: %w", v.render.Address, err)
			}
			j := judgement{verification: v, scene: scene, engine: e.ID(), img: img, now: v.digest(p)}
			for _, w := range verifications(byEngine[v.record.Engine], scene, lock) {
				if w.render == v.render {
					j.there = w.digest(byEngine[v.record.Engine])
				}
			}
			verdict, mismatch := o.judge(&j)
			if mismatch == "" && !o.lockOnly {
				if troubles := o.beside(&j, p, store); len(troubles) > 0 {
					verdict += "; " + strings.Join(troubles, "; ")
					ds.Errorf(&v.render.Source, "File differs from its record", "%s comes out as it was recorded, but beside the scene\n  %s\nGet the recorded files back, or write them again with\n\n    eligen verify --update --force %s",
						v.render.Address, strings.Join(troubles, "\n  "), scene.Path+o.engineFlag())
				}
			}
			style := page.Added
			if mismatch != "" {
				style = page.Changed
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", v.render.Address, style.Of(verdict))
			if mismatch != "" {
				ds.Errorf(&v.render.Source, j.summary, "%s If the picture is meant to be as it is now, record it with%s", mismatch, o.again(scene))
			}
		}
		if ds.HasErrors() {
			return exit{exitMismatch, ds}
		}
		return nil
	})
}

// chooseRecorded leaves the renders of a scene that are recorded, and tells of the
// others. gone are those that the lock has and the scene no more.
func (o *verifyOptions) chooseRecorded(w io.Writer, scene *eligen.Scene, lock *eligen.Lock) (gone eligen.Diagnostics, err error) {
	if len(o.targets) == 0 {
		for i := range lock.Renders {
			r := &lock.Renders[i]
			address := movedTo(scene.Moves, r.Address)
			if r.Scene == filepath.Base(scene.Path) && !slices.ContainsFunc(scene.Renders, func(x eligen.Render) bool { return x.Address == address }) {
				gone.Errorf(&r.Source, "Recorded render is gone", "%s is recorded, and %s has no such render. If it has another name now, a moved block keeps its record; if it is not wanted any more, forget it with%s", r.Address, scene.Path, o.again(scene))
			}
		}
	}
	var ds eligen.Diagnostics
	scene.Renders = slices.DeleteFunc(scene.Renders, func(r eligen.Render) bool {
		missing := recorded(lock, scene, r.Address) == nil
		if missing {
			ds.Warnf(&r.Source, "Render is not recorded", "%s is not in %s, so there is nothing to hold it to. Record it with%s", r.Address, eligen.LockName, o.again(scene))
		}
		return missing
	})
	if len(scene.Renders) > 0 {
		diagnose(w, ds)
		return gone, nil
	}
	if len(gone) > 0 {
		return nil, exit{exitMismatch, gone}
	}
	ds = nil
	ds.Errorf(&eligen.Source{File: scene.Path}, "Nothing is recorded", "%s has no record of %s, so there is nothing to hold it to. Render it and record what comes of it with%s",
		filepath.Join(filepath.Dir(scene.Path), eligen.LockName), scene.Path, o.again(scene))
	return nil, ds
}

// comparable reports records that this engine and these weights can't be held to.
func (o *verifyOptions) comparable(e engine, scene *eligen.Scene, list []verification) error {
	paints := func(id string) bool { return strings.HasPrefix(id, "paint/") }
	var other, weights eligen.Diagnostics
	for _, v := range list {
		r := v.record
		if paints(r.Engine) != paints(e.ID()) {
			other.Errorf(&r.Source, "Recorded with another kind of engine", "%s was recorded on %s, and this is %s: flat colours and a model's picture have nothing in common. Verify it with --engine %s.",
				v.render.Address, r.Engine, e.ID(), map[bool]string{true: "paint", false: "model"}[paints(r.Engine)])
			continue
		}
		now := weightsOf(v.resolved)
		model, known := r.Resolved["model"]
		if known && model != v.resolved.Model.Family+" "+v.resolved.Model.DType || len(now) != len(r.Weights) {
			continue // the scene asks for others: that is a change of the scene
		}
		for i, w := range now {
			if was := r.Weights[i]; was != w {
				weights.Errorf(&r.Source, "Weights are not those of the lock", "%s was recorded with the weights %s of its %s; they are %s now. A file was changed, or another was put in its place. Nothing was rendered. Get the recorded weights back, or, if the new ones are meant, record what comes of them with%s",
					v.render.Address, was.Digest.Short(), was.Part, w.Digest.Short(), o.again(scene))
			}
		}
	}
	if len(weights) > 0 {
		return exit{exitIntegrity, append(weights, other...)}
	}
	return other.Err()
}

// A judgement is a render that was made again.
type judgement struct {
	verification
	scene   *eligen.Scene
	engine  string
	img     *image.NRGBA
	now     eligen.Digest // how it was made
	there   eligen.Digest // how it would be made on the engine of the record
	summary string        // of a mismatch
}

// judge compares a picture with its record. The verdict is one line; mismatch says
// in sentences what is wrong, "" if nothing is.
func (o *verifyOptions) judge(j *judgement) (verdict, mismatch string) {
	same := still.Pixels(j.img) == j.record.Pixels
	switch {
	case j.now == j.record.Plan && same:
		return "the same pixels, on the same engine", ""
	case j.there == j.record.Plan && same:
		return "the same pixels, on another engine", ""
	case j.now == j.record.Plan && !strings.Contains(j.engine, "cuda"): // a GPU adds in whatever order numbers come
		j.summary = "Picture differs from its record"
		found, text := o.compare(j)
		return "other pixels" + found, fmt.Sprintf("The recipe and the engine are those of the record, and %s came out with other pixels: something in this build or machine computes otherwise.%s", j.render.Address, text)
	case j.there == j.record.Plan:
		return o.judgeLikeness(j)
	}
	j.summary = "Scene differs from its record"
	found, text := o.compare(j)
	detail := fmt.Sprintf("%s is not made as it was when it was recorded:", j.render.Address)
	for _, line := range o.named(j) {
		detail += "\n  " + line
	}
	if same {
		text = " Its pixels are the recorded ones all the same."
	}
	return "changed" + found, detail + "\n" + strings.TrimPrefix(text, " ")
}

// judgeLikeness compares with the recorded picture, by PSNR: another engine rounds
// otherwise, and so does a GPU from one time to the next.
func (o *verifyOptions) judgeLikeness(j *judgement) (verdict, mismatch string) {
	where := fmt.Sprintf("%s was recorded on %s, and this is %s. Engines round differently, so the new picture is compared with the recorded one", j.render.Address, j.record.Engine, j.engine)
	on := "on another engine"
	if j.now == j.record.Plan {
		where = fmt.Sprintf("%s was recorded on this engine, a GPU, which makes no two pictures that are equal bit for bit; so the new one is compared with the recorded one", j.render.Address)
		on = "on a GPU"
	}
	var troubles []string
	for _, path := range j.paths {
		img, err := dsl.ReadPicture(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			troubles = append(troubles, path+" is not there")
		case err != nil:
			troubles = append(troubles, err.Error())
		case still.Pixels(img) != j.record.Pixels:
			troubles = append(troubles, path+" has other pixels than were recorded")
		default:
			d := comparePictures(nrgba(img), j.img)
			likeness := fmt.Sprintf("%.2f dB from the recorded picture, %s (at least %g)", d.psnr, on, j.record.PSNR)
			if d.psnr >= j.record.PSNR {
				return likeness, ""
			}
			j.summary = "Picture differs from its record"
			found, text := o.compare(j)
			return "other pixels" + found, fmt.Sprintf("%s. It is %s.%s", where, likeness, text)
		}
	}
	if len(troubles) == 0 {
		troubles = append(troubles, "every file of it has its regions drawn over")
	}
	j.summary = "No recorded picture to compare with"
	found, text := o.compare(j)
	return "nothing to compare with" + found, fmt.Sprintf("%s, and %s. Put the recorded picture there, or verify on the engine of the record.%s", where, strings.Join(troubles, ", and "), text)
}

// named is what a render says now and did not when it was recorded.
func (o *verifyOptions) named(j *judgement) []string {
	if j.record.Resolved == nil {
		return []string{"the lock doesn't say what it was"}
	}
	var was []fact
	for name, value := range j.record.Resolved {
		// "entity.dog.prompt" is entity.hound.prompt, if the entity was moved.
		if i := strings.LastIndex(name, "."); i >= 0 {
			name = movedTo(j.scene.Moves, name[:i]) + name[i:]
		}
		was = append(was, fact{name, value})
	}
	slices.SortFunc(was, func(a, b fact) int { return strings.Compare(a.name, b.name) })
	lines := factChanges("", was, resolvedFacts(j.resolved))
	if len(lines) == 0 {
		lines = []string{"this release of eligen goes about it in another way; the scene says the same"}
	}
	if j.record.Engine != j.engine {
		lines = append(lines, fmt.Sprintf("engine: %s → %s", j.record.Engine, j.engine))
	}
	return lines
}

// compare holds a new picture against the one that lies beside the scene, and draws
// where they differ. found goes on a verdict's line, text into a message.
func (o *verifyOptions) compare(j *judgement) (found, text string) {
	for _, path := range j.paths {
		old, err := dsl.ReadPicture(path)
		if err != nil {
			continue
		}
		if old.Bounds().Size() != j.img.Rect.Size() {
			return "", fmt.Sprintf(" %s has %s pixels, the new picture %s.%s", path, sizeText(old.Bounds().Size()), sizeText(j.img.Rect.Size()), o.keep(j))
		}
		d := comparePictures(nrgba(old), j.img)
		if d.differ == 0 {
			return "", fmt.Sprintf(" %s is the new picture already.", path)
		}
		if d.psnr == measure.Equal {
			text = fmt.Sprintf(" %s has the same colours, and another transparency.", path)
		} else {
			text = fmt.Sprintf(" Against %s it has %s", path, d)
		}
		folder, name := o.place(j, path, ".diff.png")
		if err := writePicture(folder, name, d.picture()); err != nil {
			return fmt.Sprintf(", %.2f dB from %s", d.psnr, path), fmt.Sprintf("%s Where they differ could not be drawn: %v.", text, err)
		}
		return fmt.Sprintf(", %.2f dB from %s; %s shows where", d.psnr, path, filepath.Join(folder, name)), text + o.keep(j)
	}
	return "", " No picture of it lies beside the scene to be compared with." + o.keep(j)
}

// keep writes the new picture, where a folder for such things was named.
func (o *verifyOptions) keep(j *judgement) string {
	if o.diffDir == "" || len(j.paths) == 0 {
		return ""
	}
	folder, name := o.place(j, j.paths[0], ".now.png")
	if err := writePicture(folder, name, j.img); err != nil {
		return fmt.Sprintf(" The new picture could not be kept: %v.", err)
	}
	return fmt.Sprintf(" The new picture is %s.", filepath.Join(folder, name))
}

// place is where a picture about an output goes: beside it, or in the folder that
// was named, by its path below the scene's folder.
func (o *verifyOptions) place(j *judgement, path, ending string) (folder, name string) {
	folder = filepath.Dir(j.scene.Path)
	name, err := filepath.Rel(folder, path)
	if err != nil {
		name = filepath.Base(path)
	}
	name = strings.TrimSuffix(name, filepath.Ext(name)) + ending
	if o.diffDir != "" {
		folder, name = o.diffDir, strings.ReplaceAll(filepath.ToSlash(name), "/", "-")
	}
	return folder, name
}
