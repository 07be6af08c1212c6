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

// About returns the part of the reference about a block (render.inpaint, or inpaint where no outer block has the name),
// a function or an argument of any block, as a page to read. ok is false where there is none of that name.
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
	blockNames, _ := r.Topics()
	for _, address := range blockNames {
		if strings.HasSuffix(address, "."+topic) {
			return r.About(address)
		}
	}
	b.Reset()
	for _, block := range r.Blocks {
		block.uses(&b, "", topic)
	}
	return b.String(), b.Len() > 0
}

// uses writes a line for each block below an address that has an argument of a name.
func (s BlockSchema) uses(b *strings.Builder, outer, name string) {
	for _, a := range s.Arguments {
		if a.Name == name {
			fmt.Fprintf(b, "* `%s` of `%s%s`: %s\n", name, outer, s.Type, a.What)
		}
	}
	for _, inner := range s.Blocks {
		inner.uses(b, outer+s.Type+".", name)
	}
}
