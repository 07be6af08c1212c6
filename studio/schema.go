package studio

import (
	"net/http"
	"sync"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
)

// A Language is what the page's forms and curves are made of.
type Language struct {
	Blocks    []dsl.BlockSchema    `json:"blocks"`
	Functions []dsl.FunctionSchema `json:"functions"`
	Eases     []NamedCurve         `json:"eases"`
}

// A NamedCurve is an ease that has a name.
type NamedCurve struct {
	Name  string  `json:"name"`
	Curve []Point `json:"curve"`
}

var language = sync.OnceValue(func() Language {
	reference := dsl.Schema()
	out := Language{Blocks: reference.Blocks, Functions: reference.Functions}
	for _, name := range eligen.EaseNames() {
		e, _ := eligen.ParseEase(name)
		out.Eases = append(out.Eases, NamedCurve{name, curveOf(e)})
	}
	return out
})

// schema sends the language, from the declarations that the parser reads by.
func (s *Server) schema(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, language()) }
