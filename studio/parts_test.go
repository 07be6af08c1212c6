package studio_test

import (
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/eligen/eligen"
)

const fall = `timeline "fall" {
  frames = 17
  fps    = 8

  track {
    target = entity.ball.center
    keys = [
      { at = "0%", value = [0.25, 0.25], ease = "bounce-out" }, # lets go
      { at = "50%", value = [0.50, 0.75] },
      { at = "100%", value = [0.75, 0.75] },
    ]
  }
}

entity "ball" {
  prompt = "a ball"
  region = ellipse(0.25, 0.25, 0.125, 0.125)
}

render "fall" {
  prompt   = "a meadow"
  timeline = timeline.fall

  output {
    path = "out/fall.gif"
  }
}
`

// grab presses the pointer on an element and moves it sideways by pixels of the page.
func (x *tab) grab(selector string, dx float64) {
	x.t.Helper()
	b := eval[[]float64](x, "(b => [b.x + b.width / 2, b.y + b.height / 2])(document.querySelector('"+selector+"').getBoundingClientRect())")
	x.do(chromedp.MouseEvent(chromedp.MousePressed, b[0], b[1], chromedp.ButtonLeft))
	for i := 1; i <= 4; i++ {
		x.do(chromedp.MouseEvent(chromedp.MouseMoved, b[0]+dx*float64(i)/4, b[1], chromedp.ButtonLeft))
	}
	x.do(chromedp.MouseEvent(chromedp.MouseReleased, b[0]+dx, b[1], chromedp.ButtonLeft))
}

// TestKeys: a key that is dragged changes its one line, a double click adds one with the value of there, and
// Delete removes it; a moment that is chosen is shown on the canvas as eligen renders it.
func TestKeys(t *testing.T) {
	x := open(t, "fall.hcl", fall).show(1440, 900)
	x.until("document.querySelectorAll('.key').length == 3")
	lane := eval[float64](x, "document.querySelector('.lane').getBoundingClientRect().width")
	x.grab(`[data-key="0,1"]`, lane/4)
	x.saved(func(s string) bool { return s != fall })
	want := "-       { at = \"50%\", value = [0.50, 0.75] },\n+       { at = \"75%\", value = [0.50, 0.75] },"
	if got := diff(fall, x.text()); got != want {
		t.Errorf("the file changed by\n%s\nwant\n%s", got, want)
	}
	x.until("document.querySelector('.keyform select')")
	x.shot("timeline-key")
	moved := x.text()
	x.do(chromedp.Evaluate[chromedp.Void](`(lane => {
		const b = lane.getBoundingClientRect();
		lane.dispatchEvent(new MouseEvent('dblclick', {bubbles: true, clientX: b.x + b.width / 4, clientY: b.y + 14}));
	})(document.querySelector('.lane'))`))
	x.until("document.querySelectorAll('.key').length == 4")
	added := strings.TrimPrefix(diff(moved, x.text()), "+ ")
	track := eligen.Track{Keys: []eligen.Key{
		{Frame: 0, Value: eligen.Value{Numbers: []float64{0.25, 0.25}}, Ease: eligen.Ease{Kind: "bounce-out"}},
		{Frame: 12, Value: eligen.Value{Numbers: []float64{0.5, 0.75}}},
	}}
	var at, u, v float64
	if _, err := fmt.Sscanf(strings.TrimSpace(added), `{ at = "%f%%", value = [%f, %f] },`, &at, &u, &v); err != nil || at != 25 {
		t.Fatalf("%v: the new line is %q", err, added)
	}
	if n := track.At(4, 17, eligen.Size{W: 256, H: 256}).Numbers; math.Abs(u-n[0]) > 1.0/512 || math.Abs(v-n[1]) > 1.0/512 {
		t.Errorf("the new key is at %v, %v; the ball there is at %v", u, v, n)
	}
	x.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-key="0,1"]').focus()`), chromedp.KeyEvent(kb.Delete))
	x.saved(func(s string) bool { return s == moved })
	x.press("k")
	x.until("document.querySelector('[aria-label=\"Stop playing\"]')")
	x.press(".")
	x.do(chromedp.Evaluate[chromedp.Void](`(f => { f.value = 16; f.dispatchEvent(new InputEvent('input', {bubbles: true})) })(
		document.querySelector('.time input[type=range]'))`))
	x.until("document.querySelector('.region .ln')?.getAttribute('d').startsWith('M160 192')") // the ellipse around 0.75, 0.75
	x.shot("timeline-end")
}

