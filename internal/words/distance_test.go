package words

import (
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"same", "same", 0}} {
		if got := Distance(c.a, c.b); got != c.want || Distance(c.b, c.a) != c.want {
			t.Errorf("%q and %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// HCL reads back the text that was quoted, whatever is in it.
func TestHCL(t *testing.T) {
	for _, s := range []string{"", "a cat", `a "cat"`, `back\slash`, "${path}", "$${path}", "%{ if x }", `\${x}`, "$", "100%", "é “x”"} {
		e, ds := hclsyntax.ParseExpression([]byte(HCL(s)), "x", hcl.InitialPos)
		if ds.HasErrors() {
			t.Errorf("%q: %v", s, ds)
			continue
		}
		if v, ds := e.Value(nil); ds.HasErrors() || v.AsString() != s {
			t.Errorf("%q became %v: %v", s, v, ds)
		}
	}
}
