package main

// A measurement is one contender's part in a comparison.
type measurement struct {
	*contender
	ms         samples
	once       float64
	losses     samples
	base, peak int64
	velocity   []float32
	problem    string // why it has no times
}

func (m *measurement) ours() bool { return m.Backend != "" }

// compare has all contenders open a job and then take turns. check, which may be nil, is
// called in between and excludes contenders. A contender that can't do the job has a
// problem, and the others continue: an error is only ctx's.
func (b *bench) compare(
	rounds int, job func(c *contender) (r request, whyNot string), check func([]*measurement),
) ([]*measurement, error) {
	var all []*measurement
	workers := map[*measurement]*worker{}
	defer func() {
		for _, w := range workers {
			w.stop()
		}
	}()
	for _, c := range b.all {
		m := &measurement{contender: c}
		all = append(all, m)
		r, why := job(c)
		if c.Missing != "" {
			why = notInstalled
		}
		if m.problem = why; why != "" {
			continue
		}
		w, err := c.start(b.ctx)
		if err != nil {
			m.problem = firstLine(err)
			continue
		}
		workers[m] = w
		m.open(w, r)
	}
	if check != nil {
		check(all)
	}
	for range rounds {
		for _, m := range all {
			if m.problem == "" {
				m.run(workers[m])
			}
		}
	}
	for _, m := range all {
		if m.problem == "" {
			a, err := workers[m].ask(request{Do: "close"})
			if err != nil {
				m.problem = firstLine(err)
			}
			m.peak = a.Peak
		}
	}
	return all, b.ctx.Err()
}

// open has a worker open a job, and keeps its answer.
func (m *measurement) open(w *worker, r request) {
	a, err := w.ask(r)
	if err == nil && r.Job == "step" {
		m.velocity, err = readFloats(r.Output)
	}
	if err != nil {
		m.problem = firstLine(err)
	}
	m.once, m.base = a.Once, a.Base
	if r.Job == "train" {
		m.losses = append(m.losses, a.Loss)
	}
}

// run has a worker do its job once.
func (m *measurement) run(w *worker) {
	a, err := w.ask(request{Do: "run"})
	if err != nil {
		m.problem = firstLine(err)
		return
	}
	m.ms = append(m.ms, a.MS)
	if m.losses != nil {
		m.losses = append(m.losses, a.Loss)
	}
}

// pairs returns the contenders to compare: eligen's engines with all others, then with one
// another.
func (b *bench) pairs() (list [][2]*contender) {
	var own []*contender
	for _, c := range b.all {
		if c.Backend != "" {
			own = append(own, c)
		}
	}
	for _, c := range own {
		for _, other := range b.all {
			if other.Backend == "" {
				list = append(list, [2]*contender{other, c})
			}
		}
	}
	for i, c := range own {
		for _, other := range own[i+1:] {
			list = append(list, [2]*contender{c, other})
		}
	}
	return list
}
