package dsl

import (
	"context"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/planner"
)

// judged returns what eligen validate says of a scene: what is wrong with how it is
// written, and, planned for the paint engine, with what it means.
func judged(ctx context.Context, path string, vars Vars) (*eligen.Scene, eligen.Diagnostics) {
	return planned(ctx, path, vars, LoadPartial)
}

func planned(ctx context.Context, path string, vars Vars, load func(context.Context, string, Vars) (*eligen.Scene,
	eligen.Diagnostics)) (*eligen.Scene, eligen.Diagnostics) {
	vars.Families = families
	scene, ds := load(ctx, path, vars)
	if scene == nil {
		return nil, ds
	}
	_, more := planner.Build(ctx, scene, paint.Engine{}.ID(), paint.Engine{}.Spec, planner.Options{})
	if all := append(ds, more...).Tidy(); all.HasErrors() {
		return nil, all
	} else {
		return scene, all
	}
}

// judgedText judges the text of a scene in a folder that is made for it.
func judgedText(t *testing.T, src string) eligen.Diagnostics {
	t.Helper()
	dir := write(t, map[string]string{"scene.hcl": src})
	_, ds := judged(t.Context(), dir+"/scene.hcl", Vars{})
	return ds
}
