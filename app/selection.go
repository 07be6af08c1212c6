package app

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
)

// MaxSeeds is how many seeds one plan tries.
const MaxSeeds = 256

// A Span is frames from the first to the last, both included.
type Span struct{ First, Last int }

func (s Span) String() string {
	if s.First == s.Last {
		return strconv.Itoa(s.First)
	}
	return fmt.Sprintf("%d-%d", s.First, s.Last)
}

// spans are frames to make; none is all of them.
type spans []Span

func (s spans) String() string {
	var parts []string
	for _, one := range s {
		parts = append(parts, one.String())
	}
	return strings.Join(parts, ",")
}

// only reports which frames to make; nil is all.
func (s spans) only() func(n int) bool {
	if len(s) == 0 {
		return nil
	}
	return func(n int) bool {
		return slices.ContainsFunc(s, func(one Span) bool { return n >= one.First && n <= one.Last })
	}
}

// check refuses frames that no clip has, and warns of renders that have none: they are made whole.
func (s spans) check(renders []eligen.Render) (eligen.Diagnostics, error) {
	if len(s) == 0 {
		return nil, nil
	}
	var longest *eligen.Render
	var clips int
	var stills []eligen.Render
	for i, r := range renders {
		if r.Clip == nil {
			stills = append(stills, r)
			continue
		}
		clips++
		if longest == nil || r.Clip.Timeline.Frames > longest.Clip.Timeline.Frames {
			longest = &renders[i]
		}
	}
	if longest != nil {
		if err := s.within(longest, clips > 1); err != nil {
			return nil, err
		}
	}
	return s.warn(stills), nil
}

// within refuses frames that the longest clip doesn't have.
func (s spans) within(longest *eligen.Render, several bool) error {
	last := longest.Clip.Timeline.Frames - 1
	which := ""
	if several {
		which = ", the longest clip,"
	}
	for _, one := range s {
		if one.First < 0 || one.Last < one.First {
			return &InputError{"frames", s.String(), fmt.Sprintf("%v is no range of frames", one)}
		}
		if one.Last > last {
			problem := fmt.Sprintf("there is no frame %d; %s%s has the frames 0 to %d", one.Last, longest.Address, which, last)
			return &InputError{"frames", s.String(), problem}
		}
	}
	return nil
}

// warn warns of renders that are no clips.
func (s spans) warn(stills []eligen.Render) (ds eligen.Diagnostics) {
	if len(stills) == 0 {
		return nil
	}
	whole, more := "it is rendered whole", ""
	if n := len(stills) - 1; n > 0 {
		whole, more = "they are rendered whole", fmt.Sprintf(", as %d more are", n)
	}
	ds.Warnf(&stills[0].Source, "Argument without effect",
		"Frames %s are of clips, and %s is a single picture%s: %s.", s, stills[0].Address, more, whole)
	return ds
}

// target leaves only the renders of a scene that targets name: a render by its address, or all
// instances of a block by the block's.
func target(s *eligen.Scene, targets []string) error {
	if len(targets) == 0 {
		return nil
	}
	for _, t := range targets {
		if !slices.ContainsFunc(s.Renders, func(r eligen.Render) bool { return means(t, r.Address) }) {
			var known []string
			for _, r := range s.Renders {
				known = append(known, r.Address)
			}
			return Unknown("target", t, "render", known)
		}
	}
	s.Renders = slices.DeleteFunc(s.Renders, func(r eligen.Render) bool {
		return !slices.ContainsFunc(targets, func(t string) bool { return means(t, r.Address) })
	})
	return nil
}

// means reports whether a target names a render.
func means(target, address string) bool {
	block, _, _ := strings.Cut(address, "[")
	return target == address || target == block
}

// A Target is what a request's targets may name.
type Target struct {
	Address string
	About   string // the prompt, or that it names several
}

// TargetsOf lists a scene's renders, and before its instances each block that has several.
func TargetsOf(s *eligen.Scene) []Target {
	var out []Target
	seen := map[string]bool{}
	for _, r := range s.Renders {
		block, _, several := strings.Cut(r.Address, "[")
		if several && !seen[block] {
			seen[block] = true
			out = append(out, Target{block, "all of them"})
		}
		out = append(out, Target{r.Address, r.Prompt})
	}
	return out
}

// reseed gives every render a seed. With several, each makes a render of its own, whose files' names
// end in the seed, and a sheet shows them side by side. A scene's checks are about its own seeds:
// several leave them out, with a warning.
func reseed(scene *eligen.Scene, seeds []uint64) (ds eligen.Diagnostics, err error) {
	if len(seeds) > MaxSeeds {
		return nil, &InputError{"seed", "", fmt.Sprintf("%d seeds are too many: one plan tries at most %d", len(seeds), MaxSeeds)}
	}
	switch len(seeds) {
	case 0:
		return nil, nil
	case 1:
		for i := range scene.Renders {
			scene.Renders[i].Seed = seeds[0]
		}
		return nil, nil
	}
	if len(scene.Checks) > 0 {
		ds.Warnf(&scene.Checks[0].Source, "Checks are left out",
			"A check is about the scene's own seeds, and %d others are tried. With one seed, checks are tested.", len(seeds))
	}
	var renders []eligen.Render
	for _, r := range scene.Renders {
		each, sheet := swept(r, seeds)
		renders = append(renders, each...)
		scene.Sheets = append(scene.Sheets, sheet)
	}
	scene.Renders, scene.Checks = renders, nil
	return ds, nil
}

// swept returns a render for each seed, and the sheet of them.
func swept(r eligen.Render, seeds []uint64) ([]eligen.Render, eligen.Sheet) {
	var out []eligen.Render
	sheet := eligen.Sheet{Path: pictureName(r.Outputs[0].Path) + "-sheet.png", Source: r.Outputs[0].Source}
	for _, seed := range seeds {
		one := r
		one.Seed = seed
		one.Address = fmt.Sprintf("%s.seed-%d", r.Address, seed)
		one.Outputs = slices.Clone(r.Outputs)
		for i := range one.Outputs {
			one.Outputs[i].Path = suffixed(r.Outputs[i].Path, strconv.FormatUint(seed, 10))
		}
		out = append(out, one)
		sheet.Renders = append(sheet.Renders, one.Address)
		sheet.Captions = append(sheet.Captions, fmt.Sprintf("seed %d", seed))
	}
	return out, sheet
}

// suffixed returns a path whose name, before the extension, ends in a suffix.
func suffixed(name, suffix string) string {
	ext := path.Ext(name)
	return strings.TrimSuffix(name, ext) + "-" + suffix + ext
}
