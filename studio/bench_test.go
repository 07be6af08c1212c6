package studio_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
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
			x.measure(b)
		})
	}
}

// measure drags and edits.
func (x *tab) measure(b *testing.B) {
	var frames, disk, plan []float64
	for range b.N {
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
			began := time.Now()
			evalBench[float64](b, x, fmt.Sprintf(`fetch('/api/edit', {method: 'POST', headers: {'Content-Type': 'application/json'},
				body: JSON.stringify(
				{kind: 'change', name: 'n%d',
				changes: [{kind: 'numbers', block: 'entity.e0', attribute: 'box', numbers: ['0.%d', '', '', '']}]})}).then(r => r.status)`, i, 10+i))
			disk = append(disk, float64(time.Since(began).Microseconds())/1000)
			evalBench[bool](b, x, `new Promise(done => { const look = () =>
				document.querySelector('.plan') && !document.querySelector('.plan.dimmed') ? done(true) : setTimeout(look, 1); look() })`)
			plan = append(plan, float64(time.Since(began).Microseconds())/1000)
		}
	}
	b.ReportMetric(median(frames), "frame-ms")
	b.ReportMetric(median(disk), "edit-to-disk-ms")
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
