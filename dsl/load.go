package dsl

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// Vars are the values that a scene's variables are given from outside. Where a
// variable has several, the last of these wins: its default, the environment,
// the file .auto.eligen.hclvars beside the scene, Files in their order, Set in
// its order.
type Vars struct {
	// Set holds "name=value", as flags --var are written. For a variable of type
	// string, number, bool or any the value is the text itself, else an expression.
	Set []string
	// Files are paths, relative to the working directory, of files of name = value
	// lines (or JSON objects, where the name ends in .json), as of --var-file.
	Files []string
	// Env looks a variable of the environment up: os.LookupEnv. A scene's variable
	// x is ELIGEN_VAR_x there. Nil is an empty environment.
	Env func(string) (string, bool)
	// Families are the kinds of model that there are; nil leaves it to who plans the scene
	// to know them.
	Families []eligen.Family
	// MaxFrames is how many frames a timeline may have; 0 is 10,000.
	MaxFrames int
	// Unsaved holds texts to read in place of files, as an editor has them: the scene,
	// files of its modules, what file() and templatefile() read, files of variables. A key
	// is a path that begins as the scene's path does. The folders themselves must exist, and
	// pictures are read from the disk.
	Unsaved map[string][]byte

	loaded  func(*loader) // is called when all is read, while the scene's folder is open
	partial bool          // return what is whole of a scene with mistakes
}

// Load reads the scene at path and everything in it. The Scene is nil exactly
// if one of the Diagnostics is an error; all mistakes are reported in one call,
// each with its line.
//
// Paths in a scene are relative to its folder. Pictures and outputs stay below
// it, symbolic links included. Weights and data sets may be anywhere, since
// they are large and shared between scenes: their paths come back ready to be
// opened.
//
// Where ctx ends before the scene is read, the one diagnostic is an error that says so.
func Load(ctx context.Context, path string, vars Vars) (*eligen.Scene, eligen.Diagnostics) {
	var ds eligen.Diagnostics
	texts := overlayOf(vars.Unsaved)
	if src, ok, err := texts.read(path, "a scene"); ok && isScene(path) {
		if err != nil {
			return nil, tooLarge(path, int64(len(texts[filepath.Clean(path)])))
		}
		return load(ctx, path, src, vars)
	}
	path = spelledPath(path)
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		switch {
		case filepath.Base(path) == eligen.LockName:
			ds.Errorf(nil, "Not a scene", "%s is a lock: the record that eligen verify compares scenes with. Name the scene.", path)
			return nil, ds
		case !isScene(path):
			ds.Errorf(nil, "Not a scene", "%s: a scene's name ends in .hcl or .json.", path)
			return nil, ds
		}
	}
	src, ds := ReadSource(path)
	if ds.HasErrors() {
		return nil, ds
	}
	return load(ctx, path, src, vars)
}

// LoadPartial reads a scene as Load does, but returns a scene with mistakes too, as far
// as it could be read and without checks, so that the planner finds what else is wrong;
// its renders say what in them is broken. The scene is nil where nothing could be read.
func LoadPartial(ctx context.Context, path string, vars Vars) (*eligen.Scene, eligen.Diagnostics) {
	vars.partial = true
	return Load(ctx, path, vars)
}

// isScene reports whether a file's name is that of a scene.
func isScene(path string) bool {
	return strings.HasSuffix(strings.ToLower(path), ".hcl") || isJSON(path)
}

// A loader is the state of one Load, or of one module in it.
type loader struct {
	*evaluator
	*disk
	ctx    context.Context
	path   []*node // being evaluated, outermost first
	syntax syntax
	given  map[string][]given
	words  map[string]cty.Value // what each and count are in the block at hand
	apart  apart

	recipes   []eligen.Recipe
	checks    []eligen.Check
	moves     []eligen.Move
	outputs   map[string]writer // by their paths, in lower case
	maxFrames int               // of a timeline; 0 is MaxFrames
	families  []eligen.Family   // of models; nil is any

	sceneDir string
	out      *os.Root  // the scene's folder, which outputs are below
	chain    []string  // the folders of the modules that this one is in, its own last
	caller   hcl.Range // the module block
	modules  *int      // how many the scene has
	expanded *int      // how many instances the scene has, and entities its renders
}

// A log is what was found wrong, and the texts that it points into.
type log struct {
	files    map[string]*file
	main     *file // the scene; nil for a module
	diags    eligen.Diagnostics
	instance named // that is read: mistakes name it
}

