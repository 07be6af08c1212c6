package dsl

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// allFunctions returns the functions of expressions: the pure part of Terraform's library
// under its names, shapes, and lora().
func (l *loader) allFunctions() map[string]function.Function {
	out := maps.Clone(pureFunctions)
	maps.Copy(out, l.shapeFunctions())
	maps.Copy(out, timeFunctions())
	out["lora"] = loraFunction
	out["file"] = l.fileFunction()
	out["templatefile"] = l.templateFileFunction()
	return out
}

var pureFunctions = map[string]function.Function{
	"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "floor": stdlib.FloorFunc, "log": stdlib.LogFunc,
	"max": stdlib.MaxFunc, "min": stdlib.MinFunc, "parseint": stdlib.ParseIntFunc, "pow": powFunction, "signum": stdlib.SignumFunc,

	"chomp": stdlib.ChompFunc, "format": formatted(stdlib.FormatFunc), "formatlist": formatted(stdlib.FormatListFunc),
	"indent": indentFunction, "join": stdlib.JoinFunc, "lower": stdlib.LowerFunc, "regex": stdlib.RegexFunc,
	"regexall": stdlib.RegexAllFunc, "replace": replaceFunction, "split": stdlib.SplitFunc, "strrev": stdlib.ReverseFunc,
	"substr": stdlib.SubstrFunc, "title": stdlib.TitleFunc, "trim": stdlib.TrimFunc, "trimprefix": stdlib.TrimPrefixFunc,
	"trimspace": stdlib.TrimSpaceFunc, "trimsuffix": stdlib.TrimSuffixFunc, "upper": stdlib.UpperFunc,
	"startswith": affix(strings.HasPrefix, "prefix"), "endswith": affix(strings.HasSuffix, "suffix"),

	"chunklist": stdlib.ChunklistFunc, "coalesce": stdlib.CoalesceFunc, "coalescelist": stdlib.CoalesceListFunc,
	"compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc, "distinct": distinctFunction,
	"element": stdlib.ElementFunc, "flatten": stdlib.FlattenFunc, "index": stdlib.IndexFunc, "keys": ofAttributes(stdlib.KeysFunc),
	"length": lengthFunction, "lookup": stdlib.LookupFunc, "merge": stdlib.MergeFunc, "range": stdlib.RangeFunc,
	"reverse": stdlib.ReverseListFunc, "setintersection": stdlib.SetIntersectionFunc, "setproduct": stdlib.SetProductFunc,
	"setsubtract": stdlib.SetSubtractFunc, "setunion": stdlib.SetUnionFunc, "slice": stdlib.SliceFunc, "sort": stdlib.SortFunc,
	"sum": sumFunction, "values": ofAttributes(stdlib.ValuesFunc), "zipmap": stdlib.ZipmapFunc,

	"csvdecode": stdlib.CSVDecodeFunc, "jsondecode": jsonDecodeFunction, "jsonencode": stdlib.JSONEncodeFunc,

	"can": tryfunc.CanFunc, "try": tryfunc.TryFunc,

	"formatdate": stdlib.FormatDateFunc, "timeadd": stdlib.TimeAddFunc,

	"tobool": stdlib.MakeToFunc(cty.Bool), "tolist": stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)),
	"tomap": stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)), "tonumber": stdlib.MakeToFunc(cty.Number),
	"toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)), "tostring": stdlib.MakeToFunc(cty.String),
}

// laterFunctions belong to the language and come with a later release.
var laterFunctions = []string{"feather"}

// impureFunctions are those of Terraform that a scene will never have.
var impureFunctions = []string{
	"fileexists", "fileset", "filebase64", "filesha256", "env", "getenv", "timestamp", "plantimestamp", "uuid",
	"pathexpand", "abspath", "http", "exec",
}

var wide = regexp.MustCompile(`%[^a-zA-Z%]*[0-9]{4}`)

// formatted refuses widths that would fill the memory.
func formatted(f function.Function) function.Function {
	return function.New(&function.Spec{
		Params:   f.Params(),
		VarParam: f.VarParam(),
		Type: func(args []cty.Value) (cty.Type, error) {
			if v := args[0]; v.IsKnown() && !v.IsNull() && v.Type() == cty.String && wide.MatchString(v.AsString()) {
				return cty.NilType, function.NewArgErrorf(0, "a width or precision has at most three digits")
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return f.Call(args) },
	})
}

var indentFunction = function.New(&function.Spec{
	Params: stdlib.IndentFunc.Params(),
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if n, _ := args[0].AsBigFloat().Float64(); n < 0 || n > 200 {
			return cty.NilVal, function.NewArgErrorf(0, "must be from 0 to 200")
		}
		return stdlib.IndentFunc.Call(args)
	},
})

var powFunction = function.New(&function.Spec{
	Params: stdlib.PowFunc.Params(),
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		v, err := stdlib.PowFunc.Call(args)
		if err == nil && v.AsBigFloat().IsInf() {
			err = fmt.Errorf("the result is infinite")
		}
		return v, err
	},
})

// replaceFunction reads what stands between slashes as a pattern, as Terraform does.
var replaceFunction = function.New(&function.Spec{
	Params: stdlib.ReplaceFunc.Params(),
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if s := args[1].AsString(); len(s) > 1 && strings.HasPrefix(s, "/") && strings.HasSuffix(s, "/") {
			return replacePattern(args[0].AsString(), s[1:len(s)-1], args[2].AsString())
		}
		text, old, now := args[0].AsString(), args[1].AsString(), args[2].AsString()
		if len(text)+strings.Count(text, old)*(len(now)-len(old)) > maxText {
			return cty.NilVal, errLongText
		}
		return stdlib.ReplaceFunc.Call(args)
	},
})

