package dsl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/words"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

const (
	envPrefix = "ELIGEN_VAR_"
	autoFile  = ".auto.eligen.hclvars"
)

var (
	variableGrammar = &grammar{
		what:     "a variable",
		optional: []string{"type", "default", "description", "nullable"},
		blocks:   []hcl.BlockHeaderSchema{{Type: "validation"}},
		many:     []string{"validation"},
		never: map[string]string{
			"sensitive": "What a variable says ends in prompts, plans and the metadata of pictures: a scene keeps no secrets.",
		},
	}
	validationGrammar = &grammar{what: "a validation", required: []string{"condition", "error_message"}}
	settingsGrammar   = &grammar{what: "the eligen block", optional: []string{"required_version"}}
)

// A given value of a variable comes from outside the scene: as text, or as an
// expression of a variable file.
type given struct {
	from string // "--var", for messages
	text string
	expr hcl.Expression

	value cty.Value // of a module block's argument, whose place is at
	at    hcl.Range
}

// collect gathers the values that come from outside, and complains about those
// that no variable takes.
func (l *loader) collect(vars Vars) {
	declared := l.names("var")
	unknown := func(name string) string {
		if hint := didYouMean(name, declared); hint != "" || len(declared) == 0 {
			return hint
		}
		return " It declares " + words.Quoted(declared, "and") + "."
	}
	for _, name := range declared {
		if vars.Env == nil {
			break
		}
		if s, ok := vars.Env(envPrefix + name); ok {
			l.given[name] = append(l.given[name], given{from: "the environment variable " + envPrefix + name, text: s})
		}
	}
	take := func(path string, attrs hcl.Attributes) {
		for _, a := range inOrder(attrs) {
			name := a.Name
			if !slices.Contains(declared, name) {
				l.warnf(a.NameRange, "Value for an undeclared variable", "The scene declares no variable %q.%s", name, unknown(name))
				continue
			}
			l.given[name] = append(l.given[name], given{from: path, expr: a.Expr})
		}
	}
	take(filepath.Join(l.dir, autoFile), l.autoVariables())
	for _, path := range vars.Files {
		take(path, l.variableFile(path))
	}
	for _, s := range vars.Set {
		name, value, ok := strings.Cut(s, "=")
		name = strings.TrimSpace(name)
		switch {
		case !ok:
			l.diags.Errorf(nil, "Invalid value for variable", "--var %q: write name=value.", s)
		case !slices.Contains(declared, name) && !l.syntax.lost:
			l.diags.Errorf(nil, "Value for an undeclared variable", "--var %s: the scene declares no variable %q.%s", s, name, unknown(name))
		case ok:
			l.given[name] = append(l.given[name], given{from: "--var", text: value})
		}
	}
}

// autoVariables reads the file of values beside the scene, which is as foreign as the
// scene is: it lies in its folder, whatever its name is a link to.
func (l *loader) autoVariables() hcl.Attributes {
	path := filepath.Join(l.dir, autoFile)
	src, unsaved, err := l.overlay.read(path, "a variable file")
	if !unsaved {
		src, err = readBelow(l.root, autoFile, "scene's", "a variable file", maxFile)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		l.diags.Errorf(nil, "Variable file can't be read", "%v.", err)
		return nil
	}
	return l.variables(path, src)
}

// variableFile reads a file of values that somebody has named, which may be a stream:
// --var-file /dev/stdin, or what a shell's <(…) stands for.
func (l *loader) variableFile(path string) hcl.Attributes {
	if src, unsaved, err := l.overlay.read(path, "a variable file"); unsaved && err == nil {
		return l.variables(path, src)
	} else if err != nil {
		l.diags.Errorf(nil, "Variable file can't be read", "%v.", err)
		return nil
	}
	path = spelledPath(path)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.diags.Errorf(nil, "Variable file can't be read", "There is no file %s.", path)
		return nil
	case err != nil:
		l.diags.Errorf(nil, "Variable file can't be read", "%v.", err)
		return nil
	case info.IsDir():
		l.diags.Errorf(nil, "Variable file can't be read", "%s is a folder.", path)
		return nil
	}
	src, err := readAtMost(path, maxFile)
	if err != nil {
		l.diags.Errorf(nil, "Variable file can't be read", "%v.", err)
		return nil
	}
	return l.variables(path, src)
}

