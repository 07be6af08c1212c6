package farm

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/eligen/eligen"
)

// A moment is when something happens to a worker of a simulation.
type moment struct {
	at     time.Duration
	worker int
	task   int  // that ends; −1: the worker looks for one
	run    int  // of the task
	dies   bool // before the task ends
}

type moments []moment

func (m moments) Len() int           { return len(m) }
func (m moments) Less(i, j int) bool { return m[i].at < m[j].at }
func (m moments) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *moments) Push(x any)        { *m = append(*m, x.(moment)) }
func (m *moments) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}

// A simulated run is a run of a simulation: costs of its tasks, those that are in the queue, and how many are out.
type simulated struct {
	name     string
	costs    []time.Duration
	next     int   // to be published
	queued   []int // published, and nobody has them
	since    []time.Duration
	out      int
	left     int
	ended    time.Duration
	waited   time.Duration // of tasks in the queue
	priority int
}

// A simulation has workers take tasks by the rules of this package: order, ledger and window.
type simulation struct {
	runs    []*simulated
	workers int
	request time.Duration // that a worker takes between two tasks
	death   float64       // of a worker, a task
	random  *rand.Rand

	busy    []time.Duration
	ledgers []ledger
	idle    []int
	made    int // tasks, those of dead workers included
}

// publish puts tasks into the queue, as many as the window allows.
func (s *simulation) publish(r *simulated, now time.Duration) {
	for r.next < len(r.costs) && r.out < window(s.workers) {
		r.queued, r.since = append(r.queued, r.next), append(r.since, now)
		r.next++
		r.out++
	}
}

// take gives a worker the task that it wants most.
func (s *simulation) take(w int) (run, task int, ok bool) {
	var choices []choice
	for i, r := range s.runs {
		if len(r.queued) > 0 {
			choices = append(choices, choice{run: r.name, class: string(rune('a' + i)), priority: r.priority, spent: s.ledgers[w].of(r.name)})
		}
	}
	if len(choices) == 0 {
		return 0, 0, false
	}
	order(choices)
	for i, r := range s.runs {
		if r.name == choices[0].run {
			task = r.queued[0]
			r.queued = r.queued[1:]
			return i, task, true
		}
	}
	return 0, 0, false
}

// play runs the simulation, and returns when it ends.
func (s *simulation) play(t *testing.T) time.Duration {
	t.Helper()
	s.busy, s.ledgers = make([]time.Duration, s.workers), make([]ledger, s.workers)
	var events moments
	for w := range s.workers {
		s.ledgers[w] = ledger{}
		heap.Push(&events, moment{0, w, -1, 0, false})
	}
	for _, r := range s.runs {
		r.left = len(r.costs)
		s.publish(r, 0)
	}
	var now time.Duration
	for events.Len() > 0 {
		e := heap.Pop(&events).(moment)
		now = e.at
		if e.task >= 0 {
			s.end(e, &events)
		}
		run, task, ok := s.take(e.worker)
		if !ok {
			s.idle = append(s.idle, e.worker)
			continue
		}
		s.begin(now, e.worker, run, task, &events)
		for len(s.idle) > 0 { // those that wait, wait in the queue's own request
			run, task, ok := s.take(s.idle[0])
			if !ok {
				break
			}
			s.begin(now, s.idle[0], run, task, &events)
			s.idle = s.idle[1:]
		}
	}
	for _, r := range s.runs {
		if r.left != 0 {
			t.Errorf("%d tasks of %s are left", r.left, r.name)
		}
	}
	return now
}

func (s *simulation) begin(now time.Duration, w, run, task int, events *moments) {
	r := s.runs[run]
	r.waited += now - r.since[task]
	cost := r.costs[task]
	e := moment{at: now + s.request + cost, worker: w, task: task, run: run}
	if s.random.Float64() < s.death {
		e.dies = true
		e.at = now + time.Duration(s.random.Float64()*float64(cost)) + DefaultPatience // another one has it then
	}
	s.busy[w] += cost
	s.made++
	heap.Push(events, e)
}

// end ends a task. One whose worker has died is in the queue again; another worker has come.
func (s *simulation) end(e moment, _ *moments) {
	r := s.runs[e.run]
	s.ledgers[e.worker].add(r.name, r.costs[e.task])
	if e.dies {
		r.queued = append([]int{e.task}, r.queued...)
		r.since[e.task] = e.at
		return
	}
	r.out--
	r.left--
	r.ended = e.at
	s.publish(r, e.at)
}

