package dsl

import (
	"maps"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// templateFileFunction makes the function that returns the text of a file whose templates
// ${ … } and %{ … } are evaluated with the values that it is given, and with nothing else
// of the scene. Mistakes in the file are reported at their line of it.
func (l *loader) templateFileFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}, {Name: "vars", Type: cty.DynamicPseudoType}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			given := args[1]
			if given.IsNull() || !given.Type().IsObjectType() && !given.Type().IsMapType() {
				return cty.NilVal, function.NewArgErrorf(1, "must be an object, as { name = \"a dog\" }")
			}
			vars := map[string]cty.Value{}
			for name, v := range given.AsValueMap() {
				if !hclsyntax.ValidIdentifier(name) {
					return cty.NilVal, function.NewArgErrorf(1, "%q can't be a name in a template", name)
				}
				vars[name] = v
			}
			t := l.text(args[0].AsString())
			if t.err != nil {
				return cty.NilVal, function.NewArgErrorf(0, "%v", t.err)
			}
			return l.template(newFile(filepath.Join(l.dir, filepath.FromSlash(t.name)), []byte(t.text)), vars), nil
		},
	})
}

// template evaluates a file as a template. Its value is unknown where a mistake in
// it has been reported.
func (l *loader) template(f *file, vars map[string]cty.Value) cty.Value {
	if _, ok := l.files[f.name]; !ok {
		l.files[f.name] = f
	}
	failed := cty.UnknownVal(cty.String)
	tokens, _ := hclsyntax.LexTemplate(f.src, f.name, hcl.InitialPos)
	g := &guard{file: f, stack: []bracket{{body: false}}}
	for i := range tokens {
		if g.token(tokens, i); g.problem != nil {
			l.diags = append(l.diags, *g.problem)
			return failed
		}
	}
	e, diags := hclsyntax.ParseTemplate(f.src, f.name, hcl.InitialPos)
	for _, d := range diags {
		l.report(d)
	}
	if diags.HasErrors() {
		return failed
	}
	before := len(l.diags)
	names := slices.Sorted(maps.Keys(vars))
	missing := map[string]bool{}
	for _, t := range e.Variables() {
		if _, ok := vars[t.RootName()]; !ok && !missing[t.RootName()] {
			missing[t.RootName()] = true
			hint := didYouMean(t.RootName(), names)
			if hint == "" {
				hint = " It sees what templatefile() gives it, and nothing else of the scene."
			}
			l.errorf(t[0].SourceRange(), undeclared, "The template is given no %q.%s", t.RootName(), hint)
		}
	}
	l.checkCalls(e)
	if len(l.diags) > before {
		return failed
	}
	ctx := &hcl.EvalContext{Variables: vars, Functions: maps.Clone(l.functions)}
	ctx.Functions["templatefile"] = function.New(&function.Spec{
		Params: l.functions["templatefile"].Params(),
		Type:   function.StaticReturnType(cty.String),
		Impl: func([]cty.Value, cty.Type) (cty.Value, error) {
			return cty.NilVal, function.NewArgErrorf(0, "a template can't take in another one")
		},
	})
	v, diags := l.safely(e, ctx)
	for _, d := range diags {
		l.reportEval(d)
	}
	if diags.HasErrors() || !v.IsKnown() {
		return failed
	}
	text, err := toType(v, cty.String)
	if err != nil || text.IsNull() {
		l.errorf(e.Range(), wrongType, "A template must make a text; this one makes %s.", short(v))
		return failed
	}
	return text
}