// variables reads the text of a file of values.
func (l *loader) variables(path string, src []byte) hcl.Attributes {
	f := newFile(path, src)
	l.files[path] = f
	tree, ds := parse(f)
	l.diags = append(l.diags, ds...)
	if tree.body == nil || ds.HasErrors() {
		return nil
	}
	attrs, diags := tree.body.JustAttributes()
	for _, d := range diags {
		f.report(&l.diags, d)
	}
	return attrs
}

func (l *loader) variable(block *hcl.Block, n *node) cty.Value {
	b := l.open(block, variableGrammar)
	if l.address != "" && slices.Contains(moduleWords, n.name) {
		b.errorf(n.rng, "Invalid name", "A variable of a module can't be called %q, since a module block has that argument for itself.", n.name)
	}
	ty, defaults, typed := b.declaredType()
	if a := b.attrs["description"]; a != nil {
		b.constant(a.Expr, cty.String, nil, "\"description\"")
	}

	nullable := cty.True
	if a := b.attrs["nullable"]; a != nil {
		if v, ok := b.constant(a.Expr, cty.Bool, nil, "\"nullable\""); ok && !v.IsNull() {
			nullable = v
		}
	}

	// The default is checked even where another value takes its place.
	value := cty.NilVal
	place := b.rng
	from := "the default"
	if a := b.attrs["default"]; a != nil && typed {
		if v, ok := b.constant(a.Expr, ty, defaults, "the default"); ok {
			value, place = v, a.Expr.Range()
			if v.IsNull() && nullable.False() {
				b.errorf(place, wrongType, "The default must not be null, since the variable is not nullable.")
			}
		}
	}
	for _, g := range l.given[n.name] {
		if !typed {
			break
		}
		if v, r, ok := b.given(n, g, ty, defaults); ok {
			if v.IsNull() && nullable.False() {
				continue // as if it had not been given
			}
			value, place, from = v, r, g.from
		}
	}
	if b.failed {
		return cty.DynamicVal
	}
	if value == cty.NilVal {
		b.noValue(n)
		return cty.DynamicVal
	}

	// Conditions refer to the variable itself.
	n.value, n.state, n.set = value, done, place
	for _, inner := range b.blocks {
		b.validate(n, inner, place, from)
	}
	if b.failed {
		n.value = cty.DynamicVal
	}
	return n.value
}

// declaredType reads a variable's type; ok is false where it is none.
func (b *body) declaredType() (ty cty.Type, defaults *typeexpr.Defaults, ok bool) {
	a := b.attrs["type"]
	if a == nil {
		return cty.DynamicPseudoType, nil, true
	}
	ty, defaults, diags := b.l.typeOf(a.Expr)
	for _, d := range diags {
		b.failed = true
		hint := ""
		if word := hcl.ExprAsKeyword(a.Expr); word != "" {
			hint = didYouMean(word, []string{"string", "number", "bool", "any", "list", "map", "set", "object", "tuple"})
		}
		if d.Subject == nil {
			r := a.Expr.Range()
			d.Subject = &r
		}
		b.l.errorf(*d.Subject, stock(d.Summary), "%s%s", d.Detail, hint)
	}
	return ty, defaults, len(diags) == 0
}

// noValue complains about a variable that nobody has given a value.
func (b *body) noValue(n *node) {
	l := b.l
	if l.address != "" {
		b.errorf(l.caller, missing, "%s needs the argument %q: the variable has no default.", l.moduleAddress(), n.name).
			Note(n.at, "the variable is declared here")
		return
	}
	b.errorf(b.rng, "No value for variable",
		"The variable %q has no default and was given no value. Give one with --var %s=…, a --var-file, or the environment variable %s%s.",
		n.name, n.name, envPrefix, n.name)
}

