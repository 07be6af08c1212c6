package studio_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const harbor = `# A busy night at sea.
variable "horizon" {
  default = 0.34
}

render "harbor" {
  prompt = "a house, a rainbow and a duck on the sea"
}

entity "house" {
  prompt = "a house"
  region = polygon([[0.02, 0.40], [0.17, 0.24], [0.32, 0.40], [0.32, 0.60], [0.02, 0.60]])
}

entity "rainbow" {
  prompt = "a rainbow"
  box    = xywh(0.36, var.horizon, 0.34, 0.34) # over the sea
}

entity "duck" {
  prompt = "a duck"
  box    = xyxy(0.74, 0.56, 0.96, 0.78) # on the right
}
`

// at returns a point of the canvas on the page.
func (x *tab) at(u, v float64) (float64, float64) {
	x.t.Helper()
	b := eval[[]float64](x, "(b => [b.x, b.y, b.width, b.height])(document.querySelector('.stage').getBoundingClientRect())")
	return b[0] + u*b[2], b[1] + v*b[3]
}

// drag moves the pointer with its button down, in steps, from a point of the canvas to another.
func (x *tab) drag(u0, v0, u1, v1 float64, drop bool) {
	x.t.Helper()
	x0, y0 := x.at(u0, v0)
	x1, y1 := x.at(u1, v1)
	x.do(chromedp.MouseEvent(chromedp.MousePressed, x0, y0, chromedp.ButtonLeft))
	for i := 1; i <= 8; i++ {
		k := float64(i) / 8
		x.do(chromedp.MouseEvent(chromedp.MouseMoved, x0+(x1-x0)*k, y0+(y1-y0)*k, chromedp.ButtonLeft))
	}
	if drop {
		x.do(chromedp.MouseEvent(chromedp.MouseReleased, x1, y1, chromedp.ButtonLeft))
	}
}

// colour returns a pixel of the picture that the canvas shows.
func (x *tab) colour(u, v float64) string {
	return eval[string](x, "((u, v) => { const i = document.querySelector('.stage > img'), c = document.createElement('canvas');"+
		"c.width = i.naturalWidth; c.height = i.naturalHeight; const g = c.getContext('2d'); g.drawImage(i, 0, 0);"+
		"return [...g.getImageData(u * c.width, v * c.height, 1, 1).data].join() })("+number(u)+", "+number(v)+")")
}

// TestTour: a region is dragged, and one line of the file changes; a run puts the entity into its box;
// undo leaves the file as it was, to the byte.
func TestTour(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	x.until("document.querySelectorAll('.ents li').length == 3")
	x.shot("tour-open")
	x.drag(0.85, 0.67, 0.61, 0.86, false)
	x.until("document.querySelector('.badge')?.textContent.includes('tokens')")
	x.shot("tour-drag")
	if x.text() != harbor {
		t.Error("the file changes before the region is dropped")
	}
	held := eval[string](x, "[...document.querySelectorAll('.cm-line')].map(l => l.textContent).find(l => l.includes('on the right'))")
	if held == "  box    = xyxy(0.74, 0.56, 0.96, 0.78) # on the right" {
		t.Error("the text doesn't move with the region")
	}
	px, py := x.at(0.61, 0.86)
	x.do(chromedp.MouseEvent(chromedp.MouseReleased, px, py, chromedp.ButtonLeft))
	x.saved(func(s string) bool { return s != harbor })
	want := "-   box    = xyxy(0.74, 0.56, 0.96, 0.78) # on the right\n+   box    = xyxy(0.50, 0.75, 0.72, 0.97) # on the right"
	if got := diff(harbor, x.text()); got != want {
		t.Errorf("the file changed by\n%s\nwant\n%s", got, want)
	}
	x.do(chromedp.Click(chromedp.CSS("#run")))
	x.until("document.querySelector('.stage > img')?.complete && document.querySelector('.plan b')?.textContent.startsWith('Nothing to do')")
	x.shot("tour-run")
	// The engine paint fills a region with its colour: the duck's box differs from what lies around it.
	if in, out, before := x.colour(0.61, 0.86), x.colour(0.9, 0.9), x.colour(0.9, 0.67); in == out || out != before {
		t.Errorf("the duck's box is %s, next to it %s, where it was %s", in, out, before)
	}
	// Of the pixels that have the duck's colour, nearly all lie in its box, and they fill it: up to whole tokens.
	share := eval[float64](x, `(() => {
		const i = document.querySelector('.stage > img'), c = document.createElement('canvas'), n = c.width = c.height = 256;
		const g = c.getContext('2d'); g.drawImage(i, 0, 0, n, n);
		const d = g.getImageData(0, 0, n, n).data, at = (x, y) => d.slice(4 * (y * n + x), 4 * (y * n + x) + 3), duck = at(156, 220);
		let both = 0, either = 0;
		for (let y = 0; y < n; y++) for (let x = 0; x < n; x++) {
			const is = at(x, y).every((v, k) => Math.abs(v - duck[k]) < 16), box = x >= 128 && x < 185 && y >= 192 && y < 249;
			both += is && box; either += is || box;
		}
		return both / either })()`)
	if share < 0.7 {
		t.Errorf("the duck and its box have an IoU of %.2f", share)
	}
	t.Logf("IoU of the duck's pixels with its box: %.2f", share)
	x.do(chromedp.Click(chromedp.CSS(`button[aria-label^="Undo"]`)))
	x.saved(func(s string) bool { return s == harbor })
}

