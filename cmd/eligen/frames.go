package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
)

// untouched reports whether a file is one that eligen wrote and nobody has changed
// since: such a one may be replaced.
func untouched(r io.Reader) bool {
	b := bufio.NewReader(r)
	return clip.Untouched(b) || still.Untouched(b) // what is no clip has not been read
}

// readFrames reads which frames are asked for: "0-7,20". Nil is all.
func readFrames(text string) (func(n int) bool, error) {
	if text == "" {
		return nil, nil
	}
	var spans [][2]int
	for _, part := range strings.Split(text, ",") {
		low, high, ranged := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.Atoi(low)
		b := a
		if err == nil && ranged {
			b, err = strconv.Atoi(high)
		}
		if err != nil || a < 0 || b < a {
			return nil, fmt.Errorf("--frames %s: %q is neither a frame, as 20, nor a range, as 0-7", text, part)
		}
		spans = append(spans, [2]int{a, b})
	}
	return func(n int) bool {
		return slices.ContainsFunc(spans, func(s [2]int) bool { return n >= s[0] && n <= s[1] })
	}, nil
}
