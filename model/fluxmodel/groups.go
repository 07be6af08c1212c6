package fluxmodel

import (
	"slices"

	"github.com/eligen/eligen"
)

// An entityGroup is entities that one tensor holds.
type entityGroup struct {
	length, bucket int
	strong         bool // one of them has another strength than 1
	layered        bool // they lie over one another
	covered        bool // the region of one covers tokens in part
	entities       []eligen.EntityConditioning
}

// mergedRows is the most rows of padding that one group fewer is worth.
const mergedRows = 128

// groupEntities puts entities of one text length and bucket together, in an
// order that doesn't depend on their own. Those without a token are left out,
// since nothing attends to them. text, if not nil, replaces their prompts.
func groupEntities(all []eligen.EntityConditioning, text eligen.Conditioning) []entityGroup {
	var groups []entityGroup
	for _, e := range all {
		if len(e.Tokens) == 0 {
			continue
		}
		if text != nil {
			e.Prompt = text
		}
		length := e.Prompt[eligen.Txt].Shape[0]
		e.Bucket = max(e.Bucket, len(e.Tokens))
		i := slices.IndexFunc(groups, func(g entityGroup) bool { return g.length == length && g.bucket == e.Bucket })
		if i < 0 {
			i = len(groups)
			groups = append(groups, entityGroup{length: length, bucket: e.Bucket})
		}
		groups[i].strong = groups[i].strong || e.Strength != 1 || e.Factors != nil || e.Blocks != nil
		groups[i].layered = e.Share != nil
		groups[i].covered = groups[i].covered || e.Cover != nil
		groups[i].entities = append(groups[i].entities, e)
	}
	slices.SortFunc(groups, func(a, b entityGroup) int {
		if a.length != b.length {
			return a.length - b.length
		}
		return a.bucket - b.bucket
	})
	// Every group is a part of each block's graph, to compile and to launch:
	// padding a small region to a larger one's size costs less.
	for i := len(groups) - 2; i >= 0; i-- {
		a, b := groups[i], groups[i+1]
		if a.length != b.length || len(a.entities)*(b.bucket-a.bucket) > mergedRows {
			continue
		}
		a.bucket, a.strong, a.covered, a.entities = b.bucket, a.strong || b.strong, a.covered || b.covered, append(a.entities, b.entities...)
		groups[i] = a
		groups = slices.Delete(groups, i+1, i+2)
	}
	for i := range groups {
		for j := range groups[i].entities {
			groups[i].entities[j].Bucket = groups[i].bucket
		}
	}
	return groups
}
