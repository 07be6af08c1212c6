package app

import (
	"fmt"

	"github.com/eligen/eligen"
	modelengine "github.com/eligen/eligen/model/engine"
)

// A Teacher is the engine that a training learns by, and how much memory it may take.
type Teacher struct {
	*modelengine.Engine
	Memory int64  // bytes; 0 is no limit
	From   string // who sets it, for people: "--memory", "this machine's memory"
}

// Teacher returns the engine of a backend, "" being the usual one, within a limit of memory as a PlanRequest has it.
func (a *App) Teacher(backend string, memory int64, from string) (Teacher, error) {
	e, err := a.modelEngine(backend, "")
	if err != nil {
		return Teacher{}, err
	}
	if known, ok := e.(engine); ok { // one that has been used before
		e = known.Engine
	}
	m, ok := e.(*modelengine.Engine)
	if !ok {
		return Teacher{}, fmt.Errorf("the engine of %q can't be taught. This is a bug in eligen", backend)
	}
	l := limit(memory, from, m.ID())
	hold(m, l)
	return Teacher{m, l.bytes, l.from}, nil
}

var _ eligen.Engine = Teacher{}
