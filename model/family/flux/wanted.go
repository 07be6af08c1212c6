package flux

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// Wanted returns the files of a repository that a FLUX.1 model needs. Black Forest Labs publish each
// transformer in two spellings, of 24 GB each: it takes the one that Find takes. It returns nil where there is
// no transformer of FLUX.1, or several that nothing tells apart.
func Wanted(names []string) (wanted []string) {
	list := listing(names)
	for i, part := range [][]string{transformerNames, autoencoderNames, clipNames, t5Names} {
		found := list.part(part)
		if i == 0 && len(found) == 0 {
			return nil
		}
		wanted = append(wanted, found...)
	}
	if tokens := tokenFiles(""); list.hasAll(tokens) {
		wanted = append(wanted, tokens...)
	}
	for _, n := range names {
		if isEliGen(n) || strings.HasPrefix(n, "LICENSE") {
			wanted = append(wanted, n)
		}
	}
	slices.Sort(wanted)
	return slices.Compact(wanted)
}

// A listing is the names of a repository's files, with slashes.
type listing []string

func (l listing) hasAll(names []string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(l, n) })
}

// part returns the files of the first of a part's names that is there; none where several files match it.
func (l listing) part(names []string) []string {
	for _, pattern := range names {
		if !strings.Contains(pattern, ".") {
			if files := l.folder(pattern); len(files) > 0 {
				return files
			}
			continue
		}
		var found []string
		for _, n := range l {
			if ok, _ := path.Match(pattern, strings.ToLower(n)); ok {
				found = append(found, n)
			}
		}
		switch len(found) {
		case 0:
		case 1:
			return found
		default:
			return nil
		}
	}
	return nil
}

// shard is the end of the name of one of several files that hold a network.
var shard = regexp.MustCompile(`^-\d+-of-\d+\.safetensors$`)

// folder returns the files of a network that is a folder, as weights.Open reads it: its sizes, and the one
// file of its tensors, or the index and the files that belong to it.
func (l listing) folder(name string) (files []string) {
	var single, indexes []string
	for _, n := range l {
		dir, base := path.Split(n)
		switch {
		case dir != name+"/":
		case strings.HasSuffix(base, ".safetensors.index.json") && !strings.Contains(base, ".fp16."):
			indexes = append(indexes, n)
		case strings.HasSuffix(base, ".safetensors"):
			single = append(single, n)
		}
	}
	usual := slices.IndexFunc(single, func(n string) bool {
		return path.Base(n) == "diffusion_pytorch_model.safetensors" || path.Base(n) == "model.safetensors"
	})
	switch {
	case len(indexes) == 1:
		base := strings.TrimSuffix(indexes[0], ".safetensors.index.json")
		files = indexes
		for _, n := range single {
			if rest, ok := strings.CutPrefix(n, base); ok && shard.MatchString(rest) {
				files = append(files, n)
			}
		}
	case usual >= 0:
		files = single[usual : usual+1]
	case len(single) == 1:
		files = single
	default:
		return nil
	}
	if config := name + "/config.json"; slices.Contains(l, config) {
		files = append(slices.Clone(files), config)
	}
	return files
}
