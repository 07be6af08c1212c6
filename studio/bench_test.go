package studio_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/eligen/eligen"
)

// crowd is a scene of n entities.
func crowd(n int) string {
	var b strings.Builder
	b.WriteString("render \"crowd\" {\n  prompt = \"a crowd\"\n  size   = [512, 512]\n}\n")
	for i := range n {
		fmt.Fprintf(&b, "\nentity \"e%d\" {\n  prompt = \"a duck\"\n  box    = xywh(%.3f, %.3f, 0.125, 0.125)\n}\n",
			i, float64(i%14)/16, float64(i/14)/16)
	}
	return b.String()
}

// BenchmarkStudio prints medians: how long a page takes to its first paint and to its first regions, a frame of
// a drag, and an edit until it is on disk and until it is planned.
func BenchmarkStudio(b *testing.B) {
	for _, n := range []int{50, 200} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			x := open(b, "crowd.hcl", crowd(n)).show(1440, 900)
			x.until(fmt.Sprintf("document.querySelectorAll('.region').length == %d", n))
			b.ReportMetric(evalBench[float64](b, x, "performance.getEntriesByName('first-contentful-paint')[0].startTime"), "paint-ms")
			b.ReportMetric(evalBench[float64](b, x, "performance.getEntriesByType('resource').filter(e => /studio\\.(js|css)$/.test(e.name))"+
				".reduce((sum, e) => sum + e.encodedBodySize, 0) / 1000"), "bundle-kB")
			x.measure(b)
		})
	}
}

// measure drags and edits.
func (x *tab) measure(b *testing.B) {
	var frames, disk, answered, plan []float64
	for n := range b.N {
		frames = append(frames, evalBench[[]float64](b, x, `new Promise(done => {
			const bed = document.querySelector('.bed'), box = document.querySelector('.stage').getBoundingClientRect(), list = [];
			const at = k => ({bubbles: true, pointerId: 1, button: 0, clientX: box.x + box.width * (0.03 + k), clientY: box.y + box.height * 0.03});
			bed.setPointerCapture = () => {};
			bed.dispatchEvent(new PointerEvent('pointerdown', at(0)));
			let i = 0, last = performance.now();
			const step = now => {
				if (i++ > 0) list.push(now - last);
				last = now;
				if (i > 60) { bed.dispatchEvent(new PointerEvent('pointercancel', at(0))); return done(list) }
				bed.dispatchEvent(new PointerEvent('pointermove', at(i / 200)));
				requestAnimationFrame(step);
			};
			requestAnimationFrame(step);
		})`)...)
		for i := range 10 {
			began := evalBench[float64](b, x, fmt.Sprintf(`(async began => { await fetch('/api/edit', {method: 'POST',
				headers: {'Content-Type': 'application/json'}, body: JSON.stringify({kind: 'change', name: 'n%d',
				changes: [{kind: 'numbers', block: 'entity.e0', attribute: 'box', numbers: ['0.%d', '', '', '']}]})}); return began })(Date.now())`,
				i, 10+(i+10*n)%80))
			answered = append(answered, float64(time.Now().UnixMicro())/1000-began)
			f, err := os.Stat(x.file)
			if err != nil {
				b.Fatal(err)
			}
			disk = append(disk, float64(f.ModTime().UnixMicro())/1000-began)
			evalBench[bool](b, x, `new Promise(done => { const look = () =>
				document.querySelector('.plan') && !document.querySelector('.plan.dimmed') ? done(true) : setTimeout(look, 1); look() })`)
			plan = append(plan, float64(time.Now().UnixMicro())/1000-began)
		}
	}
	b.ReportMetric(median(frames), "frame-ms")
	b.ReportMetric(median(disk), "edit-to-disk-ms")
	b.ReportMetric(median(answered), "edit-to-answer-ms")
	b.ReportMetric(median(plan), "edit-to-plan-ms")
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func evalBench[T any](b *testing.B, x *tab, expression string) T {
	b.Helper()
	out, err := chromedp.Run(x.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// BenchmarkPreview prints the median time from the end of a step, as the run's journal has it, until the page shows
// where it leads: nano denoises meanwhile. Both clocks are this machine's.
func BenchmarkPreview(b *testing.B) {
	x := openWith(b, "rain.hcl", "render \"rain\" {\n  prompt = \"a frog\"\n\n  sampler {\n    steps = 12\n  }\n}\n", "model").show(1440, 900)
	var late []float64
	for n := range b.N {
		if n > 0 {
			text := strings.Replace(x.text(), "a frog", "a frog "+strings.Repeat("!", n), 1)
			if err := os.WriteFile(x.file, []byte(text), 0o644); err != nil {
				b.Fatal(err)
			}
			x.until("document.querySelector('.plan b')?.textContent != 'Nothing to do: the picture is up to date'")
		}
		x.do(chromedp.Evaluate[chromedp.Void](`window.seen = {};
			(window.watching ??= new MutationObserver(() => {
				const i = document.querySelector('.stage > img'), step = /^Preview of step (\d+)/.exec(i?.alt ?? '')?.[1];
				if (step && !seen[step]) i.decode().then(() => requestAnimationFrame(() => { seen[step] ??= Date.now() }), () => {});
			})).observe(document.body, {subtree: true, childList: true, attributes: true})`))
		x.click("#run")
		x.made()
		seen := evalBench[map[string]float64](b, x, "seen")
		for step, at := range x.steps() {
			if shown, ok := seen[strconv.Itoa(step)]; ok {
				late = append(late, shown-at)
			}
		}
	}
	if len(late) == 0 {
		b.Fatal("no step was shown")
	}
	b.ReportMetric(median(late), "step-to-preview-ms")
	b.ReportMetric(float64(len(late))/float64(b.N), "shown")
}

// steps returns when each step of the last run's denoising was over, in milliseconds since 1970.
func (x *tab) steps() map[int]float64 {
	x.t.Helper()
	runs, err := filepath.Glob(filepath.Join(x.folder, "store", "runs", "*.jsonl"))
	if err != nil || len(runs) == 0 {
		x.t.Fatal("no journal", err)
	}
	slices.Sort(runs)
	data, err := os.ReadFile(runs[len(runs)-1])
	if err != nil {
		x.t.Fatal(err)
	}
	out := map[int]float64{}
	for line := range bytes.Lines(data) {
		var e eligen.Event
		if json.Unmarshal(line, &e) == nil && e.Type == eligen.Stepped && strings.HasPrefix(e.Kind, "denoise") {
			out[e.Step] = float64(e.Time.UnixMicro()) / 1000
		}
	}
	return out
}
