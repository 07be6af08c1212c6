package dsl

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// A Variable is one that a scene declares.
type Variable struct{ Name, Description string }

// Variables lists the variables that the scene at path declares, in its order, as far
// as it can be read. Nothing is evaluated: it is for completing what somebody types.
func Variables(path string) []Variable {
	src, err := readAtMost(path, maxFile)
	if err != nil {
		return nil
	}
	parsed, _ := parse(newFile(path, src))
	if parsed.body == nil {
		return nil
	}
	content, _, _ := parsed.body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "variable",
		LabelNames: []string{"name"}}}})
	var out []Variable
	for _, b := range content.Blocks {
		v := Variable{Name: b.Labels[0]}
		attrs, _, _ := b.Body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "description"}}})
		if a := attrs.Attributes["description"]; a != nil {
			if text, diags := a.Expr.Value(nil); !diags.HasErrors() && text.Type() == cty.String && text.IsKnown() && !text.IsNull() {
				v.Description = text.AsString()
			}
		}
		out = append(out, v)
	}
	return out
}
