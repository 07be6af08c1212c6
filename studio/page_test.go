package studio_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// press sends a key that is typed nowhere.
func (x *tab) press(key string) {
	x.t.Helper()
	x.do(chromedp.Evaluate[chromedp.Void]("document.activeElement?.blur()"), chromedp.KeyEvent(key))
}

func (x *tab) click(selector string) {
	x.t.Helper()
	x.do(chromedp.Click(chromedp.CSS(selector)))
}

// TestDraw: a region that is drawn asks what is in it, and becomes a block at the end of the file.
func TestDraw(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	x.press("b")
	x.drag(0.0625, 0.69, 0.3125, 0.88, true)
	x.until("document.activeElement?.id == 'naming'")
	x.shot("naming")
	x.do(chromedp.KeyEvent("a small boat\r"))
	x.saved(func(s string) bool { return s != harbor })
	want := `+ 
+ entity "small_boat" {
+   prompt = "a small boat"
+   box    = xywh(0.0625, 0.6875, 0.25, 0.1875)
+ }`
	if got := diff(strings.TrimSuffix(harbor, "\n"), strings.TrimSuffix(x.text(), "\n")); got != want {
		t.Errorf("the file changed by\n%s\nwant\n%s", got, want)
	}
	x.until("document.querySelector('.props h2').textContent == 'entity.small_boat'")
	x.press("p")
	for _, p := range [][2]float64{{0.5, 0.0625}, {0.75, 0.0625}, {0.75, 0.25}} {
		px, py := x.at(p[0], p[1])
		x.do(chromedp.MouseClickXY(px, py))
	}
	x.do(chromedp.KeyEvent("\r"))
	x.until("document.activeElement?.id == 'naming'")
	x.do(chromedp.KeyEvent("a sail\r"))
	x.saved(func(s string) bool {
		return strings.Contains(s, "region = polygon([[0.50, 0.0625], [0.75, 0.0625], [0.75, 0.25]])")
	})
	x.until("document.querySelector('.props h2').textContent == 'entity.sail'")
	x.press(kb.Delete)
	x.saved(func(s string) bool { return !strings.Contains(s, "sail") && strings.Contains(s, "small_boat") })
}

// TestSettings: fields set the one argument that they are of, in a block of its own where there is none.
func TestSettings(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	x.enter("#set-steps", "12")
	x.saved(func(s string) bool { return strings.Contains(s, "sea\"\n\n  sampler {\n    steps = 12\n  }\n}") })
	x.until("document.querySelector('.cm-content').textContent.includes('steps = 12')")
	// Two changes before the answer to the first: the second is one, though the page knows of the same value still.
	x.do(chromedp.Evaluate[chromedp.Void](`(f => ['7', '12'].forEach(text => {
		f.focus(); f.value = text; f.dispatchEvent(new InputEvent('input', {bubbles: true})); f.blur();
	}))(document.querySelector('#set-steps'))`))
	x.enter("#set-seed", "5") // is sent after them
	x.saved(func(s string) bool { return strings.Contains(s, "seed   = 5") })
	if !strings.Contains(x.text(), "steps = 12\n") {
		t.Errorf("the file is\n%s", x.text())
	}
	x.do(chromedp.Evaluate[chromedp.Void](`(f => {
		f.focus(); f.value = ''; f.dispatchEvent(new InputEvent('input', {bubbles: true})); f.blur();
	})(document.querySelector('#set-steps'))`))
	x.saved(func(s string) bool { return !strings.Contains(s, "steps") })
	x.click(`.ents li[data-entity="entity.duck"]`)
	x.enter("#entity-prompt", `a "rubber" duck`)
	x.saved(func(s string) bool { return strings.Contains(s, `prompt = "a \"rubber\" duck"`) })
	x.enter("#entity-name", "bath_duck")
	x.saved(func(s string) bool { return strings.Contains(s, `entity "bath_duck" {`) })
	x.until("document.querySelector('.props h2').textContent == 'entity.bath_duck'")
	x.enter("#entity-name", "house") // there is one
	x.until("document.querySelector('.toast')?.textContent.includes('house')")
	x.enter("#entity-name", "duck")
	x.saved(func(s string) bool { return strings.Contains(s, `entity "duck" {`) })
	x.enter("#words", "remove the duck")
	x.do(chromedp.Focus(chromedp.CSS("#words")), chromedp.KeyEvent("\r"))
	x.until("document.querySelectorAll('.ents li').length == 2")
	x.saved(func(s string) bool { return !strings.Contains(s, `entity "duck"`) })
	x.shot("words")
}

