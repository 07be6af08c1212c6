package hub

import (
	"sync"
	"time"
)

// Progress says how far a Pull is.
type Progress struct {
	File     string // whose bytes have arrived last
	FileDone int64
	FileSize int64

	Done, Size int64         // bytes of all files that the pull fetches, those of an earlier run among them
	Rate       float64       // bytes a second, of the last seconds; 0 where there is none yet
	Left       time.Duration // to the end at this rate; -1 where it isn't known
	Waiting    string        // why nothing arrives, and for how long; "" where bytes flow
}

// A meter counts bytes of several files, and reports a few times a second.
type meter struct {
	report func(Progress)
	now    func() time.Time

	mu       sync.Mutex
	p        Progress
	done     map[string]int64
	sizes    map[string]int64
	reported time.Time
	marks    []mark // of the last seconds
	moved    int64  // bytes that came over the network
	again    int64  // bytes that were thrown away, and are fetched twice
}

// A mark is how many bytes had arrived at a time.
type mark struct {
	at    time.Time
	moved int64
}

const (
	reportEvery = 100 * time.Millisecond
	rateOver    = 10 * time.Second
)

func newMeter(report func(Progress), list []File) *meter {
	m := &meter{report: report, now: time.Now, done: map[string]int64{}, sizes: map[string]int64{}}
	for _, f := range list {
		m.sizes[f.Name] = f.Size
		m.p.Size += f.Size
	}
	return m
}

// had counts bytes of a file that an earlier run has fetched.
func (m *meter) had(file string, n int64) { m.add(file, n, false) }

// got counts bytes that have arrived.
func (m *meter) got(file string, n int64) { m.add(file, n, true) }

// lost takes back the bytes of a file, which starts again.
func (m *meter) lost(file string) {
	m.mu.Lock()
	n := m.done[file]
	m.again += n
	m.mu.Unlock()
	m.add(file, -n, false)
}

func (m *meter) add(file string, n int64, network bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done[file] += n
	m.p.Done += n
	m.p.File, m.p.FileDone, m.p.FileSize, m.p.Waiting = file, m.done[file], m.sizes[file], ""
	if network {
		m.moved += n
	}
	now := m.now()
	if now.Sub(m.reported) < reportEvery && m.done[file] < m.sizes[file] {
		return
	}
	m.rate(now)
	m.tell(now)
}

// rate takes the rate of the last seconds.
func (m *meter) rate(now time.Time) {
	m.marks = append(m.marks, mark{now, m.moved})
	for len(m.marks) > 2 && now.Sub(m.marks[1].at) > rateOver {
		m.marks = m.marks[1:]
	}
	m.p.Rate, m.p.Left = 0, -1
	if t := now.Sub(m.marks[0].at).Seconds(); t > 0 {
		m.p.Rate = float64(m.moved-m.marks[0].moved) / t
	}
	if m.p.Rate > 0 {
		m.p.Left = time.Duration(float64(m.p.Size-m.p.Done) / m.p.Rate * float64(time.Second))
	}
}

// wait reports that nothing arrives for a while.
func (m *meter) wait(why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p.Waiting = why
	m.tell(m.now())
}

func (m *meter) tell(now time.Time) {
	m.reported = now
	if m.report != nil {
		m.report(m.p)
	}
}

// network returns how many bytes have come over the network.
func (m *meter) network() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.moved
}
