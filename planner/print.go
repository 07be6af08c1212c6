package planner

import (
	"fmt"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
)

// Known is what is known beside a plan. Its zero value is nothing.
type Known struct {
	// Cached says whether a result is there already.
	Cached func(eligen.Digest) bool
	// Seconds is how long a stage of a kind takes for an amount of work, going by
	// earlier runs.
	Seconds func(kind string, work float64) (seconds float64, ok bool)
	// Since is when the scene was last run, and Changes what is different now, in
	// words.
	Since   time.Time
	Changes []string
}

func (k Known) cached(d eligen.Digest) bool { return k.Cached != nil && k.Cached(d) }

// seconds returns how long a stage will take; 0 if it is cached.
func (k Known) seconds(s eligen.Stage) (seconds float64, ok bool) {
	if k.cached(s.Digest) {
		return 0, true
	}
	if k.Seconds == nil {
		return 0, false
	}
	return k.Seconds(s.Op.Kind(), s.Work)
}

// A View is how a plan is laid out.
type View struct {
	Width   int  // of a line, in cells; 0: no limit
	Verbose bool // every render and stage by itself; else what repeats is put together
}

// many is how many renders or stages that differ in a key or a number only are put
// together, and most how many lines are about them.
const (
	many = 5
	most = 24
)

// Print writes a plan for people: in a sentence what is to be made; each render with its
// entities, what it asks of the machine, and its files; what is different from the last
// run; then the stages and whether they have to run. Of several scenes, it writes how many
// stages and files each has.
func Print(p *eligen.Plan, known Known, view View) string {
	out := &printer{plan: p, known: known, view: view, asked: map[string]eligen.PlannedRender{}}
	for _, r := range p.Renders {
		out.asked[r.Address] = r
	}
	out.b.WriteString(page.Title.Of(out.summary()) + "\n")
	out.wrap("", "  ", page.Quiet.Of(fmt.Sprintf("%s on %s", p.Scene, p.Engine)))
	if len(p.Scenes) > 0 {
		out.scenes()
		if view.Verbose {
			out.stages()
		}
		return out.b.String()
	}
	for _, family := range families(renders(p), view.Verbose) {
		if len(family) == 1 {
			out.render(family[0])
		} else {
			out.family(family)
		}
	}
	out.sheets()
	out.changes()
	out.stages()
	return out.b.String()
}

// A printer lays a plan out.
type printer struct {
	b     strings.Builder
	plan  *eligen.Plan
	known Known
	view  View
	asked map[string]eligen.PlannedRender
	fresh map[string]bool // known.Changes, once they were asked for
}

// wrap writes a line, and below it what is too long for it.
func (p *printer) wrap(first, hanging, text string) {
	lines := []string{text}
	if room := p.view.Width - len(hanging); p.view.Width > 0 {
		lines = page.WrapLine(text, max(20, room))
	}
	for i, l := range lines {
		indent := hanging
		if i == 0 {
			indent = first
		}
		p.b.WriteString(indent + l + "\n")
	}
}

// table writes a table, and how many rows were left out.
func (p *printer) table(rows [][]string, left int, columns ...page.Column) {
	p.b.WriteString(page.Table(rows, p.view.Width, columns...))
	if left > 0 {
		p.b.WriteString(page.Quiet.Of(fmt.Sprintf("    … and %d more; --verbose shows all", left)) + "\n")
	}
}

// scenes writes the scenes of a plan of several.
func (p *printer) scenes() {
	files := map[eligen.Ref]int{}
	for _, o := range p.plan.Outputs {
		files[o.Stage]++
	}
	var rows [][]string
	for i, s := range p.plan.Scenes {
		if i == most && !p.view.Verbose {
			break
		}
		run, outputs := 0, 0
		for _, ref := range s.Stages {
			outputs += files[ref]
			if !p.known.cached(p.plan.Stages[ref].Digest) {
				run++
			}
		}
		mark := " "
		if run > 0 {
			mark = page.Added.Of("+")
		}
		toMake := fmt.Sprintf("%d of %s to make", run, counted(len(s.Stages), "stage"))
		rows = append(rows, []string{mark, s.Path, toMake, counted(outputs, "file")})
	}
	p.b.WriteByte('\n')
	p.table(rows, len(p.plan.Scenes)-len(rows), sign, page.Column{Fit: page.CutLeft}, page.Column{}, page.Column{Right: true})
}

// summary writes the plan in a sentence: "1 picture to make, 3 stages in the store, about
// 23 s."
func (p *printer) summary() string {
	made, all := map[string]int{}, map[string]int{}
	names := []string{"picture", "clip", "contact sheet"}
	for _, o := range p.plan.Outputs {
		s := p.plan.Stages[o.Stage]
		kind := names[0]
		if _, ok := clip.ResolvedOf(s.Op); ok {
			kind = names[1]
		} else if _, ok := s.Op.(still.Sheet); ok {
			kind = names[2]
		}
		all[kind]++
		if !p.known.cached(s.Digest) {
			made[kind]++
		}
	}
	var parts []string
	for _, kind := range names {
		switch n := made[kind]; {
		case n == 0:
		case n < all[kind]:
			parts = append(parts, fmt.Sprintf("%d of %s", n, counted(all[kind], kind)))
		default:
			parts = append(parts, counted(n, kind))
		}
	}
	run, sum, sure := p.toRun()
	cached := len(p.plan.Stages) - run
	if run == 0 {
		return fmt.Sprintf("Nothing to make: %s in the store.", counted(cached, "stage"))
	}
	if len(parts) == 0 {
		parts = []string{counted(run, "measurement")}
	}
	text := strings.Join(parts, " and ") + " to make"
	if cached > 0 {
		text += fmt.Sprintf(", %s in the store", counted(cached, "stage"))
	}
	return text + about(sum, sure) + "."
}

// toRun returns how many stages have to run, how long those take that were timed before,
// and whether all of them were.
func (p *printer) toRun() (run int, seconds float64, all bool) {
	all = true
	for _, s := range p.plan.Stages {
		if !p.known.cached(s.Digest) {
			t, ok := p.known.seconds(s)
			run, seconds, all = run+1, seconds+t, all && ok
		}
	}
	return run, seconds, all
}

// changes writes what is different from the last run.
func (p *printer) changes() {
	if p.known.Since.IsZero() {
		return
	}
	fmt.Fprintf(&p.b, "\nsince the run of %s\n", p.known.Since.Local().Format("2006-01-02 15:04"))
	for i, c := range p.known.Changes {
		if i == most && !p.view.Verbose {
			p.b.WriteString(page.Quiet.Of(fmt.Sprintf("    … and %d more; --verbose shows all", len(p.known.Changes)-most)) + "\n")
			break
		}
		mark := page.Changed.Of("~")
		if strings.HasSuffix(c, ": new") {
			mark = page.Added.Of("+")
		} else if strings.HasSuffix(c, ": removed") {
			mark = page.Removed.Of("-")
		}
		p.wrap(mark+" ", "    ", c)
	}
	if len(p.known.Changes) == 0 {
		p.b.WriteString("  nothing has changed\n")
	}
}