// TestTyped: what is typed is saved, mistakes are said in the words of validate, and a run is refused until
// they are mended.
func TestTyped(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	x.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.cm-content').focus()"), chromedp.KeyEvent("strenght = 1\n"))
	x.saved(func(s string) bool { return strings.HasPrefix(s, "strenght = 1\n") })
	x.until("document.querySelector('.diag') && document.querySelector('#run').getAttribute('aria-disabled') == 'true'")
	x.until("document.querySelector('svg.stale') && document.querySelectorAll('.region').length == 3")
	x.shot("error")
	x.press("\x1b")
	x.click(`button[aria-label^="Undo"]`)
	x.saved(func(s string) bool { return !strings.Contains(s, "strenght") })
	x.until("document.querySelector('#run').getAttribute('aria-disabled') == 'false'")
}

// TestTwoPages: two pages show one scene, and what one changes the other shows.
func TestTwoPages(t *testing.T) {
	x := open(t, "harbor.hcl", harbor)
	a := *x
	b := *x
	a.show(1440, 900)
	b.show(1024, 768)
	a.click(`.ents li[data-entity="entity.duck"]`)
	a.enter("#entity-prompt", "a goose")
	b.until("document.querySelector('.ents').textContent.includes('a goose')")
	b.shot("small")
	b.click(`button[aria-label^="Undo"]`)
	a.until("!document.querySelector('.ents').textContent.includes('a goose')")
	if a.text() != harbor {
		t.Errorf("the file is\n%s", a.text())
	}
}

// axe gives a page axe-core, or skips.
func (x *tab) axe() {
	x.t.Helper()
	path := os.Getenv("ELIGEN_AXE")
	if path == "" {
		path = filepath.Join("web", "node_modules", "axe-core", "axe.min.js")
	}
	script, err := os.ReadFile(path)
	if err != nil {
		x.t.Skip("no axe-core (npm ci in studio/web brings it): accessibility is not tested")
	}
	x.do(chromedp.Evaluate[chromedp.Void](string(script)))
}

// sound reports the serious faults that axe-core finds in what the page shows, light and dark.
func (x *tab) sound(state string) {
	x.t.Helper()
	for _, theme := range []string{"light", "dark"} {
		faults := eval[string](x, `(document.documentElement.dataset.theme = '`+theme+`', axe.run()).then(r => r.violations`+
			`.filter(v => ['serious', 'critical'].includes(v.impact))`+
			`.map(v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 120) + ' ' + n.any.map(a => a.message)).join('; ')).join('\n'))`)
		if faults != "" {
			x.t.Errorf("%s, %s:\n%s", state, theme, faults)
		}
		x.shot(strings.ReplaceAll(state, " ", "-") + "-" + theme)
	}
}

// TestAccessible: axe-core finds no serious fault in what the page shows, light and dark.
func TestAccessible(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	x.axe()
	x.sound("open")
	x.click(`.ents li[data-entity="entity.rainbow"]`)
	x.sound("selected")
	x.drag(0.5, 0.5, 0.6, 0.7, true)
	x.until("document.querySelector('.fxbox')?.textContent.includes('var.horizon')")
	x.sound("held")
	x.press("?")
	x.until("document.querySelector('.keys')")
	x.sound("keys")
	x.press("\x1b")
	x.press("b")
	x.drag(0.0625, 0.69, 0.3125, 0.88, true)
	x.until("document.activeElement?.id == 'naming'")
	x.sound("naming")
	x.do(chromedp.KeyEvent("\x1b"))
	x.press("m")
	x.until("document.querySelector('canvas.mask')")
	x.sound("painting")
	x.press("\x1b")
	x.dropFile("picture.png", base64.StdEncoding.EncodeToString([]byte(pixel())))
	x.until("document.querySelector('#drop-init')")
	x.sound("drop of a picture")
	x.do(chromedp.KeyEvent("\x1b"))
	x.dropFile("boxes.json", base64.StdEncoding.EncodeToString([]byte(boxes)))
	x.until("document.querySelector('.dropping .warn') && document.querySelector('#convention')")
	x.sound("drop of a layout")
	x.do(chromedp.KeyEvent("\x1b"))
	x.dropFile("nothing.json", "e30=")
	x.until("document.querySelector('.toast')")
	x.sound("refused")
	x.press("\x1b")
	x.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.cm-content').focus()"), chromedp.KeyEvent("strenght = 1\n"))
	x.until("document.querySelector('.diag')")
	x.sound("mistake")
}

