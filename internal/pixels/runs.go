package pixels

import "errors"

var errRuns = errors.New("the run lengths are damaged")

// Runs reads COCO's compressed run lengths, of pixels that are off and on in turn, columns first: five bits a
// character, from 48 on, and from the fourth run on the difference to the one two before.
func Runs(s string) ([]int, error) {
	var out []int
	for i := 0; i < len(s); {
		n, shift := int64(0), uint(0)
		for more := true; more; shift += 5 {
			if i >= len(s) || s[i] < 48 || s[i] > 111 || shift > 30 {
				return nil, errRuns
			}
			c := int64(s[i] - 48)
			n |= (c & 31) << shift
			more = c&32 != 0
			i++
			if !more && c&16 != 0 {
				n |= -1 << (shift + 5)
			}
		}
		if len(out) > 2 {
			n += int64(out[len(out)-2])
		}
		if n < 0 || n > MaxPixels {
			return nil, errRuns
		}
		out = append(out, int(n))
	}
	return out, nil
}