var errLongText = fmt.Errorf("the result has more than %d MiB", maxText>>20)

// replacePattern replaces as regexp's ReplaceAllString does, up to the longest string
// that a value may be.
func replacePattern(text, pattern, now string) (cty.Value, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return cty.NilVal, err
	}
	var out []byte
	last := 0
	for _, m := range re.FindAllStringSubmatchIndex(text, -1) {
		out = re.ExpandString(append(out, text[last:m[0]]...), now, text, m)
		if last = m[1]; len(out) > maxText {
			return cty.NilVal, errLongText
		}
	}
	if len(out)+len(text)-last > maxText {
		return cty.NilVal, errLongText
	}
	return cty.StringVal(string(append(out, text[last:]...))), nil
}

// distinctFunction keeps the first of equal values, in their order. (The library's
// compares each with each.)
var distinctFunction = function.New(&function.Spec{
	Params: stdlib.DistinctFunc.Params(),
	Type:   func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
	Impl: func(args []cty.Value, ty cty.Type) (cty.Value, error) {
		if !args[0].IsWhollyKnown() {
			return cty.UnknownVal(ty), nil
		}
		if args[0].LengthInt() == 0 {
			return args[0], nil
		}
		var out []cty.Value
		seen := cty.SetValEmpty(ty.ElementType())
		set := seen.AsValueSet()
		for it := args[0].ElementIterator(); it.Next(); {
			if _, v := it.Element(); !set.Has(v) {
				set.Add(v)
				out = append(out, v)
			}
		}
		return cty.ListVal(out), nil
	},
})

func affix(has func(s, affix string) bool, name string) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "str", Type: cty.String}, {Name: name, Type: cty.String}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			return cty.BoolVal(has(args[0].AsString(), args[1].AsString())), nil
		},
	})
}

// ofAttributes makes, of a function of a map or an object, one that sees of a block's
// value what a scene may see: not which block it is.
func ofAttributes(f function.Function) function.Function {
	plain := func(args []cty.Value) []cty.Value {
		v := args[0]
		if identityOf(v) == nil {
			return args
		}
		attributes := v.AsValueMap()
		delete(attributes, identityName)
		return []cty.Value{cty.ObjectVal(attributes)}
	}
	return function.New(&function.Spec{
		Params: f.Params(),
		Type:   func(args []cty.Value) (cty.Type, error) { return f.ReturnTypeForValues(plain(args)) },
		Impl:   func(args []cty.Value, _ cty.Type) (cty.Value, error) { return f.Call(plain(args)) },
	})
}

// lengthFunction counts elements, and the characters of a text.
var lengthFunction = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType}},
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		switch ty := args[0].Type(); {
		case ty == cty.String:
			return stdlib.Strlen(args[0])
		case ty.IsTupleType() || ty.IsObjectType() || ty.IsCollectionType():
			n := args[0].LengthInt()
			if identityOf(args[0]) != nil {
				n-- // which block it is
			}
			return cty.NumberIntVal(int64(n)), nil
		}
		return cty.NilVal, function.NewArgErrorf(0, "must be a list, a map or a text")
	},
})

var sumFunction = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "list", Type: cty.List(cty.Number)}},
	Type:   function.StaticReturnType(cty.Number),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		total := cty.Zero
		for it := args[0].ElementIterator(); it.Next(); {
			_, v := it.Element()
			if v.IsNull() {
				return cty.NilVal, function.NewArgErrorf(0, "must not hold null")
			}
			var err error
			if total, err = stdlib.Add(total, v); err != nil {
				return cty.NilVal, err
			}
		}
		return total, nil
	},
})

// jsonDecodeFunction refuses text that is nested deeper than a scene may be,
// and numbers out of range: cty decodes by recursion.
var jsonDecodeFunction = function.New(&function.Spec{
	Params: stdlib.JSONDecodeFunc.Params(),
	Type: func(args []cty.Value) (cty.Type, error) {
		if v := args[0]; v.IsKnown() && !v.IsNull() {
			f := newFile("", []byte(v.AsString()))
			if d := guardJSON(f, f.src); d != nil {
				return cty.NilType, function.NewArgErrorf(0, "%s", strings.TrimSuffix(d.Detail, "."))
			}
		}
		return stdlib.JSONDecodeFunc.ReturnTypeForValues(args)
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return stdlib.JSONDecodeFunc.Call(args) },
})

// A training is the value of lora(): which weights a recipe trains.
type training struct{ rank int }

var trainingType = cty.CapsuleWithOps("training", reflect.TypeOf(training{}), &cty.CapsuleOps{
	GoString:     func(any) string { return "lora" },
	TypeGoString: func(reflect.Type) string { return "training" },
})

var loraFunction = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "rank", Type: cty.Number}},
	Type:   function.StaticReturnType(trainingType),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		n, problem := wholeNumber(args[0], 1, 4096)
		if problem != "" {
			return cty.NilVal, function.NewArgErrorf(0, "must be %s", problem)
		}
		return cty.CapsuleVal(trainingType, &training{int(n)}), nil
	},
})
