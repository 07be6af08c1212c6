package dataset

import (
	"fmt"
	"image"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
)

// Both panels of a pair show the object, in colours turned alike; Before is the
// picture without it, and nothing else is different there than near the object.
func TestPairs(t *testing.T) {
	c := composer(t, Options{Size: eligen.Size{W: 128, H: 128}, Seed: 3})
	hues, others := map[int]bool{}, 0
	for i := range 40 {
		p, err := c.Pair(i)
		if err != nil {
			t.Fatal(err)
		}
		o, alone := p.Right.Objects[p.Object], p.Left.Objects[0]
		hues[o.Hue] = true
		others += len(p.Right.Objects) - 1
		if alone.Class != o.Class || alone.Hue != o.Hue {
			t.Errorf("pair %d: %+v on the left, %+v on the right", i, alone, o)
		}
		if long := max(alone.Box[2]-alone.Box[0], alone.Box[3]-alone.Box[1]); long < 0.44 || long > 0.81 {
			t.Errorf("pair %d: the object on the left has %.2f of the panel", i, long)
		}
		if !p.Left.Background.Smooth || HeldOut(o.Class, p.Left.Background.Name) || HeldOut(o.Class, p.Right.Background.Name) {
			t.Errorf("pair %d: %s on %s, and on %s", i, o.Class, p.Left.Background.Name, p.Right.Background.Name)
		}
		s, err := c.PairSample(i)
		if err != nil {
			t.Fatal(err)
		}
		k, _ := ClassNamed(o.Class)
		if len(s.Entities) != 1 || s.Entities[0].Prompt != k.Prompt() || s.Reference.Prompt != k.Prompt() {
			t.Fatalf("pair %d: entities %+v, reference %+v", i, s.Entities, s.Reference)
		}
		if !strings.HasPrefix(s.Prompt, "left "+k.Prompt()+", right "+k.Prompt()) || Tokens(s.Prompt) > MaxTokens {
			t.Errorf("pair %d: %q", i, s.Prompt)
		}
		if x0, _, _, _, _ := s.Entities[0].Region.Bounds(eligen.Size{W: 256, H: 128}); x0 < 128 {
			t.Errorf("pair %d: the entity begins in the left panel, at %d", i, x0)
		}
		if _, _, x1, _, _ := s.Reference.Region.Bounds(eligen.Size{W: 256, H: 128}); x1 > 128 {
			t.Errorf("pair %d: the reference ends in the right panel, at %d", i, x1)
		}
		seen, changed, left := 0, 0, 0
		for j, on := range s.Entities[0].Mask.Pix {
			same := [3]byte(s.Image.Pix[4*j:]) == [3]byte(s.Before.Pix[4*j:])
			switch {
			case on != 0 && !same:
				changed++
				fallthrough
			case on != 0:
				seen++
			case !same && j%256 < 128:
				left++
			}
		}
		if seen == 0 || changed*10 < seen*9 || left > 0 {
			t.Errorf("pair %d: of %d pixels of the object %d are gone before it is painted; in the left panel %d differ", i, seen, changed, left)
		}
		// Colours are turned alike: the chroma of both means points the same way.
		if a, b := chroma(s.Image, s.Entities[0].Mask), chroma(s.Image, s.Reference.Mask); math.Hypot(a[0], a[1]) > 20 &&
			math.Hypot(b[0], b[1]) > 20 {
			if cos := (a[0]*b[0] + a[1]*b[1]) / math.Hypot(a[0], a[1]) / math.Hypot(b[0], b[1]); cos < 0.8 {
				t.Errorf("pair %d (%s, %d°): mean chroma %v on the right, %v on the left", i, o.Class, o.Hue, a, b)
			}
		}
	}
	if len(hues) != len(Hues) || others == 0 {
		t.Errorf("40 pairs have the hues %v, and %d other objects", hues, others)
	}
}

func chroma(img *image.NRGBA, mask *image.Gray) (v [2]float64) {
	n := 0.0
	for j, on := range mask.Pix {
		if on != 0 {
			r, g, b := float64(img.Pix[4*j]), float64(img.Pix[4*j+1]), float64(img.Pix[4*j+2])
			v[0] += r - (g+b)/2
			v[1] += (g - b) * math.Sqrt(3) / 2
			n++
		}
	}
	return [2]float64{v[0] / n, v[1] / n}
}

func TestPairsAreTheSameEverywhere(t *testing.T) {
	got := map[string]string{}
	c := composer(t, Options{Size: eligen.Size{W: 64, H: 64}, Seed: 1})
	held := composer(t, Options{Size: eligen.Size{W: 64, H: 64}, Seed: 1, Split: Eval})
	for name, c := range map[string]*Composer{"train": c, "eval": held} {
		for i := range 2 {
			s, err := c.PairSample(i)
			if err != nil {
				t.Fatal(err)
			}
			got[fmt.Sprint(name, " ", i)] = digest(t, s)
		}
	}
	want := map[string]string{"train 0": "a1aad6356297bcdf", "train 1": "8be163629cec02db", "eval 0": "d32c69ff82bd3cd3",
		"eval 1": "856722186af6bdc5"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Turning colours keeps lightness and saturation, leaves gray as it is, and by
// a whole turn, in whatever steps, does nothing.
func TestTurnHue(t *testing.T) {
	turned := func(degrees int, p ...uint8) [3]uint8 {
		c := cutout{w: 1, h: 1, pix: append(p, 255)}
		c.turnHue(degrees)
		return [3]uint8(c.pix)
	}
	for degrees, want := range map[int][3]uint8{
		0: {255, 40, 10}, 60: {225, 255, 10}, 120: {10, 255, 40}, 180: {10, 225, 255}, 240: {40, 10, 255}, 300: {255, 10, 225},
		360: {255, 40, 10}, -60: {255, 10, 225},
	} {
		if got := turned(degrees, 255, 40, 10); got != want {
			t.Errorf("by %d°: %v, want %v", degrees, got, want)
		}
	}
	if got := turned(180, 77, 77, 77); got != [3]uint8{77, 77, 77} {
		t.Errorf("gray turns to %v", got)
	}
	for v := range 1 << 12 {
		p := [3]uint8{uint8(v & 15 * 17), uint8(v >> 4 & 15 * 17), uint8(v >> 8 * 17)}
		q := p
		for range 6 {
			q = turned(60, q[:]...)
			if max(q[0], q[1], q[2]) != max(p[0], p[1], p[2]) || min(q[0], q[1], q[2]) != min(p[0], p[1], p[2]) {
				t.Fatalf("%v becomes %v", p, q)
			}
		}
		if q != p {
			t.Fatalf("six turns by 60° make %v of %v", q, p)
		}
	}
}