// A declared table is what references can name.
type declared struct {
	nodes   map[string]*node // by address
	order   []*node          // in file order
	stray   map[string]bool  // names of blocks whose type or labels are wrong
	address string           // what addresses begin with: "module.birds.", or "" for the scene
}

// An evaluator works expressions out. It says what is wrong with them in a log.
type evaluator struct {
	*log
	*declared
	meter     *meter // of what expressions cost; modules share it
	functions map[string]function.Function
}

// A disk is the folder that a scene, or a module, reads from.
type disk struct {
	dir      string // as diagnostics show it
	folder   string // the module's, below the scene's; "." for the scene
	root     *os.Root
	overlay  overlay // what is read in place of files
	pictures map[string]*picture
	texts    map[string]text
	waiting  func(func()) // runs what waits for the disk, whose time is nobody's fault
}

// apart are blocks that nothing refers to, read after those that something may.
type apart struct{ settings, recipes, checks, moves []*hcl.Block }

var nodeType = reflect.TypeOf(node{})

var topGrammar = &grammar{
	what: "a scene",
	blocks: []hcl.BlockHeaderSchema{
		{Type: "eligen"}, {Type: "locals"},
		{Type: "variable", LabelNames: []string{"name"}},
		{Type: "model", LabelNames: []string{"family", "name"}},
		{Type: "adapter", LabelNames: []string{"kind", "name"}},
		{Type: "entity", LabelNames: []string{"name"}},
		{Type: "timeline", LabelNames: []string{"name"}},
		{Type: "render", LabelNames: []string{"name"}},
		{Type: "recipe", LabelNames: []string{"name"}},
		{Type: "check", LabelNames: []string{"name"}},
		{Type: "module", LabelNames: []string{"name"}},
		{Type: "moved"},
	},
	many:   []string{"locals", "variable", "model", "adapter", "entity", "timeline", "render", "recipe", "check", "module", "moved"},
	inside: map[string]string{"prompt": "render", "negative": "render", "size": "render", "seed": "render", "steps": "render"},
}

// interrupted is what a loader panics with where its context has ended. Reading a scene
// is deep recursion without a result to hand up; load is the boundary.
type interrupted struct{}

// goOn ends the loading where its context has ended.
func (l *loader) goOn() {
	if l.ctx.Err() != nil {
		panic(interrupted{})
	}
}

func load(ctx context.Context, path string, src []byte, vars Vars) (scene *eligen.Scene, ds eligen.Diagnostics) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interrupted:
			scene, ds = nil, nil
			ds.Errorf(nil, "Interrupted", "Reading %s was interrupted.", path)
		default:
			panic(r)
		}
	}()
	l := newLoader(ctx, newFile(path, src))
	l.overlay = overlayOf(vars.Unsaved)
	l.maxFrames, l.families = vars.MaxFrames, vars.Families
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		l.diags.Errorf(nil, "Scene can't be read", "The scene's folder can't be opened: %v.", err)
		return nil, l.diags
	}
	defer root.Close()
	l.root, l.out = root, root
	l.functions = l.allFunctions()

	l.syntax, l.diags = parse(l.main)
	if l.syntax.body == nil {
		return nil, tidy(l.diags)
	}
	l.declareAll(topGrammar, []hcl.Body{l.syntax.body})
	l.collect(vars)
	l.evaluateAll()
	l.overwrites()
	scene, renders := l.gather(path, vars.partial)
	if l.diags.HasErrors() {
		scene.Checks = nil // they measure renders that may be missing
		if !vars.partial {
			scene = nil
		}
		return scene, tidy(l.diags)
	}
	if renders > 0 {
		l.unused()
	}
	if vars.loaded != nil {
		vars.loaded(l)
	}
	return scene, tidy(l.diags)
}

// gather makes a scene of what was read, and counts its render blocks. With drafts, renders
// with mistakes are among its renders.
func (l *loader) gather(path string, drafts bool) (scene *eligen.Scene, renders int) {
	scene = &eligen.Scene{Path: path, Recipes: l.recipes, Checks: l.checks, Moves: l.moves}
	l.all(func(n *node) {
		if n.kind == "render" {
			renders++
		}
		if n.again {
			return // a second of its name is looked at for its own mistakes, and is no part of the scene
		}
		n.each(func(one *node) {
			switch {
			case one.render != nil:
				scene.Renders = append(scene.Renders, *one.render)
			case one.draft != nil && drafts:
				scene.Renders = append(scene.Renders, *one.draft)
			case one.entity != nil:
				scene.Entities = append(scene.Entities, *one.entity)
			}
		})
	})
	l.filesMeet(scene.Renders)
	if renders == 0 && len(l.apart.recipes) == 0 && !l.diags.HasErrors() {
		l.diags.Errorf(nil, "Nothing to make", "%s has no render block, so there is no picture to make. The shortest is\n\n  render "+
			"\"picnic\" {\n    prompt = \"a dog on a green background\"\n  }", path)
	}
	return scene, renders
}

