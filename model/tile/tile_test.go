package tile

import (
	"slices"
	"testing"
)

func TestWindows(t *testing.T) {
	for _, c := range []struct {
		size, length, stride int
		want                 []int
	}{
		{10, 6, 4, []int{0, 4}},
		{11, 6, 4, []int{0, 4, 5}}, // the reference leaves the last one out
		{6, 6, 4, []int{0}},
		{7, 7, 1, []int{0}},
		{9, 3, 3, []int{0, 3, 6}},
	} {
		if got := Windows(c.size, c.length, c.stride); !slices.Equal(got, c.want) {
			t.Errorf("windows of %d every %d on %d: %v, want %v", c.length, c.stride, c.size, got, c.want)
		}
	}
}