// TestCurves: what the page draws of an ease, and where it puts what moves, is what eligen renders.
func TestCurves(t *testing.T) {
	x := open(t, "fall.hcl", fall).show(1440, 900)
	eases := eval[[]struct {
		Name  string
		Curve [][2]float64
	}](x, "fetch('/api/schema').then(r => r.json()).then(s => s.eases.map(e => ({Name: e.name, Curve: e.curve})))")
	for _, e := range eases {
		ease, ok := eligen.ParseEase(e.Name)
		for _, p := range e.Curve {
			if !ok || math.Abs(ease.At(p[0])-p[1]) > 1e-9 {
				t.Errorf("%s at %v is %v, want %v", e.Name, p[0], p[1], ease.At(p[0]))
			}
		}
	}
	if len(eases) != len(eligen.EaseNames()) {
		t.Errorf("%d eases of %d", len(eases), len(eligen.EaseNames()))
	}
	p := pure(t)
	for _, c := range []struct {
		before string
		frame  float64
		want   string
	}{{`"50%"`, 4, `"25%"`}, {`"1.5s"`, 4, `"0.5s"`}, {`"500ms"`, 6, `"750ms"`}, {`3`, 4.5, `4.5`}, {`var.when`, 4, ""}} {
		got := eval[*string](p, fmt.Sprintf("pure.timeText(%s, %v, 17, 8)", asJSON(c.before), c.frame))
		if got == nil && c.want != "" || got != nil && *got != c.want {
			t.Errorf("%v, after %s, is written %v, want %s", c.frame, c.before, got, c.want)
		}
	}
}

// TestBrush: what is painted becomes a PNG beside the scene, the entity's region in its text, and its tokens;
// undo gives the region back.
func TestBrush(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	x.click(`.ents li[data-entity="entity.duck"]`)
	before := eval[string](x, `document.querySelector('.ents li[data-entity="entity.duck"] .n').innerText`)
	x.press("m")
	x.until("document.querySelector('canvas.mask')")
	x.drag(0.1, 0.1, 0.4, 0.1, true)
	x.shot("brush")
	x.click("#mask-save")
	x.until("!document.querySelector('canvas.mask')")
	m := regexp.MustCompile(`(?m)^  mask   = image\("(masks/duck-[0-9a-f]{8}\.png)"\)$`).FindStringSubmatch(x.text())
	if m == nil || strings.Contains(x.text(), "xyxy") {
		t.Fatalf("the file is\n%s", x.text())
	}
	f, err := os.Open(filepath.Join(filepath.Dir(x.file), m[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil || img.Bounds() != image.Rect(0, 0, 256, 256) {
		t.Fatalf("%v, %v", err, img.Bounds())
	}
	on := func(u, v float64) bool { return img.At(int(u*256), int(v*256)) == color.Gray{Y: 255} }
	if !on(0.25, 0.1) || !on(0.85, 0.67) || on(0.5, 0.4) {
		t.Error("the picture isn't what was painted, and what was there")
	}
	x.until(`document.querySelector('.ents li[data-entity="entity.duck"] .n').innerText != ` + asJSON(before))
	x.click(`button[aria-label^="Undo"]`)
	x.saved(func(s string) bool { return s == harbor })
}

// dropFile drops a file on the page, as a hand does.
func (x *tab) dropFile(name, base64 string) {
	x.t.Helper()
	x.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`(() => {
		const bytes = Uint8Array.from(atob(%q), c => c.charCodeAt(0)), t = new DataTransfer();
		t.items.add(new File([bytes], %q));
		document.body.dispatchEvent(new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: t}));
	})()`, base64, name)))
}

// boxes is a layout that doesn't say how its boxes are written.
const boxes = `{"width": 512, "height": 512, "caption": "a duck and a house", "annos": [
	{"bbox": [40, 60, 200, 160], "caption": "a duck"}, {"bbox": [260, 80, 200, 240], "caption": "a house"}]}`

// TestDropLayout: a layout that is dropped says what it is, asks what it leaves open, and becomes the scene;
// undo brings back the text.
func TestDropLayout(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	x.dropFile("nothing.json", "e30=")
	x.until("document.querySelector('.toast')")
	x.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.toast button').click()"))
	x.dropFile("boxes.json", base64.StdEncoding.EncodeToString([]byte(boxes)))
	x.until("document.querySelector('.dropping .warn') && document.querySelector('#convention')")
	x.shot("drop-ask")
	x.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('#convention').value = 'xywh/px'"))
	x.click("#drop-import")
	x.until("!document.querySelector('.dropping') && document.querySelectorAll('.ents li').length == 2")
	if s := x.text(); !strings.Contains(s, `"a duck"`) || strings.Contains(s, "rainbow") {
		t.Errorf("the file is\n%s", s)
	}
	x.shot("drop-imported")
	x.click(`button[aria-label^="Undo"]`)
	x.saved(func(s string) bool { return s == harbor })
}

