package dsl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/words"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// A module is a folder of scene files that a scene takes in as a part. It has a
// loader of its own: names, paths and functions are the module's. What is
// read once, pictures say, and what must not meet, outputs say, is shared.

const (
	maxModules     = 100 // in a scene, those in modules included
	maxModuleDepth = 8   // modules inside one another
)

var moduleTopGrammar = func() *grammar {
	g := *topGrammar
	g.what = "a module"
	g.blocks = slices.DeleteFunc(slices.Clone(g.blocks), func(b hcl.BlockHeaderSchema) bool { return slices.Contains(sceneOnly, b.Type) })
	return &g
}()

// sceneOnly are the blocks that stand in a scene's own file.
var sceneOnly = []string{"recipe", "moved"}

// moduleGrammar is for the reference: but for source, a module block's arguments
// are the module's variables.
var moduleGrammar = &grammar{what: "a module", required: []string{"source"}}

// moduleWords are what a module block's arguments can't be called by a variable's name.
var moduleWords = append([]string{"source"}, repetition...)

// module reads a module block, and the module. Its value is what the module
// exports.
func (l *loader) module(block *hcl.Block, n *node) cty.Value {
	attrs, diags := block.Body.JustAttributes()
	for _, d := range diags {
		if strings.HasPrefix(d.Summary, "Unexpected") {
			d.Detail = "A module block has arguments only: its source, and values for the module's variables."
		}
		l.report(d)
	}
	b := moduleBody{&body{
		l: l, g: moduleGrammar, rng: l.header(block), attrs: attrs, at: map[string]eligen.Source{}, failed: diags.HasErrors(),
	}}
	for _, name := range repetition {
		if a := attrs[name]; a != nil {
			b.errorf(a.NameRange, "Unsupported argument",
				"A module is not repeated. Repeat the blocks in it, by a variable that lists what each gets.")
			delete(attrs, name)
		}
	}
	a := attrs["source"]
	switch {
	case a != nil:
	case l.syntax.damaged[block.Body]:
		return cty.DynamicVal
	default:
		b.errorf(b.rng, missing, "A module needs the argument \"source\": a folder below the scene's, as \"./birds\".")
		return cty.DynamicVal
	}
	source, ok := b.constant(a.Expr, cty.String, nil, "\"source\"")
	if !ok {
		return cty.DynamicVal
	}
	if source.IsNull() {
		b.errorf(a.Expr.Range(), missing, "A module needs the argument \"source\"; null leaves it out.")
		return cty.DynamicVal
	}
	part, close := b.openModule(n, source.AsString())
	if part == nil {
		return cty.DynamicVal
	}
	defer close()
	delete(attrs, "source")
	b.inputs(part)
	part.evaluateAll()
	l.diags = append(l.diags, part.diags...)
	l.checks = append(l.checks, part.checks...)
	n.part = part
	return part.exports()
}

// A moduleBody is a module block.
type moduleBody struct{ *body }

// openModule reads the files of the folder that source names, and declares what is
// in them.
func (b moduleBody) openModule(n *node, source string) (part *loader, close func()) {
	l, at := b.l, b.place("source")
	folder, ok := b.folder(source)
	if !ok {
		return nil, nil
	}
	*l.modules++
	switch {
	case len(l.chain) > maxModuleDepth:
		b.errorf(at, tooComplex, "Modules are nested more than %d deep here.", maxModuleDepth)
		return nil, nil
	case *l.modules > maxModules:
		b.errorf(at, tooComplex, "The scene has more than %d modules, those in modules included.", maxModules)
		return nil, nil
	}
	root := b.openFolder(folder)
	if root == nil {
		return nil, nil
	}
	part = l.part(n.address()+".", folder, root)
	part.caller = b.rng
	part.functions = part.allFunctions()
	if !b.readModule(part, source) {
		root.Close()
		return nil, nil
	}
	return part, func() { root.Close() }
}

