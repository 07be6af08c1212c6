package dsl

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/eligen/eligen"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	hcljson "github.com/hashicorp/hcl/v2/json"
)

// Format rewrites a scene in the canonical layout: two spaces a level, equals
// signs of neighbouring lines in one column, one newline at the end. Names
// that end in .json are indented as JSON. Formatting twice changes nothing.
//
// A file that does not parse is not touched: the result is nil, and the
// diagnostics say where the mistakes are.
func Format(filename string, src []byte) ([]byte, eligen.Diagnostics) {
	if len(src) > maxFile {
		return nil, tooLarge(filename, int64(len(src)))
	}
	f := newFile(filename, src)
	var ds eligen.Diagnostics
	if isJSON(filename) {
		if d := guardJSON(f, src); d != nil {
			return nil, eligen.Diagnostics{*d}
		}
		body := bytes.TrimPrefix(src, byteOrderMark)
		_, diags := hcljson.ParseWithStartPos(body, filename, hcl.Pos{Line: 1, Column: 1, Byte: len(src) - len(body)})
		if diags.HasErrors() {
			return nil, tidy(f.jsonMistakes(diags))
		}
		var out bytes.Buffer
		if err := json.Indent(&out, bytes.TrimSpace(body), "", "  "); err != nil {
			ds.Errorf(nil, "Invalid JSON", "%s: %v.", filename, err)
			return nil, ds
		}
		out.WriteByte('\n')
		return out.Bytes(), nil
	}

	if ds := f.syntax(src); ds.HasErrors() {
		return nil, ds
	}
	out := bytes.TrimPrefix(src, byteOrderMark)
	// One pass moves comments that a second pass then aligns.
	for range 8 {
		next := hclwrite.Format(out)
		if next = bytes.TrimRight(next, "\n"); len(next) > 0 {
			next = append(next, '\n')
		}
		if bytes.Equal(next, out) {
			return out, nil
		}
		out = next
	}
	ds.Errorf(nil, "Formatting does not settle", "%s: formatting it again goes on changing it. This is a bug in eligen.", filename)
	return nil, ds
}

// CheckSyntax says why a text can't be parsed, and looks at nothing else. A text that passes is safe to give to
// HCL's parser.
func CheckSyntax(filename string, src []byte) eligen.Diagnostics {
	if isJSON(filename) {
		_, ds := Format(filename, src)
		return ds
	}
	if len(src) > maxFile {
		return tooLarge(filename, int64(len(src)))
	}
	return newFile(filename, src).syntax(src)
}

// syntax parses a text in HCL's own syntax, guarded.
func (f *file) syntax(src []byte) eligen.Diagnostics {
	if d := guardConfig(f, src, hcl.InitialPos); d != nil {
		return eligen.Diagnostics{*d}
	}
	if _, diags := hclsyntax.ParseConfig(src, f.name, hcl.InitialPos); diags.HasErrors() {
		_, ds := salvage(f, diags)
		return tidy(ds)
	}
	return nil
}

func tooLarge(name string, size int64) eligen.Diagnostics {
	var ds eligen.Diagnostics
	ds.Errorf(nil, "File too large", "%s",
		fmt.Sprintf("%s has %d bytes; a scene has at most %d (1 MiB). Masks and pictures belong in files of their own.", name, size, maxFile))
	return ds
}