// TestDropPicture: a picture that is dropped is kept beside the scene, and what it is for is one block.
func TestDropPicture(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	data := eval[string](x, `(c => {
		c.width = c.height = 256;
		c.getContext('2d').fillRect(0, 0, 256, 256);
		return c.toDataURL().split(',')[1];
	})(document.createElement('canvas'))`)
	x.dropFile("../../My photo.png", data)
	x.until("document.querySelector('#drop-init')")
	x.shot("drop-picture")
	x.click("#drop-init")
	x.saved(func(s string) bool { return strings.Contains(s, "init {") })
	m := regexp.MustCompile(`image += image\("(pictures/My-photo-[0-9a-f]{8}\.png)"\)`).FindStringSubmatch(x.text())
	if m == nil {
		t.Fatalf("the file is\n%s", x.text())
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(x.file), m[1])); err != nil {
		t.Error(err)
	}
	x.until("!document.querySelector('.dropping') && document.querySelector('#run').getAttribute('aria-disabled') == 'false'")
}

// TestTokens: what the model sees is drawn as eligen counts it, of masks too, and says where regions share
// tokens, while one of them is dragged as well.
func TestTokens(t *testing.T) {
	x := open(t, "harbor.hcl", strings.Replace(harbor, "xyxy(0.74, 0.56, 0.96, 0.78)", "xyxy(0.62, 0.56, 0.84, 0.78)", 1)+`
entity "moon" {
  prompt = "a moon"
  region = subtract(ellipse(0.75, 0.2, 0.2, 0.15), ellipse(0.8, 0.2, 0.2, 0.15))
}
`).show(1440, 900)
	x.until("document.querySelectorAll('.ents li').length == 4")
	x.until("document.querySelector('.shared').textContent.includes('in several regions')")
	x.press("g")
	x.until("document.querySelectorAll('[data-tokens]').length == 4")
	x.shot("tokens")
	differ := eval[string](x, `[...document.querySelectorAll('.ents li')].map(l => [
		l.dataset.entity, parseInt(l.querySelector('.n').innerText),
		(document.querySelector('[data-tokens="' + l.dataset.entity + '"]').getAttribute('d').match(/M/g) ?? []).length])
		.filter(([, said, drawn]) => said != drawn).join('; ')`)
	if differ != "" {
		t.Errorf("said and drawn: %s", differ)
	}
	x.drag(0.75, 0.67, 0.95, 0.95, false)
	x.until("!document.querySelector('.shared').textContent")
	x.do(chromedp.KeyEvent("\x1b"))
	x.until("document.querySelector('.shared').textContent.endsWith('of its tokens are in rainbow too')")
}

// TestForm: every argument of a block is a field, what is wrong stands below it.
func TestForm(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	x.until("document.querySelector('[data-form=\"render.harbor.sampler\"]')")
	for _, form := range []string{"render.harbor", "render.harbor.sampler", "render.harbor.inpaint"} {
		x.click(`[data-form="` + form + `"] .fold`)
	}
	x.enter(`[id="form-render.harbor.sampler-shift"]`, `"three"`)
	x.saved(func(s string) bool { return strings.Contains(s, `shift = "three"`) })
	x.until(`document.querySelector('[data-form="render.harbor.sampler"] .err')`)
	x.shot("form")
	x.enter(`[id="form-render.harbor.sampler-shift"]`, "2.5")
	x.saved(func(s string) bool { return strings.Contains(s, "shift = 2.5") })
	x.until(`!document.querySelector('[data-form="render.harbor.sampler"] .err')`)
	all := eval[bool](x, `fetch('/api/schema').then(r => r.json()).then(s => s.blocks.find(b => b.type == 'render').arguments
		.every(a => a.name == 'prompt' || document.querySelector('[id="form-render.harbor-' + a.name + '"]')))`)
	if !all {
		t.Error("an argument of a render has no field")
	}
}

// middle returns the middle of an element on the page.
func (x *tab) middle(selector string) (float64, float64) {
	x.t.Helper()
	b := eval[[]float64](x, "(b => [b.x + b.width / 2, b.y + b.height / 2])(document.querySelector('"+selector+"').getBoundingClientRect())")
	return b[0], b[1]
}

