package studio_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// made waits for a run to be over and its picture up to date.
func (x *tab) made() {
	x.t.Helper()
	x.until("document.querySelector('#run') && document.querySelector('.plan b')?.textContent.startsWith('Nothing to do')")
}

// TestHistory: two runs are compared, values and pixels, and the scene of the older one is restored: the file
// is then as it was, to the byte.
func TestHistory(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	x.click("#view-history")
	x.until("document.querySelector('.bed.hist .empty')")
	x.shot("history-none")
	x.click("#view-scene")
	x.click("#run")
	x.made()
	x.click(`.ents li[data-entity="entity.duck"]`)
	x.enter("#entity-prompt", "a goose")
	x.saved(func(s string) bool { return strings.Contains(s, "a goose") })
	x.drag(0.85, 0.67, 0.61, 0.86, true)
	x.saved(func(s string) bool { return !strings.Contains(s, "0.74, 0.56") })
	x.until("document.querySelector('.plan b')?.textContent != 'Nothing to do: the picture is up to date'")
	x.click("#run")
	x.made()
	x.press("y")
	x.until("document.querySelectorAll('li[data-run]').length == 2 && document.querySelector('.bars')")
	x.shot("history-slider")
	change := eval[string](x, "document.querySelector('.chg').innerText")
	if !strings.Contains(change, "entity.duck") {
		t.Errorf("the changes are %q", change)
	}
	shares := eval[[]string](x, "[...document.querySelectorAll('.bars .small')].map(n => n.textContent)")
	first := eval[string](x, "document.querySelector('.bars .mono').textContent")
	// The engine paint fills whole tokens, and the duck's box lies between them.
	if first != "duck" || !slices.Equal(shares, []string{"75 %", "0.0 %", "0.0 %", "25 %"}) {
		t.Errorf("what changed lies in %s first, %v", first, shares)
	}
	x.do(chromedp.Focus(chromedp.CSS(".grip")), chromedp.KeyEvent(kb.ArrowRight))
	x.until("document.querySelector('.grip').getAttribute('aria-valuenow') == '52'")
	x.click("#mode-side")
	x.until("document.querySelectorAll('.pair img').length == 2")
	x.shot("history-side")
	x.click("#mode-difference")
	x.until("(i => i?.src.includes('/api/difference') && i.naturalWidth == 256)(document.querySelector('.cmp.one > img'))")
	x.shot("history-difference")
	x.click("#restore")
	x.saved(func(s string) bool { return s == harbor })
	x.until("document.querySelector('.ents')")
	x.made() // the older picture is in the store
}

// TestSeeds: several seeds are made for the store alone, looked at side by side, and one is written.
func TestSeeds(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	x.click("#view-history")
	x.click("#mode-seeds")
	x.enter("#seeds", "1..3, 7")
	x.click("#try")
	x.until("document.querySelectorAll('.seeds img').length == 4")
	x.click(`.seeds button[aria-label="Seed 7"]`)
	x.shot("history-seeds")
	x.click("#take-seed")
	x.saved(func(s string) bool { return strings.Contains(s, "seed   = 7\n") })
	x.until("document.querySelector('.plan b')?.textContent == 'still'") // what is left is to say so in the file
	if got := diff(harbor, x.text()); got != "+   seed   = 7" {
		t.Errorf("the file changed by\n%s", got)
	}
}

// TestRestore: a restored scene says what the picture was made by, and names what it leaves.
func TestRestore(t *testing.T) {
	x := open(t, "harbor.hcl", harbor).show(1440, 900)
	x.click("#run")
	x.made()
	changed := strings.NewReplacer(
		"default = 0.34", "default = 0.4", "a house, a rainbow", "houses, a rainbow", "0.32, 0.60], [0.02", "0.40, 0.60], [0.02",
	).Replace(harbor) + "\nentity \"moon\" {\n  prompt   = \"a moon\"\n  box      = xywh(0.1, 0.1, 0.1, 0.1)\n  strength = 1.5\n}\n"
	changed = strings.Replace(changed, "entity \"house\" {\n  prompt = \"a house\"\n", "entity \"house\" {\n  prompt = \"a villa\"\n", 1)
	x.do(chromedp.Evaluate[chromedp.Void](`fetch('/api/edit', {method: 'POST', headers: {'Content-Type': 'application/json'},
		body: JSON.stringify({kind: 'text', name: 'type', text: `+asJSON(changed)+`})}).then(r => r.status)`, chromedp.EvalAwaitPromise))
	x.until("document.querySelectorAll('.ents li').length == 4")
	x.press("y")
	x.until("document.querySelector('#restore') && !document.querySelector('#restore').disabled")
	x.click("#restore")
	x.saved(func(s string) bool { return !strings.Contains(s, "villa") && !strings.Contains(s, "moon") })
	want := strings.Replace(harbor, "default = 0.34", "default = 0.4", 1)
	if got := diff(want, x.text()); got != "" {
		t.Errorf("the file differs by\n%s", got)
	}
	x.until("document.querySelector('.toast')?.textContent.includes('entity.rainbow.box, which is worked out')")
}