// typeOf reads a type constraint; its library panics on none that we know, but
// is fed whatever people write.
func (l *loader) typeOf(e hcl.Expression) (ty cty.Type, defaults *typeexpr.Defaults, diags hcl.Diagnostics) {
	defer func() {
		if r := recover(); r != nil {
			at := e.Range()
			ty, diags = cty.DynamicPseudoType, hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Invalid type specification",
				Detail: fmt.Sprintf("This type can't be read: %v. This is a bug in eligen.", r), Subject: &at}}
		}
	}()
	return typeexpr.TypeConstraintWithDefaults(e)
}

// constant evaluates an expression that may refer to nothing.
func (b *body) constant(e hcl.Expression, ty cty.Type, defaults *typeexpr.Defaults, what string) (cty.Value, bool) {
	// Not nil: HCL's JSON would take strings literally, escapes included.
	ctx := &hcl.EvalContext{}
	v, diags := b.l.safely(e, ctx)
	for _, d := range diags {
		b.failed = true
		if len(e.Variables()) > 0 && (d.Summary == "Variables not allowed" || d.Summary == "Unknown variable") {
			b.l.errorf(*d.Subject, "References not allowed",
				"Here must be a plain value: %s can't refer to anything. A text goes in quotes; a value that is computed goes in locals.", what)
			continue
		}
		if d.Subject == nil {
			r := e.Range()
			d.Subject = &r
		}
		b.l.reportEval(d)
	}
	if b.failed || diags.HasErrors() {
		return cty.NilVal, false
	}
	v = b.l.within(e, v)
	if !v.IsWhollyKnown() {
		b.failed = true
		return cty.NilVal, false
	}
	if defaults != nil && !v.IsNull() {
		v = defaults.Apply(v)
	}
	c, err := toType(v, ty)
	if err != nil {
		b.errorf(e.Range(), wrongType, "%s must be %s: %v.", capital(strings.Trim(what, `"`)), ty.FriendlyName(), err)
		return cty.NilVal, false
	}
	return c, true
}

// given converts a value from outside to the variable's type.
func (b *body) given(n *node, g given, ty cty.Type, defaults *typeexpr.Defaults) (cty.Value, hcl.Range, bool) {
	if g.value != cty.NilVal {
		if !g.value.IsWhollyKnown() {
			b.failed = true
			return cty.NilVal, g.at, false
		}
		v := g.value
		if defaults != nil && !v.IsNull() {
			v = defaults.Apply(v)
		}
		v, err := toType(v, ty)
		if err != nil {
			b.errorf(g.at, wrongType, "%q of %s must be %s: %v.", n.name, b.l.moduleAddress(), ty.FriendlyName(), err).Note(n.at,
				"the variable is declared here")
		}
		return v, g.at, err == nil
	}
	if g.expr != nil {
		v, ok := b.constant(g.expr, ty, defaults, "a value in a variable file")
		return v, g.expr.Range(), ok
	}
	if ty.IsPrimitiveType() || ty == cty.DynamicPseudoType {
		if ty == cty.Number && checkDigits(g.text) != "" {
			b.errorf(n.rng, wrongType, "The value of %q from %s: %s", n.name, g.from, checkDigits(g.text))
			return cty.NilVal, n.rng, false
		}
		v, err := toType(cty.StringVal(g.text), ty)
		if err != nil {
			b.errorf(n.rng, wrongType, "The value %q of %q, from %s, must be %s: %v.", g.text, n.name, g.from, ty.FriendlyName(), err)
			return cty.NilVal, n.rng, false
		}
		return v, n.rng, true
	}
	name := g.from + " " + n.name
	f := newFile(name, []byte(g.text))
	b.l.files[name] = f
	if len(g.text) > maxFile {
		b.errorf(n.rng, outOfRange, "The value of %q from %s has %d bytes; at most %d are read.", n.name, g.from, len(g.text), maxFile)
		return cty.NilVal, n.rng, false
	}
	if d := guardConfig(f, f.src, hcl.InitialPos); d != nil {
		b.failed = true
		b.l.diags = append(b.l.diags, *d)
		return cty.NilVal, n.rng, false
	}
	e, diags := hclsyntax.ParseExpression(f.src, name, hcl.InitialPos)
	for _, d := range diags {
		b.failed = true
		f.report(&b.l.diags, d)
	}
	if diags.HasErrors() {
		return cty.NilVal, n.rng, false
	}
	v, ok := b.constant(e, ty, defaults, "a value given on the command line")
	return v, n.rng, ok
}

