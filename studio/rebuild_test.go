package studio_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
)

// examples are the scenes of the reference implementation's seven examples of entity control, with the values that
// a drawn scene gets by typing: regions that are worked out of others, and all pictures of one render.
var examples = []struct {
	name  string
	typed map[string]string // by the entity's prompt: its region
	last  [][2]string       // fields
}{
	{name: "harbor"}, {name: "garland"}, {name: "twins"}, {name: "dressed"},
	{name: "starry", typed: map[string]string{
		"a still lake with ice at its edge": "subtract(xyxy(0, 0.64, 1, 1), entity.rider_long_cloak.box)",
		"swirling waves of green aurora":    `subtract(image("masks/aurora.png"), image("masks/crescent.png"))`,
	}},
	{name: "seven"},
	{name: "portrait", typed: map[string]string{
		"round silver spectacles":         "union(ellipse(0.43, 0.37, 0.06, 0.045), ellipse(0.55, 0.37, 0.06, 0.045))",
		"a wide black hat with a feather": "union(ellipse(0.49, 0.20, 0.26, 0.06), ellipse(0.49, 0.13, 0.13, 0.11))",
	}, last: [][2]string{{"for_each", `toset(["5", "6", "7", "8"])`}, {"seed", "each.value"}}},
}

// TestRebuild: whoever draws the reference's examples from nothing gets renders with the same settings, and
// entities with the same prompts, whose regions cover nearly the same tokens: a screen's pixel is more than one
// of the picture's.
func TestRebuild(t *testing.T) {
	if testing.Short() {
		t.Skip("short: seven scenes are drawn by hand")
	}
	for _, c := range examples {
		t.Run(c.name, func(t *testing.T) {
			x := open(t, c.name+".hcl", "render \""+c.name+"\" {\n  prompt = \"\"\n}\n").show(1440, 900)
			folder := filepath.Join("..", "scenes", "flux")
			if err := os.CopyFS(filepath.Join(filepath.Dir(x.file), "masks"), os.DirFS(filepath.Join(folder, "masks"))); err != nil {
				t.Fatal(err)
			}
			original := filepath.Join(folder, c.name+".hcl")
			want := x.layout(original)
			x.settings(original, c.name)
			for i, e := range want.Entities {
				x.redraw(e, i, c.typed[e.Prompt], maskOf(t, original, e.Address))
			}
			for _, f := range c.last {
				x.unfold("render." + c.name)
				x.enter(fmt.Sprintf(`[id="form-render.%s-%s"]`, c.name, f[0]), f[1])
				x.until("document.querySelector('.cm-content').textContent.includes(" + asJSON(f[1]) + ")")
			}
			x.until("!document.querySelector('.diag[role=alert]') && document.querySelector('#run').getAttribute('aria-disabled') == 'false'")
			x.press("\x1b")
			x.shot("rebuilt-" + c.name)
			x.alike(original, want)
		})
	}
}

// maskOf returns the path of the picture that an entity names as its mask, or "".
func maskOf(t *testing.T, file, address string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.QuoteMeta(strings.TrimPrefix(address, "entity."))
	m := regexp.MustCompile(`entity "` + name + `" \{\n[^}]*image\("(.*)"\)\n`).FindSubmatch(data)
	if m == nil {
		return ""
	}
	return filepath.Join(filepath.Dir(file), filepath.FromSlash(string(m[1])))
}

// layout returns the layout of a scene's first render.
func (x *tab) layout(file string) app.Layout {
	x.t.Helper()
	list, ds, err := x.app.Layouts(x.t.Context(), app.LayoutRequest{Input: app.Input{Path: file}})
	if err != nil || ds.HasErrors() || len(list) == 0 {
		x.t.Fatal(err, ds)
	}
	return list[0]
}

func (x *tab) values(file string) []app.Values {
	x.t.Helper()
	p, _, err := x.app.Plan(x.t.Context(), app.PlanRequest{Input: app.Input{Path: file}, Engine: "paint"})
	if err != nil {
		x.t.Fatal(err)
	}
	return p.Values()
}

