package main

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
)

// maxSeeds is how many seeds one command tries.
const maxSeeds = 256

// readSeeds reads 7, 1..4 and 1,5,9, in any mixture.
func readSeeds(s string) ([]uint64, error) {
	var out []uint64
	one := func(text string) (uint64, error) {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return 0, usageError{fmt.Errorf("--seed %s: write a number, several as 1,5,9, or a range as 1..4", s)}
		}
		if n > 1<<32-1 {
			return 0, fmt.Errorf("--seed %s: the largest seed is %d, since the noise is PyTorch's and takes 32 bits", s, uint64(1<<32-1))
		}
		return n, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "..")
		from, err := one(low)
		if err != nil {
			return nil, err
		}
		to := from
		if isRange {
			if to, err = one(high); err != nil {
				return nil, err
			}
			if to < from {
				return nil, usageError{fmt.Errorf("--seed %s: a range goes up, as %d..%d", s, to, from)}
			}
		}
		if to-from >= maxSeeds || len(out) >= maxSeeds {
			return nil, usageError{fmt.Errorf("--seed %s: that is more than %d seeds", s, maxSeeds)}
		}
		for ; from <= to; from++ {
			if !slices.Contains(out, from) {
				out = append(out, from)
			}
		}
	}
	return out, nil
}

// sweep gives every render a seed. Of several, each makes a render of its own, whose
// files' names end in the seed, and a sheet shows them side by side. A scene's checks
// are about its own seeds: a sweep leaves them out.
func sweep(scene *eligen.Scene, seeds []uint64) {
	if len(seeds) == 1 {
		for i := range scene.Renders {
			scene.Renders[i].Seed = seeds[0]
		}
		return
	}
	var renders []eligen.Render
	for _, r := range scene.Renders {
		sheet := eligen.Sheet{Path: suffixed(r.Outputs[0].Path, "sheet"), Source: r.Outputs[0].Source}
		for _, seed := range seeds {
			one := r
			one.Seed = seed
			one.Address = fmt.Sprintf("%s.seed-%d", r.Address, seed)
			one.Outputs = slices.Clone(r.Outputs)
			for i := range one.Outputs {
				one.Outputs[i].Path = suffixed(r.Outputs[i].Path, strconv.FormatUint(seed, 10))
			}
			renders = append(renders, one)
			sheet.Renders = append(sheet.Renders, one.Address)
			sheet.Captions = append(sheet.Captions, fmt.Sprintf("seed %d", seed))
		}
		scene.Sheets = append(scene.Sheets, sheet)
	}
	scene.Renders, scene.Checks = renders, nil
}

// suffixed is a path whose name, before the extension, ends in a suffix.
func suffixed(name, suffix string) string {
	ext := path.Ext(name)
	return strings.TrimSuffix(name, ext) + "-" + suffix + ext
}

// replaced finds the stages that --replace names: a stage, or all of a render or an
// entity.
func replaced(p *eligen.Plan, addresses []string) ([]eligen.Ref, error) {
	var out []eligen.Ref
	for _, a := range addresses {
		found := false
		for i, s := range p.Stages {
			if rest, ok := strings.CutPrefix(s.Name, a); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
				out, found = append(out, eligen.Ref(i)), true
			}
		}
		if !found {
			var known []string
			for _, s := range p.Stages {
				known = append(known, s.Name)
			}
			if len(known) > 12 {
				known = append(known[:12], "…")
			}
			return nil, fmt.Errorf("--replace %s: the plan has no such stage; it has %s", a, strings.Join(known, ", "))
		}
	}
	return out, nil
}

// downstream are stages, and all that is made from them.
func downstream(p *eligen.Plan, refs []eligen.Ref) map[eligen.Digest]bool {
	again := map[eligen.Digest]bool{}
	for i, s := range p.Stages {
		if slices.Contains(refs, eligen.Ref(i)) || slices.ContainsFunc(s.Inputs, func(in eligen.Ref) bool { return again[p.Stages[in].Digest] }) {
			again[s.Digest] = true
		}
	}
	return again
}