// folder returns the folder that source names, from the scene's, as the file system spells it.
func (b moduleBody) folder(source string) (string, bool) {
	l, at := b.l, b.place("source")
	if !strings.HasPrefix(source, "./") && !strings.HasPrefix(source, "../") {
		b.errorf(at, "Invalid source", "%q is no path. A module is a folder below the scene's: begin with ./, as \"./birds\".", source)
		return "", false
	}
	folder := path.Join(l.folder, source)
	if folder == "." {
		b.errorf(at, "Circular module", "%q is the scene's own folder. A module is a folder below it.", source)
		return "", false
	}
	if _, err := localPath(folder, "scene's"); err != nil {
		b.errorf(at, "Invalid source", "%s.", capital(err.Error()))
		return "", false
	}
	folder = spelledIn(l.out, folder)
	if slices.Contains(l.chain, folder) {
		var circle []string
		for _, f := range append(slices.Clone(l.chain[slices.Index(l.chain, folder):]), folder) {
			circle = append(circle, "./"+f)
		}
		b.errorf(at, "Circular module", "This module takes in itself: %s.", strings.Join(circle, " → "))
		return "", false
	}
	return folder, true
}

// openFolder opens a module's folder below the scene's; nil where that fails.
func (b moduleBody) openFolder(folder string) *os.Root {
	l, at := b.l, b.place("source")
	info, err := l.out.Stat(filepath.FromSlash(folder))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		b.errorf(at, "Module not found", "There is no folder %s in the scene's folder.%s", folder, similarIn(l.out, folder))
		return nil
	case err != nil && escapes(err):
		b.errorf(at, "Invalid source", "%s is a link that leads out of the scene's folder.", folder)
		return nil
	case err == nil && !info.IsDir():
		b.errorf(at, "Not a module", "%s is a file; a module is a folder.", folder)
		return nil
	}
	var root *os.Root
	if err == nil {
		root, err = l.out.OpenRoot(filepath.FromSlash(folder))
	}
	if err != nil {
		b.errorf(at, "Module can't be read", "%v.", err)
		return nil
	}
	return root
}

// part makes a loader of a module in a folder: its names are its own, and what is read
// once, counted or written is the scene's.
func (l *loader) part(address, folder string, root *os.Root) *loader {
	p := newLoader(l.ctx, nil)
	p.meter, p.modules, p.expanded = l.meter, l.modules, l.expanded
	p.files, p.outputs, p.out, p.sceneDir, p.families = l.files, l.outputs, l.out, l.sceneDir, l.families
	p.address = address
	p.chain = append(slices.Clone(l.chain), folder)
	*p.disk = disk{
		dir: filepath.Join(l.sceneDir, filepath.FromSlash(folder)), folder: folder, root: root,
		overlay: l.overlay, pictures: l.pictures, texts: map[string]text{}, waiting: l.meter.outside,
	}
	return p
}

// readModule parses the files of a module and declares their blocks.
func (b moduleBody) readModule(part *loader, source string) bool {
	at := b.place("source")
	names, err := part.moduleFiles()
	if err != nil {
		b.errorf(at, "Module can't be read", "%v.", err)
		return false
	}
	var bodies []hcl.Body
	total := int64(0)
	part.syntax.damaged = map[hcl.Body]bool{}
	for _, name := range names {
		_, src, err := part.readText(name, "a module")
		if err != nil {
			b.errorf(at, "Module can't be read", "%s.", capital(err.Error()))
			return false
		}
		if total += int64(len(src)); total > maxFile {
			b.errorf(at, "File too large", "The files of %s together have more than %d bytes (1 MiB), the most that a module may have.", source,
				maxFile)
			return false
		}
		f := newFile(filepath.Join(part.dir, name), src)
		part.files[f.name] = f
		tree, ds := parse(f)
		part.diags = append(part.diags, ds...)
		if tree.body == nil {
			part.syntax.lost = true
			continue
		}
		for body := range tree.damaged {
			part.syntax.damaged[body] = true
		}
		part.syntax.lost = part.syntax.lost || tree.lost
		bodies = append(bodies, tree.body)
	}
	if len(names) == 0 {
		b.errorf(at, "Not a module", "The folder %s has no scene files: a module is what its files *.hcl say.", source)
		return false
	}
	part.declareAll(moduleTopGrammar, bodies)
	return true
}

