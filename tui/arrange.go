package tui

// A panes divides a terminal: the canvas at the left, the entities and stages at the right,
// below them the timeline and the log.
type panes struct {
	canvasWidth, side int // columns; one lies between them
	main              int // rows of the canvas and of the panes at its right
	entities          int // rows of main; below them are the stages
	timeline, log     int // rows
	logTitle          bool
	logBeside         bool // in place of the stages
}

// The smallest terminal that is divided. A smaller one shows the run without a canvas.
const (
	leastWidth  = 40
	leastHeight = 12
)

// arrange divides a terminal. aspect is the canvas's width by its height, entities the
// number of entities, run whether there are stages, tracks the number of the timeline's
// tracks (-1: no timeline).
func arrange(width, height int, aspect float64, entities int, run bool, tracks int) panes {
	p := panes{log: 1}
	body := height - 2 // a line at the top, one of keys at the bottom
	if height >= 16 {
		p.log, p.logTitle = min(8, height/8)+1, true
	}
	// Without stages, the log takes their room.
	beside := !run && width >= 72 && height >= 16
	if beside {
		p.log, p.logBeside = 0, true
	}
	if tracks >= 0 {
		p.timeline = min(2+2*tracks, max(3, height/4))
	}
	p.main = body - p.log - p.timeline
	// As wide as the canvas at full height, if that leaves room for the lists.
	least := max(20, width/3)
	switch {
	case width >= 100:
		least = max(44, least)
	case beside:
		least = max(40, least)
	}
	p.canvasWidth = max(8, min(int(float64(2*p.main)*aspect+0.5), width-1-least))
	p.side = width - 1 - p.canvasWidth
	p.entities = min(entities+2, max(3, p.main*11/20))
	switch {
	case entities == 0:
		p.entities = min(4, p.main/3) // of the prompt
	case !run && !beside:
		p.entities = p.main
	}
	return p
}
