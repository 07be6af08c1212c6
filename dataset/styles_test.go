package dataset

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
)

// styled returns the stand-in sprites with a stand-in package of icons for every style:
// a ring of the text's colour for each class.
func styled(t *testing.T) *Sprites {
	t.Helper()
	s, err := Load(shapes(), Classes(0))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	const ring = `<path fill="currentColor" fill-rule="evenodd" d="M2 2H30V30H2Z M8 8V24H24V8Z"/>`
	names, icons := map[string]string{}, map[string]any{}
	for _, c := range Classes(0) {
		name := strings.ReplaceAll(c.Name, " ", "-")
		names[strings.TrimSuffix(c.File, "-fe0f")] = name
		icons[name] = map[string]string{"body": ring}
	}
	for file, v := range map[string]any{"icons.json": map[string]any{"icons": icons, "width": 32, "height": 32}, "chars.json": names} {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, style := range Styles {
		if err := s.OpenStyle(style.Name, dir); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestStyles(t *testing.T) {
	s := styled(t)
	size := eligen.Size{W: 128, H: 128}
	plain, err := s.Composer(Options{Size: size})
	if err != nil {
		t.Fatal(err)
	}
	mixed, err := s.Composer(Options{Size: size, Styles: map[string]float64{"flat": 0.25, "ink": 0.25}})
	if err != nil {
		t.Fatal(err)
	}
	// A caption that is too long is said plainly, and that can't be made shorter.
	const longestPlain = 18
	count := map[string]int{}
	const n = 400
	for i := range n {
		a, err := mixed.Layout(i)
		if err != nil {
			t.Fatal(err)
		}
		count[a.Style]++
		b, err := plain.Layout(i)
		if err != nil {
			t.Fatal(err)
		}
		switch a.Style {
		case Solid:
			if a.Caption != b.Caption {
				t.Fatalf("layout %d is of no other style, and its caption is %q instead of %q", i, a.Caption, b.Caption)
			}
		default:
			if rest, ok := strings.CutPrefix(a.Caption, a.Style+", "); !ok || Tokens(rest) > longestPlain {
				t.Errorf("layout %d in %s has the caption %q", i, a.Style, a.Caption)
			}
		}
	}
	for style, want := range map[string]float64{Solid: 0.5, "flat": 0.25, "ink": 0.25} {
		if got := float64(count[style]) / n; math.Abs(got-want) > 0.08 {
			t.Errorf("a share of %.2f is %s; %.2f was asked for", got, style, want)
		}
	}
}

// What lines go around is white, whatever is behind; of other styles one sees through.
func TestInkIsFilled(t *testing.T) {
	s := styled(t)
	for _, style := range []string{"ink", "flat"} {
		_, sp, err := s.get("apple", style)
		if err != nil {
			t.Fatal(err)
		}
		l := sp.levels[0]
		at := func(x, y int) []uint8 { return l.pix[4*(y*l.w+x):][:4] }
		if p := at(4, 4); p[0] > 40 || p[3] != 255 {
			t.Errorf("%s: the line is %v", style, p)
		}
		p := at(l.w/2, l.h/2)
		if filled := p[0] == 255 && p[3] == 255; filled != (style == "ink") {
			t.Errorf("%s: inside it is %v", style, p)
		}
	}
}

func TestStylesThatAreNone(t *testing.T) {
	s := styled(t)
	size := eligen.Size{W: 64, H: 64}
	for _, x := range []struct {
		styles map[string]float64
		want   string
	}{
		{map[string]float64{"pencil": 0.1}, `no style is called "pencil"; there are 3d, flat, ink, noto`},
		{map[string]float64{"flat": 0.7, "ink": 0.7}, "add up to 1.4"},
		{map[string]float64{"flat": -0.5}, "a share is from 0 to 1"},
	} {
		if _, err := s.Composer(Options{Size: size, Styles: x.styles}); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("styles %v: %v; want %q", x.styles, err, x.want)
		}
	}
	if err := s.OpenStyle("flat", t.TempDir()); !errors.Is(err, ErrNoAssets) || !strings.Contains(err.Error(), "dataset fetch --styles") {
		t.Errorf("an empty folder: %v", err)
	}
	bare, err := Load(shapes(), Classes(0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bare.Composer(Options{Size: size, Styles: map[string]float64{"flat": 0.1}}); !errors.Is(err, ErrNoAssets) {
		t.Errorf("a style that wasn't opened: %v", err)
	}
}