// paste puts a text into what has the focus.
func (x *tab) paste(field, text string) {
	x.t.Helper()
	x.do(chromedp.Evaluate[chromedp.Void](`(f => { f.focus(); f.select?.(); document.execCommand('insertText', false, ` +
		asJSON(text) + `) })(document.querySelector(` + asJSON(field) + `))`))
}

func (x *tab) unfold(form string) {
	x.t.Helper()
	fold := `[data-form="` + form + `"] .fold`
	if eval[string](x, `document.querySelector('`+fold+`').getAttribute('aria-expanded')`) != "true" {
		x.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('` + fold + `').click()`))
	}
}

// settings gives the render what the original has: the model by typing its blocks, the rest by fields.
func (x *tab) settings(original, name string) {
	x.t.Helper()
	data, err := os.ReadFile(original)
	if err != nil {
		x.t.Fatal(err)
	}
	head := string(data)
	head = head[strings.Index(head, "variable"):strings.Index(head, "adapter")] + head[strings.Index(head, "adapter"):]
	head = head[:strings.Index(head, "render")]
	if i := strings.Index(head, "locals"); i > 0 {
		head = head[:i]
	}
	x.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.cm-content').focus()"),
		chromedp.KeyEvent(kb.Home, chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	x.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.cm-content').dispatchEvent(Object.assign(new ClipboardEvent('paste', " +
		"{bubbles: true, cancelable: true, clipboardData: (t => (t.setData('text/plain', " + asJSON(head) + "), t))(new DataTransfer())})))"))
	x.saved(func(s string) bool { return strings.Contains(s, `adapter "lora" "eligen"`) })
	v := x.values(original)[0]
	l := x.layout(original)
	x.paste("#prompt", l.Prompt)
	x.do(chromedp.Evaluate[chromedp.Void]("document.activeElement.blur()"))
	x.paste("#set-negative", v.Negative)
	for _, f := range [][2]string{
		{"#set-size", fmt.Sprintf("[%d, %d]", v.Size.W, v.Size.H)}, {"#set-seed", fmt.Sprint(v.Seed)}, {"#set-steps", fmt.Sprint(v.Steps)},
		{"#set-cfg", fmt.Sprint(v.CFG)},
	} {
		x.enter(f[0], f[1])
	}
	for _, f := range [][3]string{
		{"render." + name, "model", "model.flux.dev"}, {"render." + name, "adapters", "[adapter.lora.eligen]"},
		{"render." + name + ".sampler", "guidance", fmt.Sprint(v.Guidance)},
	} {
		x.unfold(f[0])
		x.enter(`[id="form-`+f[0]+`-`+f[1]+`"]`, f[2])
	}
	x.until("document.querySelector('.read').textContent.startsWith('64 × 64')")
	x.until("document.querySelector('.cm-content').textContent.includes('guidance')")
}

// redraw draws an entity as a hand does: shapes by their corners, masks by dropping their picture, what is made of
// other regions by typing it in place of a box.
func (x *tab) redraw(e eligen.Entity, i int, typed, mask string) {
	x.t.Helper()
	n := e.Region.Numbers
	switch e.Region.Kind {
	case "ellipse":
		x.press("e")
		x.free(n[0]-n[2], n[1]-n[3], n[0]+n[2], n[1]+n[3])
	case "polygon":
		x.press("p")
		for k := 0; k+1 < len(n); k += 2 {
			px, py := x.at(n[k], n[k+1])
			x.do(chromedp.MouseClickXY(px, py, chromedp.ButtonModifiers(chromedp.ModifierAlt)))
		}
		x.do(chromedp.KeyEvent("\r"))
	default:
		box := [4]float64{0.1, 0.1, 0.3, 0.3}
		if b, _, problem := e.Region.Box(); problem == "" {
			box = b
		}
		x.press("b")
		x.free(box[0], box[1], box[2], box[3])
	}
	x.until("document.activeElement?.id == 'naming'")
	x.paste("#naming", e.Prompt)
	x.do(chromedp.KeyEvent("\r"))
	x.until(fmt.Sprintf("document.querySelectorAll('.ents li').length == %d", i+1))
	x.until("document.querySelector('.ents li:last-child').dataset.entity == document.querySelector('.props h2').textContent")
	switch {
	case typed != "":
		block := eval[string](x, "document.querySelector('.props h2').textContent")
		x.unfold(block)
		x.enter(`[id="form-`+block+`-box"]`, "")
		x.clear(`[id="form-` + block + `-box"]`)
		x.enter(`[id="form-`+block+`-region"]`, typed)
		x.saved(func(s string) bool { return strings.Contains(s, typed) })
	case e.Region.Kind == "image":
		data, err := os.ReadFile(mask)
		if err != nil {
			x.t.Fatal(err)
		}
		x.dropFile(filepath.Base(mask), base64.StdEncoding.EncodeToString(data))
		x.until("document.querySelector('#drop-mask')")
		x.click("#drop-mask")
		x.until("!document.querySelector('.dropping')")
	}
}

// clear empties a field.
func (x *tab) clear(field string) {
	x.t.Helper()
	x.do(chromedp.Evaluate[chromedp.Void](`(f => {
		f.focus(); f.value = ''; f.dispatchEvent(new InputEvent('input', {bubbles: true})); f.blur();
	})(document.querySelector(` + asJSON(field) + `))`))
}

// free drags without the grid.
func (x *tab) free(u0, v0, u1, v1 float64) {
	x.t.Helper()
	x0, y0 := x.at(u0, v0)
	x1, y1 := x.at(u1, v1)
	alt := chromedp.ButtonModifiers(chromedp.ModifierAlt)
	x.do(chromedp.MouseEvent(chromedp.MousePressed, x0, y0, chromedp.ButtonLeft, alt))
	for _, k := range []float64{0.5, 1} {
		x.do(chromedp.MouseEvent(chromedp.MouseMoved, x0+(x1-x0)*k, y0+(y1-y0)*k, chromedp.ButtonLeft, alt))
	}
	x.do(chromedp.MouseEvent(chromedp.MouseReleased, x1, y1, chromedp.ButtonLeft, alt))
}

// alike reports where the scene that was drawn differs from the original.
func (x *tab) alike(original string, want app.Layout) {
	x.t.Helper()
	got := x.layout(x.file)
	if strings.TrimSpace(got.Prompt) != strings.TrimSpace(want.Prompt) || got.Size != want.Size || len(got.Entities) != len(want.Entities) {
		x.t.Errorf("prompt %q, size %v, %d entities; want %q, %v, %d", got.Prompt, got.Size, len(got.Entities),
			want.Prompt, want.Size, len(want.Entities))
		return
	}
	if a, b := x.values(x.file), x.values(original); !reflect.DeepEqual(a, b) {
		x.t.Errorf("the settings are\n%+v, want\n%+v", a, b)
	}
	worst := 1.0
	for i, e := range want.Entities {
		a, b := got.Entities[i].Region.Tokens(want.Size, eligen.DefaultGeometry), e.Region.Tokens(want.Size, eligen.DefaultGeometry)
		share := iou(a, b)
		worst = min(worst, share)
		if got.Entities[i].Prompt != e.Prompt || share < 0.98 {
			x.t.Errorf("%s: prompt %q, %d tokens; want %q, %d; IoU %.3f", e.Address, got.Entities[i].Prompt, len(a), e.Prompt, len(b), share)
		}
	}
	x.t.Logf("%d entities, worst IoU of tokens %.3f", len(want.Entities), worst)
}

// iou returns the intersection over the union of two lists of tokens.
func iou(a, b []int32) float64 {
	in := map[int32]bool{}
	for _, t := range a {
		in[t] = true
	}
	both := 0
	for _, t := range b {
		if in[t] {
			both++
		}
	}
	return float64(both) / float64(len(a)+len(b)-both)
}