// pull moves an element to a point of the canvas.
func (x *tab) pull(selector string, u, v float64) {
	x.t.Helper()
	x0, y0 := x.middle(selector)
	x1, y1 := x.at(u, v)
	x.do(chromedp.MouseEvent(chromedp.MousePressed, x0, y0, chromedp.ButtonLeft))
	for i := 1; i <= 4; i++ {
		k := float64(i) / 4
		x.do(chromedp.MouseEvent(chromedp.MouseMoved, x0+(x1-x0)*k, y0+(y1-y0)*k, chromedp.ButtonLeft))
	}
	x.do(chromedp.MouseEvent(chromedp.MouseReleased, x1, y1, chromedp.ButtonLeft))
}

// TestPolygon: points of a polygon are moved, added between two others, and removed by a double click.
func TestPolygon(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	x.click(`.ents li[data-entity="entity.house"]`)
	x.pull(`[data-point="1"]`, 0.1875, 0.125)
	x.saved(func(s string) bool { return strings.Contains(s, "[0.02, 0.40], [0.1875, 0.125], [0.32, 0.40]") })
	x.until(`document.querySelector('.hcl').textContent.includes('0.1875')`)
	x.pull(`[data-middle="3"]`, 0.1875, 0.75)
	x.saved(func(s string) bool { return strings.Contains(s, "[0.32, 0.60], [0.1875, 0.75], [0.02, 0.60]]") })
	x.until(`document.querySelectorAll('[data-point]').length == 6`)
	x.shot("polygon")
	x.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('[data-point="4"]').dispatchEvent(
		new MouseEvent('dblclick', {bubbles: true}))`))
	x.saved(func(s string) bool { return strings.Contains(s, "[0.32, 0.60], [0.02, 0.60]]") })
	before := x.house()
	x.press("r")
	x.until("document.querySelector('button[aria-label=\"Undo: turn entity.house\"]')")
	after := x.house()
	sin, cos := math.Sincos(15 * math.Pi / 180)
	var cx, cy float64
	for _, p := range before {
		cx, cy = cx+p[0]/float64(len(before)), cy+p[1]/float64(len(before))
	}
	for i, p := range before {
		u, v := cx+(p[0]-cx)*cos-(p[1]-cy)*sin, cy+(p[0]-cx)*sin+(p[1]-cy)*cos
		if math.Hypot(after[i][0]-u, after[i][1]-v) > 1e-3 {
			t.Errorf("point %d is at %v, want %v, %v", i, after[i], u, v)
		}
	}
}

// house returns the points of the house's polygon.
func (x *tab) house() (points [][2]float64) {
	x.t.Helper()
	l := x.layout(x.file)
	for _, e := range l.Entities {
		for i := 0; e.Address == "entity.house" && i+1 < len(e.Region.Numbers); i += 2 {
			points = append(points, [2]float64{e.Region.Numbers[i], e.Region.Numbers[i+1]})
		}
	}
	return points
}

// TestClip: the places of keys are dragged on the canvas, an ease by its handles; frames are shown as they are
// made, and by the playhead.
func TestClip(t *testing.T) {
	x := open(t, "fall.hcl", fall).show(1440, 900)
	x.click(`.ents li[data-entity="entity.ball"]`)
	x.until("document.querySelector('.way') && document.querySelectorAll('[data-dot]').length == 3")
	x.pull(`[data-dot="0,1"]`, 0.5, 0.5)
	x.saved(func(s string) bool { return strings.Contains(s, `{ at = "50%", value = [0.50, 0.50] }`) })
	x.until(`document.querySelector('select[aria-label^="Ease"]')?.value == 'linear'`)
	x.do(chromedp.Evaluate[chromedp.Void](`(f => {
		f.value = 'bezier(0.42, 0, 0.58, 1)';
		f.dispatchEvent(new Event('change', {bubbles: true}));
	})(document.querySelector('select[aria-label^="Ease"]'))`))
	x.saved(func(s string) bool {
		return strings.Contains(s, `value = [0.50, 0.50], ease = bezier(0.42, 0, 0.58, 1) }`)
	})
	x.until("document.querySelector('.curve circle')")
	x.shot("ease")
	x.grab(".curve circle", 12)
	x.saved(func(s string) bool {
		return regexp.MustCompile(`ease = bezier\(0\.(5|6)\d?, 0, 0.58, 1\)`).MatchString(s)
	})
	x.click("#run")
	x.until("document.querySelectorAll('.strip-of img').length == 17")
	x.made()
	x.click(`.strip-of li:last-child button`)
	x.until("document.querySelector('.stage > img')?.alt == 'Frame 16 of render.fall' && document.querySelector('.stage > img').complete")
	x.shot("clip-made")
	// What the picture shows is where the page draws it: the ball at the end, in its ellipse around 0.75, 0.75.
	if in, out := x.colour(0.75, 0.75), x.colour(0.25, 0.25); in == out {
		t.Errorf("the last frame has %s where the ball is, and where it was", in)
	}
}