// TestSimulation has workers that cost nothing make tasks of given costs, by the rules that real workers go by:
// 100 workers and 10⁴ stages, or with ELIGEN_SIMULATE=1 1,000 workers and 10⁶ stages.
//
// It holds the time of the whole to what an ideal scheduler needs at least, the shares of two runs that wait at the
// same time to one another, and a run of a higher priority to the time that it would take alone.
func TestSimulation(t *testing.T) {
	workers, stages := 100, 10_000
	if os.Getenv("ELIGEN_SIMULATE") != "" {
		workers, stages = 1000, 1_000_000
	}
	const perTask = 3 // denoise, decode, still
	tasks := stages / perTask
	random := rand.New(rand.NewPCG(7, 7))
	costs := func(n int) []time.Duration { // log-normal, of 20 s in the middle
		out := make([]time.Duration, n)
		for i := range out {
			out[i] = time.Duration(20 * math.Exp(random.NormFloat64()/2) * float64(time.Second))
		}
		return out
	}
	sum := func(list ...[]time.Duration) (all, longest time.Duration) {
		for _, costs := range list {
			for _, c := range costs {
				all, longest = all+c, max(longest, c)
			}
		}
		return all, longest
	}
	for _, c := range []struct {
		name   string
		death  float64
		shares []float64 // of the tasks, by run
		first  int       // run of a higher priority, or −1
		most   float64   // times the ideal
	}{
		{"one run", 0, []float64{1}, -1, 1.03},
		{"one worker in a hundred tasks dies", 0.01, []float64{1}, -1, 1.10},
		{"two runs, one of which is small", 0, []float64{0.9, 0.1}, -1, 1.03},
		{"ten runs, one goes first", 0, []float64{0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}, 4, 1.03},
	} {
		began := time.Now()
		s := &simulation{workers: workers, request: 10 * time.Millisecond, death: c.death, random: random}
		var all [][]time.Duration
		for i, share := range c.shares {
			r := &simulated{name: string(rune('a' + i)), costs: costs(int(share * float64(tasks)))}
			if i == c.first {
				r.priority = 1
			}
			s.runs, all = append(s.runs, r), append(all, r.costs)
		}
		took := s.play(t)
		work, longest := sum(all...)
		ideal := max(work/time.Duration(workers), longest)
		ratio := float64(took) / float64(ideal)
		least, most := s.busy[0], s.busy[0]
		waited := time.Duration(0)
		for _, b := range s.busy {
			least, most = min(least, b), max(most, b)
		}
		for _, r := range s.runs {
			waited += r.waited
		}
		t.Logf("%s: %d workers, %d stages in %d tasks: %.2f h, %.4f times the ideal; a worker works %.2f to %.2f h; a task waits %.0f s in the "+
			"queue, of a window of %d; %d tasks made twice; simulated in %.1f s", c.name, workers, stages, tasks, took.Hours(), ratio, least.Hours(),
			most.Hours(), waited.Seconds()/float64(tasks), window(workers), s.made-len64(all), time.Since(began).Seconds())
		if limit := c.most + float64(longest)/float64(ideal); ratio > limit { // the last tasks end when they end
			t.Errorf("%s: %.4f times the ideal, more than %.4f", c.name, ratio, limit)
		}
		if len(c.shares) == 2 { // until the small one ends, each has half of the workers
			small, _ := sum(all[1])
			alone := 2 * small / time.Duration(workers)
			t.Logf("the small run ends after %.2f h; with exactly half of the workers after %.2f h", s.runs[1].ended.Hours(), alone.Hours())
			if r := float64(s.runs[1].ended-longest) / float64(alone); r > 1.1 {
				t.Errorf("the small run takes %.2f of its time", r)
			}
		}
		if c.first >= 0 {
			own, _ := sum(all[c.first])
			t.Logf("the run of a higher priority ends after %.2f h; with all workers after %.2f h", s.runs[c.first].ended.Hours(),
				(own / time.Duration(workers)).Hours())
			if s.runs[c.first].ended > own/time.Duration(workers)*11/10+2*longest {
				t.Errorf("the run of a higher priority ends after %v", s.runs[c.first].ended)
			}
		}
	}
}

// len64 counts costs.
func len64(all [][]time.Duration) (n int) {
	for _, costs := range all {
		n += len(costs)
	}
	return n
}

// TestMessages counts what goes through the server for a stage: messages and bytes, those of results included.
func TestMessages(t *testing.T) {
	s := serve(t)
	q := connect(t, Options{URL: s.URL("")}, Settings{})
	hire(t, q, "anvil")
	p := pictures(t, 24)
	count := func() (messages, bytes int64) {
		v, err := s.Varz(&server.VarzOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return v.InMsgs + v.OutMsgs, v.InBytes + v.OutBytes
	}
	m0, b0 := count()
	if _, err := submit(t, q, p); err != nil {
		t.Fatal(err)
	}
	m1, b1 := count()
	n, steps := 0, 0
	for _, st := range p.Stages {
		if _, ok := st.Op.(eligen.EngineOp); ok {
			n++
		}
	}
	steps = 24 * 4
	t.Logf("%d pictures, %d stages, %d of them on the engine, %d steps: %.1f messages a stage, %.1f KiB a stage", 24, len(p.Stages), n, steps,
		float64(m1-m0)/float64(len(p.Stages)), float64(b1-b0)/1024/float64(len(p.Stages)))
	if per := float64(m1-m0) / float64(len(p.Stages)); per > 60 {
		t.Errorf("%.1f messages a stage", per)
	}
}
