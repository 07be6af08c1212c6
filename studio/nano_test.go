package studio_test

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPreviews: while a model denoises, each step's picture arrives, of the first run too.
func TestPreviews(t *testing.T) {
	if testing.Short() {
		t.Skip("short: nano denoises")
	}
	x := openWith(t, "rain.hcl", `render "rain" {
  prompt = "a frog in a meadow"

  sampler {
    steps = 6
  }
}

entity "frog" {
  prompt = "a frog"
  box    = xywh(0.25, 0.25, 0.5, 0.5)
}
`, "model").show(1440, 900)
	x.do(chromedp.Click(chromedp.CSS("#run")))
	x.until("document.querySelectorAll('.steps img').length >= 3 && document.querySelector('.stage .badge')")
	x.shot("running")
	x.until("document.querySelectorAll('.steps img').length == 6")
	x.until("document.querySelector('.plan b')?.textContent.startsWith('Nothing to do')")
	x.do(chromedp.Evaluate[chromedp.Void]("document.querySelector('.steps li:nth-child(3) button').focus()"))
	x.until("document.querySelector('.stage .badge')?.textContent == 'Step 3 of 6, a preview'")
	x.shot("steps")
}