// TestFollows: what another editor writes appears without a reload, and is a step of undo.
func TestFollows(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	other := strings.Replace(harbor, `"a duck"`, `"a red duck"`, 1)
	if err := os.WriteFile(x.file, []byte(other), 0o644); err != nil {
		t.Fatal(err)
	}
	x.until("['.ents', '.cm-content'].every(pane => document.querySelector(pane).textContent.includes('a red duck'))")
	x.until("document.querySelector('.strip.a')")
	x.shot("external")
	x.do(chromedp.Click(chromedp.CSS(".strip.a button")))
	x.saved(func(s string) bool { return s == harbor })
}

// TestConflict: what is typed and what another editor writes meanwhile are joined where they are different lines.
// Where they are the same, nothing is saved until somebody chooses.
func TestConflict(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	x.do(chromedp.Evaluate[chromedp.Void](`new EventSource('/api/events').addEventListener('state', e => {
		window.heard = JSON.parse(e.data).text;
	})`))
	for _, c := range []struct{ theirs, old, new, want string }{
		{"another line", `"a duck"`, `"a goose"`, "X" + strings.Replace(harbor, `"a duck"`, `"a goose"`, 1)},
		{"the same line", "busy", "quiet", ""},
	} {
		if err := os.WriteFile(x.file, []byte(harbor), 0o644); err != nil {
			t.Fatal(err)
		}
		x.until("document.querySelector('.cm-content').textContent.startsWith('# A busy') && " +
			"!document.querySelector('.cm-content').textContent.includes('goose')")
		// Answers to what is typed wait until the other editor's text has come.
		x.do(chromedp.Evaluate[chromedp.Void](`(plain => {
			const held = new Promise(r => { window.release = () => { window.fetch = plain; r() } });
			window.sent = 0;
			window.fetch = async (...a) => { if (a[0] == '/api/edit') { sent++; await held } return plain(...a) };
			document.querySelector('.cm-content').focus();
		})(window.fetch)`), chromedp.KeyEvent(kb.Home, chromedp.KeyModifiers(chromedp.ModifierCtrl)), chromedp.KeyEvent("X"))
		x.until("sent == 1")
		theirs := strings.Replace(harbor, c.old, c.new, 1)
		if err := os.WriteFile(x.file, []byte(theirs), 0o644); err != nil {
			t.Fatal(err)
		}
		x.until("heard == " + asJSON(theirs)) // the page, too
		x.do(chromedp.Evaluate[chromedp.Void]("release()"))
		if c.want != "" {
			x.saved(func(s string) bool { return s == c.want })
			continue
		}
		x.until("document.querySelector('.strip[role=alert]')")
		x.shot("conflict")
		x.until("document.querySelector('.saved').textContent.startsWith('Not saved')")
		if x.text() != theirs {
			t.Errorf("%s: the file is\n%s", c.theirs, x.text())
		}
		x.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.strip[role=alert] button').click()")) // Keep mine
		x.saved(func(s string) bool { return s == "X"+harbor })
	}
}

// TestExpression: a drag moves what is a number and is held by what is worked out; the page says on what
// that hangs, changes it there, or replaces it when asked to.
func TestExpression(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	x.drag(0.5, 0.5, 0.6, 0.7, true)
	x.saved(func(s string) bool { return strings.Contains(s, "var.horizon, 0.34, 0.34) # over") && s != harbor })
	x.until("document.querySelector('.fxbox')?.textContent.includes('var.horizon')")
	x.shot("expression")
	x.enter("#held-value", "0.4")
	x.saved(func(s string) bool {
		return strings.Contains(s, "default = 0.4\n") && strings.Contains(s, "var.horizon")
	})
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// enter puts a text into a field, and leaves it.
func (x *tab) enter(field, text string) {
	x.t.Helper()
	x.do(chromedp.Evaluate[chromedp.Void]("(f => { f.focus(); f.select() })(document.querySelector(" + strconv.Quote(field) + "))"))
	x.do(chromedp.KeyEvent(text), chromedp.Evaluate[chromedp.Void]("document.activeElement.blur()"))
}
