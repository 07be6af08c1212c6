package planner

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
)

// A stageRow is a stage, or several that differ in a key or a number only, and are all
// in the store or all not.
type stageRow struct {
	name, kind, what string
	cached           bool
	seconds          float64
	sure             bool
}

// stages writes the stages, and how many there are.
func (p *printer) stages() {
	rows := [][]string{{page.Quiet.Of("stage"), page.Quiet.Of("kind"), page.Quiet.Of("what")}}
	columns := []page.Column{{Fit: page.CutLeft}, {}, {Fit: page.Cut}}
	for _, r := range p.stageRows() {
		state, took := page.Quiet.Of("cached"), ""
		if !r.cached {
			state = page.Added.Of("run")
		}
		if !r.cached && r.sure {
			took = "about " + duration(r.seconds)
		}
		rows = append(rows, []string{r.name, page.Quiet.Of(r.kind), short(r.what, 44), state, took})
	}
	if p.view.Width > 0 && p.view.Width < page.Readable && !p.view.Verbose { // its name says the kind
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 1, 2)
		}
		columns = slices.Delete(columns, 1, 2)
	}
	p.b.WriteByte('\n')
	p.table(rows, 0, columns...)
	run, sum, sure := p.toRun()
	fmt.Fprintf(&p.b, "\n%s: %d cached, %d to run%s.\n", counted(len(p.plan.Stages), "stage"), len(p.plan.Stages)-run, run, about(sum, sure))
}

// inBrackets are the keys and numbers in a stage's name, and the seeds of --seed.
var inBrackets = regexp.MustCompile(`\["(?:[^"\\]|\\.)*"\]|\[[0-9]+\]|\.seed-[0-9]+`)

// stageRows returns the rows of the stages.
func (p *printer) stageRows() []stageRow {
	type kind struct {
		name, kind string
		cached     bool
	}
	kindOf := func(s eligen.Stage) kind { return kind{pattern(s.Name), s.Op.Kind(), p.known.cached(s.Digest)} }
	count := map[kind]int{}
	for _, s := range p.plan.Stages {
		count[kindOf(s)]++
	}
	var out []stageRow
	at := map[kind]int{}
	for _, s := range p.plan.Stages {
		k := kindOf(s)
		row := stageRow{name: s.Name, kind: k.kind, what: what(s.Op), cached: k.cached}
		row.seconds, row.sure = p.known.seconds(s)
		if p.view.Verbose || count[k] < many {
			out = append(out, row)
			continue
		}
		i, ok := at[k]
		if !ok {
			at[k] = len(out)
			row.name = k.name
			out = append(out, row)
			continue
		}
		x := &out[i]
		x.what = common(x.what, row.what)
		x.seconds, x.sure = x.seconds+row.seconds, x.sure && row.sure
	}
	for k, i := range at {
		out[i].what = strings.TrimSpace(fmt.Sprintf("%d × %s", count[k], out[i].what))
	}
	return out
}

// pattern returns a stage's name without keys, numbers and seeds.
func pattern(name string) string {
	return inBrackets.ReplaceAllStringFunc(name, func(key string) string {
		if strings.HasPrefix(key, ".") {
			return ".seed-…"
		}
		return "[…]"
	})
}

// common returns the words that two strings begin with.
func common(a, b string) string {
	if a == b {
		return a
	}
	x, y := strings.Fields(a), strings.Fields(b)
	n := 0
	for n < len(x) && n < len(y) && strings.TrimRight(x[n], ",") == strings.TrimRight(y[n], ",") {
		n++
	}
	if n == 0 {
		return ""
	}
	return strings.TrimRight(strings.TrimSuffix(strings.Join(x[:n], " "), " …"), ",") + " …"
}
