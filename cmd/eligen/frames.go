package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
)

// untouched reports whether a file is one that eligen wrote and nobody has changed
// since: such a one may be replaced.
func untouched(r io.Reader) bool {
	b := bufio.NewReader(r)
	return clip.Untouched(b) || still.Untouched(b) // what is no clip has not been read
}

// frames are what --frames asks for: spans, both ends included. None is all.
type frames struct {
	text  string
	spans [][2]int
}

// readFrames reads which frames are asked for: "0-7,20".
func readFrames(text string) (frames, error) {
	out := frames{text: text}
	if text == "" {
		return out, nil
	}
	for _, part := range strings.Split(text, ",") {
		low, high, ranged := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.Atoi(low)
		b := a
		if err == nil && ranged {
			b, err = strconv.Atoi(high)
		}
		if err != nil || a < 0 || b < a {
			return out, usageError{fmt.Errorf("--frames %s: %q is neither a frame, as 20, nor a range, as 0-7", text, part)}
		}
		out.spans = append(out.spans, [2]int{a, b})
	}
	return out, nil
}

// only reports which frames are asked for; nil is all.
func (f frames) only() func(n int) bool {
	if f.spans == nil {
		return nil
	}
	return func(n int) bool {
		return slices.ContainsFunc(f.spans, func(s [2]int) bool { return n >= s[0] && n <= s[1] })
	}
}

// check refuses frames that none of the clips has, and warns of renders that have none:
// they are made whole.
func (f frames) check(renders []eligen.Render) (eligen.Diagnostics, error) {
	var ds eligen.Diagnostics
	if f.spans == nil {
		return ds, nil
	}
	var longest *eligen.Render
	clips := 0
	var stills []eligen.Render
	for i, r := range renders {
		switch {
		case r.Clip == nil:
			stills = append(stills, r)
			continue
		case longest == nil || r.Clip.Timeline.Frames > longest.Clip.Timeline.Frames:
			longest = &renders[i]
		}
		clips++
	}
	if longest != nil {
		last := longest.Clip.Timeline.Frames - 1
		for _, s := range f.spans {
			if s[1] > last {
				which := ""
				if clips > 1 {
					which = ", the longest clip,"
				}
				return nil, usageError{fmt.Errorf("--frames %s: there is no frame %d; %s%s has the frames 0 to %d", f.text, s[1], longest.Address, which, last)}
			}
		}
	}
	if len(stills) > 0 {
		whole := "it is rendered whole"
		more := ""
		if n := len(stills) - 1; n > 0 {
			whole, more = "they are rendered whole", fmt.Sprintf(", as %d more are", n)
		}
		ds.Warnf(&stills[0].Source, "Argument without effect", "--frames %s chooses frames of clips, and %s is a single picture%s: %s.", f.text, stills[0].Address, more, whole)
	}
	return ds, nil
}