// newLoader makes a loader of a file, or, for nil, of a module.
func newLoader(ctx context.Context, main *file) *loader {
	l := &loader{
		evaluator: &evaluator{
			log:       &log{files: map[string]*file{}, main: main},
			declared:  &declared{nodes: map[string]*node{}, stray: map[string]bool{}},
			meter:     newMeter(ctx),
			functions: map[string]function.Function{},
		},
		disk:     &disk{folder: ".", pictures: map[string]*picture{}, texts: map[string]text{}},
		ctx:      ctx,
		given:    map[string][]given{},
		outputs:  map[string]writer{},
		chain:    []string{"."},
		modules:  new(int),
		expanded: new(int),
	}
	l.waiting = l.meter.outside
	if main != nil {
		l.files[main.name] = main
		l.dir = filepath.Dir(main.name)
		l.sceneDir = l.dir
	}
	return l
}

// together is several files read as one, as a key of a map, too.
type together struct{ hcl.Body }

// declareAll gives every block of the files of a scene, or of a module, a node.
func (l *loader) declareAll(g *grammar, files []hcl.Body) {
	top := &body{l: l, g: g, at: map[string]eligen.Source{}}
	top.read(&together{hcl.MergeBodies(files)})
	// HCL's JSON lists blocks by type; the file's order is what counts.
	slices.SortStableFunc(top.blocks, func(a, b *hcl.Block) int {
		x, y := l.header(a), l.header(b)
		return cmp.Or(cmp.Compare(x.Filename, y.Filename), cmp.Compare(x.Start.Byte, y.Start.Byte))
	})

	l.strays(files)
	l.predeclare()
	names := map[string]eligen.Source{}
	for _, b := range top.blocks {
		switch b.Type {
		case "eligen":
			l.apart.settings = append(l.apart.settings, b)
		case "locals":
			l.declareLocals(b)
		case "variable":
			l.declareBlock("var", b, (*loader).variable)
		case "model":
			l.declareBlock("model", b, (*loader).model)
		case "adapter":
			l.declareRepeated("adapter", b, (*loader).adapter)
		case "entity":
			l.declareRepeated("entity", b, (*loader).entity)
		case "timeline":
			l.declareBlock("timeline", b, (*loader).timeline)
		case "render":
			l.declareRepeated("render", b, (*loader).render)
		case "module":
			l.declareBlock("module", b, (*loader).module)
		case "moved":
			l.apart.moves = append(l.apart.moves, b)
		case "recipe", "check":
			at := b.LabelRanges[0]
			if !l.validLabels(b) {
				continue
			}
			address := b.Type + "." + b.Labels[0]
			if first, ok := names[address]; ok {
				l.errorf(at, duplicate, "%s is declared twice. Rename one of the two.", address).Note(first, "first declared here")
			} else {
				names[address] = l.source(at)
			}
			if b.Type == "check" {
				l.apart.checks = append(l.apart.checks, b)
			} else {
				l.apart.recipes = append(l.apart.recipes, b)
			}
		}
	}
}

// evaluateAll evaluates every node, and then what nothing refers to.
func (l *loader) evaluateAll() {
	for _, b := range l.apart.settings {
		l.settings(b)
	}
	// Renders come last: they take all entities where they name none.
	for _, last := range []bool{false, true} {
		for _, n := range slices.Clone(l.order) {
			if (n.kind == "render") == last {
				l.resolve(n)
			}
		}
	}
	for _, b := range l.apart.recipes {
		l.recipe(b)
	}
	for _, b := range l.apart.checks {
		l.check(b)
	}
	for _, b := range l.apart.moves {
		l.moved(b)
	}
}

// strays notes the names of blocks that were complained about as a whole, so
// that references to them are not complained about too.
func (l *loader) strays(files []hcl.Body) {
	labels := map[string]int{}
	for _, s := range topGrammar.blocks {
		labels[s.Type] = len(s.LabelNames)
	}
	for _, f := range files {
		tree, ok := f.(*hclsyntax.Body)
		if !ok {
			continue
		}
		for _, b := range tree.Blocks {
			if n, ok := labels[b.Type]; len(b.Labels) > 0 && (!ok || n != len(b.Labels)) {
				l.stray[b.Labels[0]] = true
				l.stray[b.Labels[len(b.Labels)-1]] = true
			}
		}
	}
}