// inputs gives the module's variables the values of the block's arguments.
func (b moduleBody) inputs(part *loader) {
	l := b.l
	declared := part.names("var")
	for _, a := range inOrder(b.attrs) {
		v := l.eval(a.Expr)
		if !slices.Contains(declared, a.Name) {
			if !part.syntax.lost {
				guess, hint := closest(a.Name, declared), ""
				if guess != "" {
					hint = fmt.Sprintf(" Did you mean %q?", guess)
					if part.given[guess] == nil {
						part.given[guess] = []given{{value: cty.DynamicVal, at: a.Expr.Range()}}
					}
				} else if len(declared) > 0 && len(declared) <= 12 {
					hint = " It has " + words.Quoted(declared, "and") + "."
				}
				b.errorf(a.NameRange, "Unsupported argument", "The module declares no variable %q.%s", a.Name, hint)
			}
			continue
		}
		part.given[a.Name] = []given{{from: "the module block", value: v, at: a.Expr.Range()}}
	}
}

// exports returns the blocks of a module, as module.name is to the scene. What a module
// computes on the way, its locals and variables, is its own.
func (l *loader) exports() cty.Value {
	one := map[string]map[string]cty.Value{"entity": {}, "render": {}}
	two := map[string]map[string]map[string]cty.Value{"model": {}, "adapter": {}}
	for _, n := range l.order {
		if n.again || n.at.File == "" { // predeclared
			continue
		}
		if named, ok := one[n.kind]; ok {
			named[n.name] = l.resolve(n)
		}
		if families, ok := two[n.kind]; ok {
			family, name, _ := strings.Cut(n.name, ".")
			if families[family] == nil {
				families[family] = map[string]cty.Value{}
			}
			families[family][name] = l.resolve(n)
		}
	}
	out := map[string]cty.Value{}
	for kind, named := range one {
		out[kind] = cty.ObjectVal(named)
	}
	for kind, families := range two {
		values := map[string]cty.Value{}
		for family, named := range families {
			values[family] = cty.ObjectVal(named)
		}
		out[kind] = cty.ObjectVal(values)
	}
	return cty.ObjectVal(out)
}

// module is the address of the module that l reads: "module.birds".
func (l *declared) moduleAddress() string { return strings.TrimSuffix(l.address, ".") }

// shown returns how l's own files call a block: a block of a module's, inside it, has no
// module before its name.
func (l *declared) shown(n *node) string { return strings.TrimPrefix(n.address(), l.address) }

// all calls f for every node of the scene or module, those of its modules included.
func (l *declared) all(f func(*node)) {
	for _, n := range l.order {
		f(n)
		if n.part != nil {
			n.part.all(f)
		}
	}
}

// moduleNames returns the names in an address: "module.a.module.b." has a and b.
func moduleNames(address string) (names []string) {
	parts := strings.Split(address, ".")
	for i := 1; i < len(parts); i += 2 {
		names = append(names, parts[i])
	}
	return names
}

// similarIn suggests a name of the same folder.
func similarIn(root *os.Root, clean string) string {
	dir, err := root.Open(filepath.FromSlash(path.Dir(clean)))
	if err != nil {
		return hidden(clean)
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(1000)
	if guess := closest(path.Base(clean), names); guess != "" {
		return hidden(clean) + fmt.Sprintf(" Did you mean %q?", path.Join(path.Dir(clean), guess))
	}
	return hidden(clean)
}
