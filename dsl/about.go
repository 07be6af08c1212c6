package dsl

import (
	"fmt"
	"strings"
)

// Topics lists what About explains: the blocks, those inside others by their path ("render.inpaint"), and
// the functions.
func (r Reference) Topics() (blocks, functions []string) {
	for _, b := range r.Blocks {
		blocks = b.topics(blocks, "")
	}
	for _, f := range r.Functions {
		functions = append(functions, f.Name)
	}
	return blocks, functions
}

func (s BlockSchema) topics(list []string, outer string) []string {
	list = append(list, outer+s.Type)
	for _, b := range s.Blocks {
		list = b.topics(list, outer+s.Type+".")
	}
	return list
}

// About returns the part of the reference about a block or a function, as a page to read. ok is false where
// there is none of that name.
func (r Reference) About(topic string) (text string, ok bool) {
	var b strings.Builder
	blocks, outer := r.Blocks, ""
	for part := range strings.SplitSeq(topic, ".") {
		ok = false
		for _, block := range blocks {
			if block.Type == part {
				b.Reset()
				block.markdown(&b, "#", outer)
				blocks, outer, ok = block.Blocks, " in `"+part+"`", true
				break
			}
		}
		if !ok {
			break
		}
	}
	if ok {
		return strings.TrimSpace(b.String()) + "\n", true
	}
	for _, f := range r.Functions {
		if f.Name == topic {
			return fmt.Sprintf("`%s`: %s\n", f.Call, f.What), true
		}
	}
	return "", false
}