func (b *body) validate(n *node, block *hcl.Block, place hcl.Range, from string) {
	v := &body{l: b.l, g: validationGrammar, rng: b.l.header(block), at: map[string]eligen.Source{}}
	v.read(block.Body)
	message, said := v.text("error_message")
	met, ok := v.boolean("condition")
	if ok && said && !met {
		of := ""
		if b.l.address != "" {
			of = b.l.moduleAddress() + ": "
		}
		d := v.errorf(place, "Invalid value for variable", "%s%s", of, message)
		if s := short(n.value); s != "" {
			d.Detail = strings.Replace(d.Detail, message, fmt.Sprintf("%s Here var.%s is %s, from %s.", message, n.name, s, from), 1)
		}
		d.Note(b.l.source(v.place("condition")), "the condition is here")
	}
	b.failed = b.failed || v.failed
}

// settings reads the eligen block.
func (l *loader) settings(block *hcl.Block) {
	b := l.open(block, settingsGrammar)
	want, ok := b.text("required_version")
	if !ok {
		return
	}
	met, err := versionMeets(eligen.Version, want)
	switch {
	case err != nil:
		b.errorf(b.place("required_version"), "Invalid version constraint", "%v. Write one as \"~> 0.1\" or \">= 0.1, < 2\".", err)
	case !met:
		b.errorf(b.place("required_version"), "Unsupported eligen version",
			"The scene asks for eligen %s; this is %s. Install another release, or change the constraint.", want, eligen.Version)
	}
}

// versionMeets reports whether a version is within all of the constraints that
// commas separate, as Terraform reads them: =, !=, >, >=, <, <=, and ~>, which
// lets only the last number that it gives grow.
func versionMeets(version, constraints string) (bool, error) {
	have, err := parseVersion(version)
	if err != nil {
		return false, err
	}
	all := true
	for _, c := range strings.Split(constraints, ",") {
		c = strings.TrimSpace(c)
		number := strings.TrimLeft(c, "=!<>~")
		op := c[:len(c)-len(number)]
		want, err := parseVersion(strings.TrimSpace(number))
		if err != nil {
			return false, err
		}
		order := slices.Compare(pad(have), pad(want))
		switch op {
		case "", "=":
			all = all && order == 0
		case "!=":
			all = all && order != 0
		case ">":
			all = all && order > 0
		case ">=":
			all = all && order >= 0
		case "<":
			all = all && order < 0
		case "<=":
			all = all && order <= 0
		case "~>":
			fixed := want[:max(1, len(want)-1)]
			all = all && order >= 0 && slices.Equal(pad(have)[:len(fixed)], fixed)
		default:
			return false, fmt.Errorf("%q is no comparison of versions", op)
		}
	}
	return all, nil
}

func parseVersion(s string) ([]int, error) {
	parts := strings.Split(s, ".")
	if len(parts) > 3 {
		return nil, fmt.Errorf("%q is no version: at most three numbers", s)
	}
	var out []int
	for _, p := range parts {
		n, err := strconv.ParseUint(p, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%q is no version", s)
		}
		out = append(out, int(n))
	}
	return out, nil
}

func pad(v []int) []int {
	for len(v) < 3 {
		v = append(slices.Clone(v), 0)
	}
	return v
}
