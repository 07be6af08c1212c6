package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/annotated"
)

// digest hashes everything that a sample holds.
func digest(t *testing.T, s annotated.Sample) string {
	t.Helper()
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n", s.Name, s.Prompt, s.Background)
	h.Write(s.Image.Pix)
	for _, e := range s.Entities {
		region, err := json.Marshal(e.Region)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(h, "%s\n%s\n%s\n", e.Class, e.Prompt, region)
		h.Write(e.Mask.Pix)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func sample(t *testing.T, c *Composer, i int) annotated.Sample {
	t.Helper()
	s, err := c.Sample(i)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Composition is integer arithmetic, so these digests hold on every machine. A
// change here means that weights trained before have seen other pictures.
func TestSamplesAreTheSameEverywhere(t *testing.T) {
	check := func(t *testing.T, s *Sprites, want map[string]string) {
		got := map[string]string{}
		for name := range want {
			var split string
			var i, side int
			if _, err := fmt.Sscanf(name, "%s %d at %d", &split, &i, &side); err != nil {
				t.Fatal(err)
			}
			c, err := s.Composer(Options{Size: eligen.Size{W: side, H: side}, Split: Split(split), Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			got[name] = digest(t, sample(t, c, i))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	t.Run("shapes", func(t *testing.T) {
		s, err := Load(shapes(), Classes(0))
		if err != nil {
			t.Fatal(err)
		}
		check(t, s, map[string]string{
			"train 0 at 128":      "dfbf741d5284a64b",
			"train 123456 at 128": "6f1a1e7b19d074ac",
			"train 5 at 256":      "c91200a54ee3d057",
			"eval 0 at 128":       "27d365bebbea33e7",
		})
	})
	t.Run("assets", func(t *testing.T) {
		check(t, assets(t), map[string]string{
			"train 0 at 128":      "f93e2205573b1f46",
			"train 123456 at 128": "b87c9f3aaf33e5a7",
			"train 5 at 256":      "19eb1119e1a4dcde",
			"eval 0 at 128":       "6d2e5bd8b002ff4d",
		})
	})
}

// The table of sines is the only place where floating-point functions decide
// about pixels: no entry may be so near to a half that the last bits of a
// processor's sine matter.
func TestSinesAreFarFromRounding(t *testing.T) {
	for d := range sines {
		exact := one * math.Sin(float64(d)*math.Pi/180)
		if _, frac := math.Modf(math.Abs(exact)); math.Abs(frac-0.5) < 1e-6 {
			t.Errorf("%d°: %v", d, exact)
		}
	}
}

func TestSamplesDoNotDependOnOrderOrConcurrency(t *testing.T) {
	const n = 24
	var want [n]string
	one := composer(t, Options{})
	for i := range want {
		want[i] = digest(t, sample(t, one, i))
	}
	another := composer(t, Options{})
	var got [n]string
	var wg sync.WaitGroup
	for i := n - 1; i >= 0; i-- {
		wg.Go(func() {
			if s, err := another.Sample(i); err == nil {
				got[i] = digest(t, s)
			}
		})
	}
	wg.Wait()
	if got != want {
		t.Error(cmp.Diff(want, got))
	}
	seen := map[string]bool{}
	for _, d := range want {
		seen[d] = true
	}
	if len(seen) != n {
		t.Errorf("%d different samples of %d", len(seen), n)
	}
	if digest(t, sample(t, composer(t, Options{Seed: 1}), 0)) == want[0] {
		t.Error("another seed gives the same sample")
	}
}

// A scene is the same at every size of the same shape.
func TestLayoutDoesNotDependOnSize(t *testing.T) {
	small, large := composer(t, Options{}), composer(t, Options{Size: eligen.Size{W: 256, H: 256}})
	for i := range 20 {
		a, err := small.Layout(i)
		if err != nil {
			t.Fatal(err)
		}
		b, err := large.Layout(i)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(a, b, cmp.Comparer(func(a, b Background) bool { return a.Name == b.Name })); d != "" {
			t.Fatal(d)
		}
		sa, sb := sample(t, small, i), sample(t, large, i)
		for k := range sa.Entities {
			for c := range 4 {
				if x, y := sa.Entities[k].Region.Numbers[c], sb.Entities[k].Region.Numbers[c]; math.Abs(x-y) > 2.0/128 {
					t.Errorf("sample %d entity %d: %v at 128, %v at 256", i, k, x, y)
				}
			}
		}
	}
}

func TestRegionsAreTightToMasks(t *testing.T) {
	hidden, entities := 0, 0
	for _, size := range []eligen.Size{{W: 128, H: 128}, {W: 96, H: 208}, {W: 256, H: 144}} {
		c := composer(t, Options{Size: size})
		var counts [5]int
		for i := range 150 {
			s := sample(t, c, i)
			counts[len(s.Entities)]++
			for _, e := range s.Entities {
				entities++
				x0, y0, x1, y1, ok := e.Region.Bounds(size)
				box, seen := image.Rect(x0, y0, x1, y1), bounds(e.Mask)
				if !ok || seen.Empty() || !seen.In(box) {
					t.Fatalf("%s: %s is seen at %v, its region is %v", s.Name, e.Class, seen, box)
				}
				if seen != box {
					hidden++ // by an object before it
				}
				short := float64(min(size.W, size.H))
				if long := float64(max(box.Dx(), box.Dy())) / short; long < 0.2 || long > 0.63 {
					t.Errorf("%s: %s is %v pixels large, %.2f of the shorter side", s.Name, e.Class, box.Size(), long)
				}
			}
		}
		for n, k := range counts {
			if (n == 0) != (k == 0) {
				t.Errorf("%v: %d pictures of 150 have %d objects", size, k, n)
			}
		}
	}
	t.Logf("of %d entities, %d are partly hidden", entities, hidden)
	if hidden < entities/200 || hidden > entities/20 {
		t.Errorf("of %d entities, %d are partly hidden; want a few", entities, hidden)
	}
}

func TestObjectsAreOnTheCanvas(t *testing.T) {
	for _, size := range []eligen.Size{{W: 128, H: 128}, {W: 512, H: 64}, {W: 64, H: 256}} {
		c := composer(t, Options{Size: size, Seed: 9})
		for i := range 4000 {
			l, err := c.Layout(i)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range l.Objects {
				if b := o.Box; b[0] < 0 || b[1] < 0 || b[2] > 1 || b[3] > 1 || b[0] >= b[2] || b[1] >= b[3] {
					t.Fatalf("%v: layout %d: the %s is at %v", size, i, o.Class, b)
				}
			}
		}
	}
}

// The mask's pixels are the object: elsewhere the picture shows the bare
// background, or a soft edge or shadow next to the object.
func TestOutsideOfObjectsIsBackground(t *testing.T) {
	c := composer(t, Options{})
	for i := range 40 {
		l, err := c.Layout(i)
		if err != nil {
			t.Fatal(err)
		}
		s := sample(t, c, i)
		bare := l
		bare.Objects, bare.Caption = nil, ""
		b, err := c.Compose(bare)
		if err != nil {
			t.Fatal(err)
		}
		if b.Prompt != l.Background.Phrase || len(b.Entities) != 0 {
			t.Fatalf("an empty layout gives %q with %d entities", b.Prompt, len(b.Entities))
		}
		var around []image.Rectangle
		for _, e := range s.Entities {
			x0, y0, x1, y1, _ := e.Region.Bounds(eligen.Size{W: 128, H: 128})
			around = append(around, image.Rect(x0, y0, x1, y1).Inset(-12))
		}
		for y := range 128 {
			for x := range 128 {
				near := slices.ContainsFunc(around, func(r image.Rectangle) bool { return image.Pt(x, y).In(r) })
				if !near && s.Image.NRGBAAt(x, y) != b.Image.NRGBAAt(x, y) {
					t.Fatalf("%s: pixel %d, %d is far from every object but not background", s.Name, x, y)
				}
			}
		}
	}
}

func TestTrainingNeverShowsWhatIsHeldOut(t *testing.T) {
	train, eval := composer(t, Options{Classes: 40}), composer(t, Options{Classes: 40, Split: Eval})
	layouts := map[string]bool{}
	novel := 0
	for i := range 1500 {
		l, err := train.Layout(i)
		if err != nil {
			t.Fatal(err)
		}
		layouts[fmt.Sprint(l.Background.Name, l.Objects)] = true
		for _, o := range l.Objects {
			if HeldOut(o.Class, l.Background.Name) {
				t.Fatalf("train %d shows a %s on %s", i, o.Class, l.Background.Name)
			}
		}
		if heldOutPhrasing(l) {
			t.Fatalf("train %d says %q", i, l.Caption)
		}
	}
	phrasings := 0
	for i := range 1500 {
		l, err := eval.Layout(i)
		if err != nil {
			t.Fatal(err)
		}
		if layouts[fmt.Sprint(l.Background.Name, l.Objects)] {
			t.Errorf("eval %d is a training layout", i)
		}
		if slices.ContainsFunc(l.Objects, func(o Object) bool { return HeldOut(o.Class, l.Background.Name) }) {
			novel++
		}
		if heldOutPhrasing(l) {
			phrasings++
		}
	}
	if novel < 500 || novel > 1000 {
		t.Errorf("%d of 1500 eval layouts have an unseen pair of object and background", novel)
	}
	if phrasings < 400 || phrasings > 900 {
		t.Errorf("%d of 1500 eval captions are phrased in an unseen way", phrasings)
	}
}

func heldOutPhrasing(l Layout) bool {
	return strings.HasPrefix(l.Caption, "a picture of "+l.Background.Phrase+" with") ||
		strings.HasPrefix(l.Caption, l.Background.Place+", a picture of ") ||
		strings.HasSuffix(l.Caption, ", "+l.Background.Phrase)
}

func TestComposePutsObjectsInTheirBoxes(t *testing.T) {
	c := composer(t, Options{Size: eligen.Size{W: 256, H: 256}})
	meadow, err := BackgroundNamed("meadow")
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Compose(Layout{Background: meadow, Objects: []Object{
		{Class: "dog", Box: [4]float64{0.5, 0.5, 0.9, 0.9}},
		{Class: "apple", Box: [4]float64{0.1, 0.1, 0.5, 0.2}, Called: "red apple"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if want := "a dog and a red apple in a meadow"; s.Prompt != want {
		t.Errorf("caption %q, want %q", s.Prompt, want)
	}
	for k, asked := range []image.Rectangle{image.Rect(128, 128, 230, 230), image.Rect(26, 26, 128, 51)} {
		x0, y0, x1, y1, _ := s.Entities[k].Region.Bounds(eligen.Size{W: 256, H: 256})
		got := image.Rect(x0, y0, x1, y1)
		if !got.In(asked.Inset(-1)) {
			t.Errorf("entity %d is at %v, outside of %v", k, got, asked)
		}
		if got.Dx() < asked.Dx()-2 && got.Dy() < asked.Dy()-2 {
			t.Errorf("entity %d of %v fills neither side of %v", k, got, asked)
		}
		if d := got.Min.Add(got.Max).Sub(asked.Min.Add(asked.Max)); abs(d.X) > 3 || abs(d.Y) > 3 {
			t.Errorf("entity %d at %v is not centred in %v", k, got, asked)
		}
	}
	if c.options.Size != (eligen.Size{W: s.Image.Rect.Dx(), H: s.Image.Rect.Dy()}) {
		t.Errorf("a picture of %v", s.Image.Rect)
	}
}

func TestMistakesAreExplained(t *testing.T) {
	sprites, err := Load(shapes(), Classes(0))
	if err != nil {
		t.Fatal(err)
	}
	good := eligen.Size{W: 64, H: 64}
	for want, o := range map[string]Options{
		"multiples of 16":    {Size: eligen.Size{W: 100, H: 128}},
		"from 32 to 2048":    {Size: eligen.Size{W: 4096, H: 128}},
		"there are 144":      {Size: good, Classes: 145},
		"1 to 4":             {Size: good, MaxObjects: 5},
		`"train" or "eval"`:  {Size: good, Split: "test"},
		"-1 classes asked":   {Size: good, Classes: -1},
		"pictures of 0×0 pi": {},
	} {
		if _, err := sprites.Composer(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", o, err, want)
		}
	}
	c := composer(t, Options{})
	green, err := BackgroundNamed("green")
	if err != nil {
		t.Fatal(err)
	}
	for want, l := range map[string]Layout{
		"no background":               {},
		`no class is called "gnu"`:    {Background: green, Objects: []Object{{Class: "gnu", Box: [4]float64{0, 0, 1, 1}}}},
		"object 0 (dog): [0 0 2 1]":   {Background: green, Objects: []Object{{Class: "dog", Box: [4]float64{0, 0, 2, 1}}}},
		"object 0 (dog): [0 NaN 1 1]": {Background: green, Objects: []Object{{Class: "dog", Box: [4]float64{0, math.NaN(), 1, 1}}}},
	} {
		if _, err := c.Compose(l); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", l, err, want)
		}
	}
	if _, err := c.Sample(-1); err == nil {
		t.Error("sample -1 is composed")
	}
	for _, name := range []string{"plaid", "red to red", "meadow to red", ""} {
		if _, err := BackgroundNamed(name); err == nil || !strings.Contains(err.Error(), "meadow") {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

// Smooth backgrounds change slowly all over, as evaluation relies on.
func TestSmoothBackgroundsAreSmooth(t *testing.T) {
	c := composer(t, Options{Smooth: true})
	for i := range 60 {
		l, err := c.Layout(i)
		if err != nil {
			t.Fatal(err)
		}
		if !l.Background.Smooth {
			t.Fatalf("%q is not smooth", l.Background.Name)
		}
		l.Objects = nil
		s, err := c.Compose(l)
		if err != nil {
			t.Fatal(err)
		}
		for y := 1; y < 128; y++ {
			for x := range 128 {
				a, b := s.Image.NRGBAAt(x, y-1), s.Image.NRGBAAt(x, y)
				if abs(int(a.R)-int(b.R))+abs(int(a.G)-int(b.G))+abs(int(a.B)-int(b.B)) > 12 || a != s.Image.NRGBAAt(127-x, y-1) {
					t.Fatalf("%q has an edge at %d, %d", l.Background.Name, x, y)
				}
			}
		}
	}
}

func TestEveryBackgroundPaintsEveryPixel(t *testing.T) {
	for _, b := range Backgrounds() {
		for _, size := range []image.Point{{32, 32}, {48, 160}, {272, 64}} {
			img := image.NewNRGBA(image.Rectangle{Max: size})
			b.paintOn(img, 5)
			for i := 3; i < len(img.Pix); i += 4 {
				if img.Pix[i] != 255 {
					t.Fatalf("%s at %v: pixel %d is not painted", b.Name, size, i/4)
				}
			}
		}
		if again, err := BackgroundNamed(b.Name); err != nil || again.Phrase != b.Phrase {
			t.Errorf("%s: %v, %v", b.Name, again.Phrase, err)
		}
	}
}

func TestCrops(t *testing.T) {
	c := composer(t, Options{Size: eligen.Size{W: 64, H: 64}})
	// A crop as large as the picture is the picture, or its mirror image.
	whole, err := c.Crops(2, 3, 64, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(whole) != 3*3*64*64 {
		t.Fatalf("%d numbers", len(whole))
	}
	s := sample(t, c, 2)
	plain, mirrored := true, true
	for ch := range 3 {
		for y := range 64 {
			for x := range 64 {
				want := (float32(s.Image.Pix[s.Image.PixOffset(x, y)+ch]) - 127.5) / 127.5
				row := whole[(ch*64+y)*64:]
				plain = plain && math.Abs(float64(row[x]-want)) < 1e-6
				mirrored = mirrored && math.Abs(float64(row[63-x]-want)) < 1e-6
			}
		}
	}
	if plain == mirrored {
		t.Errorf("the crop is the picture: %v, its mirror image: %v", plain, mirrored)
	}

	first, err := c.Crops(7, 10, 32, nil)
	if err != nil {
		t.Fatal(err)
	}
	reused := make([]float32, len(first))
	second, err := c.Crops(7, 10, 32, reused)
	if err != nil {
		t.Fatal(err)
	}
	if &second[0] != &reused[0] || !slices.Equal(first, second) {
		t.Error("the same batch differs, or is not written where asked")
	}
	other, err := c.Crops(8, 10, 32, nil)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(first, other) {
		t.Error("two batches are the same")
	}
	for _, v := range first {
		if v < -1 || v > 1 {
			t.Fatalf("value %v", v)
		}
	}
	if _, err := c.Crops(0, 1, 65, nil); err == nil {
		t.Error("a crop larger than the picture")
	}
}

func TestSheet(t *testing.T) {
	c := composer(t, Options{Size: eligen.Size{W: 64, H: 64}})
	var samples []annotated.Sample
	for i := range 5 {
		samples = append(samples, sample(t, c, i))
	}
	plain, framed := Sheet(samples, 3, false), Sheet(samples, 3, true)
	if plain.Rect != framed.Rect || plain.Rect.Dx() != 3*70+6 {
		t.Errorf("sheets of %v and %v", plain.Rect, framed.Rect)
	}
	if plain.NRGBAAt(6+70+5, 6+9) != samples[1].Image.NRGBAAt(5, 9) {
		t.Error("the second picture is not where it should be")
	}
	x0, y0, _, _, _ := samples[0].Entities[0].Region.Bounds(eligen.Size{W: 64, H: 64})
	if got := framed.NRGBAAt(6+x0, 6+y0); got != frameColours[0] {
		t.Errorf("the first region's corner is %v", got)
	}
	if Sheet(nil, 4, true).Rect.Empty() {
		t.Error("a sheet of nothing has no pixels")
	}
}