// TestAccessibleRuns: nor in what a run leads to, and in a clip's timeline.
func TestAccessibleRuns(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	x.axe()
	x.click("#view-history")
	x.until("document.querySelector('.bed.hist .empty')")
	x.sound("no history")
	x.click("#view-scene")
	x.click("#run")
	x.made()
	x.click(".plan")
	x.sound("plan")
	x.click(".plan")
	x.drag(0.85, 0.67, 0.61, 0.86, true)
	x.until("document.querySelector('.plan b')?.textContent != 'Nothing to do: the picture is up to date'")
	x.click("#run")
	x.made()
	x.press("y")
	x.until("document.querySelectorAll('li[data-run]').length == 2 && document.querySelector('.bars')")
	for _, mode := range []string{"slider", "side", "difference", "seeds"} {
		x.click("#mode-" + mode)
		x.sound("history " + mode)
	}
	c := open(t, "fall.hcl", fall).show(1440, 900)
	c.axe()
	c.click(`.ents li[data-entity="entity.ball"]`)
	c.until("document.querySelectorAll('[data-dot]').length == 3")
	c.pull(`[data-dot="0,1"]`, 0.5, 0.5)
	c.until(`document.querySelector('select[aria-label^="Ease"]')`)
	c.sound("timeline")
}

// TestSeveral: several entities are aligned, copied and pasted as one edit each, and Ctrl S formats.
func TestSeveral(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	x.until("document.querySelectorAll('.ents li').length == 3")
	x.click(`.ents li[data-entity="entity.house"]`)
	x.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.ents li[data-entity="entity.duck"]').dispatchEvent(
		new MouseEvent('click', {bubbles: true, shiftKey: true}))`))
	x.until("document.querySelector('.props h2').textContent == '2 entities'")
	x.do(chromedp.Evaluate[chromedp.Void]("[...document.querySelectorAll('.grid3 button')].find(b => b.textContent == 'Bottom').click()"))
	x.saved(func(s string) bool { return s != harbor })
	if got := diff(harbor, x.text()); !strings.Contains(got, "[0.32, 0.78], [0.02, 0.78]]") ||
		strings.Contains(got, "xyxy(0.74, 0.56, 0.96, 0.78) # on the right\n+ ") {
		t.Errorf("the file changed by\n%s", got)
	}
	x.press("v") // the focus is nowhere
	ctrl := chromedp.KeyModifiers(chromedp.ModifierCtrl)
	x.do(chromedp.KeyEvent("c", ctrl), chromedp.KeyEvent("v", ctrl))
	x.until("document.querySelectorAll('.ents li').length == 5 && document.querySelector('.props h2').textContent == '2 entities'")
	pasted := "entity \"duck_2\" {\n  prompt = \"a duck\"\n  box    = xyxy(0.74, 0.56, 0.96, 0.78) # on the right\n}\n"
	if !strings.Contains(x.text(), pasted) {
		t.Errorf("the file is\n%s", x.text())
	}
	for range 2 {
		x.click(`button[aria-label^="Undo"]`)
	}
	x.saved(func(s string) bool { return s == harbor })
	loose := strings.Replace(harbor, "prompt = \"a duck\"", "prompt=\"a duck\"", 1)
	if err := os.WriteFile(x.file, []byte(loose), 0o644); err != nil {
		t.Fatal(err)
	}
	x.until("document.querySelector('.cm-content').textContent.includes('prompt=')")
	x.do(chromedp.KeyEvent("s", ctrl))
	x.saved(func(s string) bool { return s == harbor })
}