func (l *log) source(r hcl.Range) eligen.Source {
	if f := l.files[r.Filename]; f != nil {
		return f.source(r)
	}
	return eligen.Source{File: r.Filename, Line: r.Start.Line}
}

func (l *log) errorf(r hcl.Range, summary, detail string, args ...any) *eligen.Diagnostic {
	detail = fmt.Sprintf(detail, args...) + l.instance.mark()
	if r.Filename == "" {
		return l.diags.Errorf(nil, summary, "%s", detail)
	}
	at := l.source(r)
	return l.diags.Errorf(&at, summary, "%s", detail)
}

func (l *log) warnf(r hcl.Range, summary, detail string, args ...any) *eligen.Diagnostic {
	at := l.source(r)
	return l.diags.Warnf(&at, summary, "%s", fmt.Sprintf(detail, args...)+l.instance.mark())
}

// validName checks a label that references and file names are made of.
func (l *loader) validName(at hcl.Range, name string) bool {
	if hclsyntax.ValidIdentifier(name) && len(name) <= 100 {
		return true
	}
	l.errorf(at, "Invalid name", "%q can't be a name: names start with a letter and hold letters, digits, _ and -, at most 100 characters.%s",
		name, hidden(name))
	return false
}

func (l *loader) validLabels(b *hcl.Block) bool {
	for i, label := range b.Labels {
		if l.syntax.damaged[b.Body] && !hclsyntax.ValidIdentifier(label) {
			l.syntax.lost = true // its name may be what could not be read
			return false
		}
		if !l.validName(b.LabelRanges[i], label) {
			return false
		}
	}
	return true
}

// declareBlock declares a block that can be referred to; its labels are its name.
func (l *loader) declareBlock(kind string, b *hcl.Block, compute func(*loader, *hcl.Block, *node) cty.Value) {
	if !l.validLabels(b) {
		return
	}
	rng := b.LabelRanges[len(b.LabelRanges)-1]
	l.declare(&node{kind: kind, name: strings.Join(b.Labels, "."), rng: rng, compute: func(n *node) cty.Value {
		return compute(l, b, n)
	}})
}

// declareRepeated declares a block that may have for_each or count, as declareBlock
// declares others.
func (l *loader) declareRepeated(kind string, b *hcl.Block, compute func(*loader, *hcl.Block, *node) cty.Value) {
	l.declareBlock(kind, b, func(l *loader, b *hcl.Block, n *node) cty.Value { return l.repeat(b, n, compute) })
}

func (l *loader) declareLocals(b *hcl.Block) {
	attrs, diags := b.Body.JustAttributes()
	for _, d := range diags {
		l.report(d)
	}
	for _, a := range inOrder(attrs) {
		if l.validName(a.NameRange, a.Name) {
			l.declare(&node{kind: "local", name: a.Name, rng: a.NameRange, set: a.Expr.Range(),
				compute: func(*node) cty.Value { return l.eval(a.Expr) }})
		}
	}
}

// inOrder sorts arguments by their order in the file.
func inOrder(attrs hcl.Attributes) []*hcl.Attribute {
	return slices.SortedFunc(maps.Values(attrs), func(a, b *hcl.Attribute) int {
		return cmp.Compare(a.NameRange.Start.Byte, b.NameRange.Start.Byte)
	})
}

// report converts a diagnostic of HCL's about one of the scene's files.
func (l *log) report(d *hcl.Diagnostic) {
	f := l.main
	if d.Subject != nil && l.files[d.Subject.Filename] != nil {
		f = l.files[d.Subject.Filename]
	}
	f.report(&l.diags, d)
}

// unused warns of entities that no picture shows, and of modules that nothing uses.
func (l *loader) unused() {
	for _, n := range l.order { // what a module's author left unused is not this scene's concern
		used := n.used
		n.each(func(one *node) { used = used || one.used })
		if n.kind == "entity" && !used {
			l.warnf(n.rng, "Unused entity", "No render shows %s, and nothing refers to it. Add it to a render's entities, or remove it.",
				n.address())
		}
		if n.part != nil && !used {
			n.part.all(func(inner *node) { used = used || inner.kind == "render" })
			if !used {
				l.warnf(n.rng, "Unused module", "%s makes no picture, and nothing refers to it. Use what it exports, as %s.entity.name, or remove it.",
					n.address(), n.address())
			}
		}
	}
}
