//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/store/storetest"
)

// walking is a clip of which each frame is another picture, and takes a while on the engine paint: of %[1]d
// frames, of %[2]d steps, %[3]d pixels wide.
const walking = `
render "walk" {
  prompt   = "a dog"
  size     = [%[3]d, 64]
  timeline = timeline.walk

  sampler {
    steps = %[2]d
  }

  output {
    path = "out/walk.gif"
  }
}

entity "dog" {
  prompt = "a dog"
  box    = xywh(0, 0.25, 0.5, 0.5)
}

timeline "walk" {
  frames = %[1]d
  fps    = 12

  track {
    target = entity.dog.box
    keys = [
      { at = 0, value = xywh(0, 0.25, 0.5, 0.5) },
      { at = %[1]d - 1, value = xywh(0.5, 0.25, 0.5, 0.5) },
    ]
  }
}
`

// A farmyard is a queue, workers and a scene, all of them processes, in a folder of a test's.
type farmyard struct {
	t      *testing.T
	dir    string
	listen string
	url    string // for workers and apply
	flags  []string
	queue  *exec.Cmd

	mu      sync.Mutex
	workers map[string]*exec.Cmd
	logs    map[string]*bytes.Buffer
}

func newFarmyard(t *testing.T, frames, steps int, flags ...string) *farmyard {
	t.Helper()
	f := &farmyard{t: t, dir: t.TempDir(), listen: "127.0.0.1:0", flags: flags}
	f.workers, f.logs = map[string]*exec.Cmd{}, map[string]*bytes.Buffer{}
	if err := os.WriteFile(filepath.Join(f.dir, "walk.hcl"), fmt.Appendf(nil, walking, frames, steps, 32*frames), 0o600); err != nil {
		t.Fatal(err)
	}
	f.startQueue()
	t.Cleanup(func() {
		f.mu.Lock()
		for _, c := range f.workers {
			_ = c.Process.Signal(syscall.SIGCONT)
			_ = c.Process.Kill()
		}
		f.mu.Unlock()
		f.stopQueue(syscall.SIGTERM)
		if t.Failed() {
			for name, log := range f.logs {
				t.Logf("%s:\n%s", name, log)
			}
		}
	})
	return f
}

// command returns eligen with a cache of its own.
func (f *farmyard) command(cache string, args ...string) *exec.Cmd {
	c := exec.Command("eligen", args...)
	c.Dir = f.dir
	c.Env = append(os.Environ(), "ELIGEN_CACHE_DIR="+filepath.Join(f.dir, cache), "NO_COLOR=1", "ELIGEN_QUEUE=", "ELIGEN_CACHE=")
	return c
}

// startQueue starts the server, the second time where it was before.
func (f *farmyard) startQueue() {
	f.t.Helper()
	f.queue = f.command("queue", append([]string{"queue", "start", "--listen", f.listen, "--patience", "1s"}, f.flags...)...)
	line, _ := startQueue(f.t, f.queue)
	u, err := url.Parse(line)
	if err != nil {
		f.t.Fatal(err)
	}
	if f.listen = u.Host; f.url == "" {
		f.url = u.String()
	}
}

// startQueue starts a server's command, and returns its address and what stops it.
func startQueue(t testing.TB, c *exec.Cmd) (url string, stop func()) {
	t.Helper()
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal("the queue doesn't start: ", err)
	}
	return strings.TrimSpace(line), func() { _ = c.Process.Signal(syscall.SIGTERM); _ = c.Wait() }
}

func (f *farmyard) stopQueue(s syscall.Signal) {
	_ = f.queue.Process.Signal(s)
	_ = f.queue.Wait() // it was told to end
}

// work starts a worker.
func (f *farmyard) work(name string, args ...string) *exec.Cmd {
	f.t.Helper()
	c := f.command(name, append([]string{"worker", "--engine", "paint", "--name", name, "--queue", f.url}, args...)...)
	f.run(name, c)
	return c
}

// run starts a worker's command.
func (f *farmyard) run(name string, c *exec.Cmd) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.logs[name] == nil {
		f.logs[name] = &bytes.Buffer{}
	}
	c.Stderr = f.logs[name]
	if err := c.Start(); err != nil {
		f.t.Fatal(err)
	}
	go func() { _ = c.Wait() }()
	f.workers[name] = c
}

// signal sends a worker a signal.
func (f *farmyard) signal(name string, s syscall.Signal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.workers[name].Process.Signal(s) // it may have ended
}

// applying is an eligen apply that goes on.
type applying struct {
	f      *farmyard
	c      *exec.Cmd
	out    string
	stderr bytes.Buffer
	p      eligen.Progress
	begun  map[string]string // stages that a worker began, and which
	starts int               // of workers
	steps  int               // of denoising
	events *bufio.Scanner
}

// apply starts eligen apply on the queue.
func (f *farmyard) apply(cache string, args ...string) *applying {
	f.t.Helper()
	a := &applying{f: f, out: filepath.Join(f.dir, cache+"-out"), begun: map[string]string{}}
	a.c = f.command(cache, append([]string{"apply", "walk.hcl", "--engine", "paint", "--json", "--queue", f.url, "--out", a.out}, args...)...)
	a.c.Stderr = &a.stderr
	pipe, err := a.c.StdoutPipe()
	if err == nil {
		err = a.c.Start()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	a.events = bufio.NewScanner(pipe)
	a.events.Buffer(nil, 64<<20)
	return a
}

// until reads events until one is wanted, or there are no more.
func (a *applying) until(wanted func(e eligen.Event) bool) bool {
	a.f.t.Helper()
	for a.events.Scan() {
		var e eligen.Event
		if err := json.Unmarshal(a.events.Bytes(), &e); err != nil {
			a.f.t.Fatal(err)
		}
		a.p.Add(e)
		if e.Type == eligen.Stepped && strings.HasSuffix(e.Stage, ".denoise") {
			a.steps++
		}
		if e.Type == eligen.Started && e.Worker != "" {
			a.begun[e.Stage] = e.Worker
			a.starts++
		}
		if wanted != nil && wanted(e) {
			return true
		}
	}
	return false
}

// stepped reports a step of denoising that a worker makes.
func (a *applying) stepped(e eligen.Event) bool {
	return e.Type == eligen.Stepped && strings.HasSuffix(e.Stage, ".denoise") && e.Step >= 3
}

// clip waits for the end, and returns the clip.
func (a *applying) clip() []byte {
	a.f.t.Helper()
	a.until(nil)
	if err := a.c.Wait(); err != nil {
		a.f.t.Fatalf("apply: %v\n%s\n%v", err, a.stderr.String(), a.p.Reports)
	}
	data, err := os.ReadFile(filepath.Join(a.out, "out", "walk.gif"))
	if err != nil {
		a.f.t.Fatal(err)
	}
	return data
}

// check holds the clip to the one that one machine makes alone.
func (a *applying) check() {
	a.f.t.Helper()
	if got := a.clip(); !bytes.Equal(got, a.f.alone()) {
		a.f.t.Error("the clip is another than that of one machine")
	}
}

var aloneMade sync.Map // clips, by their scenes' text

// alone returns the clip that one machine makes.
func (f *farmyard) alone() []byte {
	f.t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, "walk.hcl"))
	if err != nil {
		f.t.Fatal(err)
	}
	if made, ok := aloneMade.Load(string(text)); ok {
		return made.([]byte)
	}
	out := filepath.Join(f.dir, "alone-out")
	if said, err := f.command("alone", "apply", "walk.hcl", "--engine", "paint", "--out", out).CombinedOutput(); err != nil {
		f.t.Fatalf("%v\n%s", err, said)
	}
	data, err := os.ReadFile(filepath.Join(out, "out", "walk.gif"))
	if err != nil {
		f.t.Fatal(err)
	}
	aloneMade.Store(string(text), data)
	return data
}

// A gate is a proxy that can be shut: what it has open breaks without a word, and what comes waits.
type gate struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	shut  bool
	conns map[net.Conn]bool
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: l, to: to, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); g.set(true) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go g.pass(c)
		}
	}()
	return g
}

// pass copies between two connections.
func (g *gate) pass(c net.Conn) {
	defer c.Close()
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut {
		return
	}
	to, err := net.Dial("tcp", g.to)
	if err != nil {
		return
	}
	defer to.Close()
	g.mu.Lock()
	g.conns[c], g.conns[to] = true, true
	g.mu.Unlock()
	ended := make(chan bool, 2)
	carry := func(from, to net.Conn) {
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if err != nil {
				break
			}
			if _, err := to.Write(buf[:n]); err != nil {
				break
			}
		}
		ended <- true
	}
	go carry(c, to)
	go carry(to, c)
	<-ended
	g.mu.Lock()
	delete(g.conns, c)
	delete(g.conns, to)
	g.mu.Unlock()
}

// set shuts or opens the gate.
func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	for c := range g.conns {
		if shut {
			c.Close()
		}
	}
}

// TestFarmFaults is the table of what can go wrong on a farm. Whatever it is, the clip has the bytes of one
// that is made on one machine.
func TestFarmFaults(t *testing.T) {
	const frames, steps = 6, 60
	for _, c := range []struct {
		name string
		test func(t *testing.T, f *farmyard)
	}{
		{"a worker is killed in a stage", func(_ *testing.T, f *farmyard) {
			f.work("anvil")
			f.work("bellows")
			a := f.apply("front")
			a.until(a.stepped)
			for _, worker := range a.begun {
				f.signal(worker, syscall.SIGKILL)
				break
			}
			a.check()
		}},
		{"a worker is killed before it has stored a picture", func(_ *testing.T, f *farmyard) {
			f.work("anvil")
			f.work("bellows")
			a := f.apply("front")
			a.until(func(e eligen.Event) bool {
				if e.Type == eligen.Started && strings.HasSuffix(e.Stage, ".decode") {
					f.signal(e.Worker, syscall.SIGKILL)
					return true
				}
				return false
			})
			a.check()
		}},
		{"a worker is killed far into a stage, and another one resumes", func(t *testing.T, _ *farmyard) {
			const long = 1000 // partial results are uploaded beside the work: some have to be there half way
			f := newFarmyard(t, 2, long)
			f.work("anvil")
			a := f.apply("front")
			stage := ""
			a.until(func(e eligen.Event) bool {
				if e.Type == eligen.Stepped && strings.HasSuffix(e.Stage, ".denoise") && e.Step > long/2 {
					stage = e.Stage
				}
				return stage != ""
			})
			f.signal("anvil", syscall.SIGKILL)
			f.work("bellows")
			first, again := 0, false
			a.until(func(e eligen.Event) bool {
				again = again || e.Type == eligen.Started && e.Stage == stage && e.Worker == "bellows"
				if again && e.Type == eligen.Stepped && e.Stage == stage {
					first = e.Step
				}
				return first > 0
			})
			a.check()
			if again && first < long/8 {
				t.Errorf("bellows begins with step %d", first)
			}
		}},
		{"all workers are killed, and others come", func(_ *testing.T, f *farmyard) {
			f.work("anvil")
			f.work("bellows")
			a := f.apply("front")
			a.until(a.stepped)
			f.signal("anvil", syscall.SIGKILL)
			f.signal("bellows", syscall.SIGKILL)
			f.work("chisel")
			a.check()
		}},
		{"a worker hangs, and is overtaken", func(_ *testing.T, f *farmyard) {
			f.work("anvil")
			a := f.apply("front")
			a.until(a.stepped)
			f.signal("anvil", syscall.SIGSTOP)
			f.work("bellows")
			a.until(func(e eligen.Event) bool { return e.Type == eligen.Started && e.Worker == "bellows" })
			f.signal("anvil", syscall.SIGCONT) // it goes on with what is another's by now
			a.check()
		}},
		{"a worker drains, and the second signal interrupts it", func(t *testing.T, f *farmyard) {
			anvil := f.work("anvil")
			a := f.apply("front")
			a.until(a.stepped)
			f.signal("anvil", syscall.SIGTERM)
			f.work("bellows")
			a.until(func(e eligen.Event) bool { return e.Type == eligen.Started && e.Worker == "bellows" })
			f.signal("anvil", syscall.SIGTERM)
			a.check()
			for i := 0; anvil.ProcessState == nil && i < 100; i++ {
				time.Sleep(20 * time.Millisecond)
			}
			if log := f.log("anvil"); !strings.Contains(log, "drained") {
				t.Errorf("anvil says:\n%s", log)
			}
		}},
		{"the server is killed, and comes back", func(t *testing.T, f *farmyard) {
			f.work("anvil")
			f.work("bellows")
			a := f.apply("front")
			a.until(a.stepped)
			f.stopQueue(syscall.SIGKILL)
			f.startQueue()
			a.check()
		}},
		{"the server loses everything", func(t *testing.T, f *farmyard) {
			f.work("anvil")
			f.work("bellows")
			a := f.apply("front")
			a.until(a.stepped)
			f.stopQueue(syscall.SIGKILL)
			if err := os.RemoveAll(filepath.Join(f.dir, "queue")); err != nil {
				t.Fatal(err)
			}
			f.startQueue()
			a.check()
		}},
		{"the network between a worker and the queue is cut", func(_ *testing.T, f *farmyard) {
			g := newGate(f.t, f.listen)
			own := f.url
			f.url = "nats://" + g.listener.Addr().String()
			f.work("anvil")
			f.url = own
			a := f.apply("front")
			a.until(a.stepped)
			g.set(true)
			f.work("bellows")
			a.until(func(e eligen.Event) bool { return e.Type == eligen.Done && e.Worker == "bellows" })
			g.set(false)
			a.check()
		}},
		{"the network between apply and the queue is cut", func(_ *testing.T, f *farmyard) {
			f.work("anvil")
			g := newGate(f.t, f.listen)
			f.url = "nats://" + g.listener.Addr().String()
			a := f.apply("front")
			a.until(a.stepped)
			g.set(true)
			time.AfterFunc(1500*time.Millisecond, func() { g.set(false) })
			a.check()
		}},
		{"the applying side is killed, and started again", func(t *testing.T, f *farmyard) {
			f.work("anvil")
			a := f.apply("front")
			a.until(func(e eligen.Event) bool { return e.Type == eligen.Done && strings.HasSuffix(e.Stage, ".decode") })
			_ = a.c.Process.Kill()
			_ = a.c.Wait() // it was killed
			again := f.apply("front")
			again.check()
			if n := again.p.Counts(); n[eligen.Cached] == 0 {
				t.Errorf("nothing was there: %v", n)
			}
		}},
		{"two apply one clip at the same time", func(t *testing.T, f *farmyard) {
			f.work("anvil")
			f.work("bellows")
			a, b := f.apply("front"), f.apply("other")
			var both sync.WaitGroup
			both.Go(func() { b.until(nil) })
			a.check()
			both.Wait()
			b.check()
			stages := len(a.p.Stages)
			if made := a.starts + b.starts; made > stages+4 {
				t.Errorf("%d stages of %d were begun", made, stages)
			}
		}},
		{"the cache is down for a while", func(t *testing.T, f *farmyard) {
			address, _ := storetest.Nginx(t)
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			g := newGate(t, u.Host)
			u.Host = g.listener.Addr().String()
			f.work("anvil", "--cache", u.String())
			a := f.apply("front", "--cache", u.String())
			a.until(a.stepped)
			g.set(true)
			time.AfterFunc(1500*time.Millisecond, func() { g.set(false) })
			a.check()
		}},
		{"a worker without the cache takes nothing, and says so", func(t *testing.T, f *farmyard) {
			address, _ := storetest.Nginx(t)
			f.work("anvil")
			a := f.apply("front", "--cache", address)
			f.await("anvil", "pass the same --cache to worker and apply")
			f.work("bellows", "--cache", address)
			a.check()
			for stage, worker := range a.begun {
				if worker != "bellows" {
					t.Errorf("%s was made by %s", stage, worker)
				}
			}
		}},
		{"a worker with another engine takes nothing, and is named", func(t *testing.T, f *farmyard) {
			c := f.command("anvil", "worker", "--backend", "go", "--name", "anvil", "--queue", f.url)
			f.run("anvil", c)
			f.await("anvil", "takes from the queue")
			a := f.apply("front")
			a.until(func(e eligen.Event) bool { return e.Problem != nil && e.Problem.Code == "E0932" })
			f.work("bellows")
			a.check()
			r := a.p.Reports
			if len(r) == 0 || !strings.Contains(r[0].Detail, "anvil runs the engine eligen ") || !strings.Contains(r[0].Detail, "needs paint/") {
				t.Errorf("reports %v", r)
			}
		}},
		{"a stage that workers die of is set aside", func(t *testing.T, f *farmyard) {
			f.work("anvil")
			f.work("bellows")
			f.work("chisel")
			f.work("drill")
			a := f.apply("front")
			killed := map[string]bool{}
			a.until(func(e eligen.Event) bool {
				if e.Type == eligen.Started && e.Stage == "render.walk.frame[1].denoise" && len(killed) < 3 {
					f.signal(e.Worker, syscall.SIGKILL)
					killed[e.Worker] = true
				}
				return false
			})
			_ = a.c.Wait()
			s := a.p.Stage("render.walk.frame[1].decode")
			if s == nil || s.Problem == nil || s.Problem.Code != "E0933" {
				t.Fatalf("it ends as %+v", s)
			}
			for name := range killed {
				if !strings.Contains(s.Problem.Detail, name) {
					t.Errorf("%s isn't named in %q", name, s.Problem.Detail)
				}
			}
			if n := a.p.Counts(); n[eligen.Done] < 10 {
				t.Errorf("of the rest, %v", n)
			}
			listed, err := f.command("front", "queue", "list", "--queue", f.url).CombinedOutput()
			if err != nil || !strings.Contains(string(listed), "Set aside:") || !strings.Contains(string(listed), "3 workers died") {
				t.Errorf("%v\n%s", err, listed)
			}
			f.apply("front").check() // the next run tries again
		}},
		{"a worker's disk is full", fullWorker},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			c.test(t, newFarmyard(t, frames, steps))
			t.Logf("%.1f s", time.Since(began).Seconds())
		})
	}
}

// log returns what a worker has said.
func (f *farmyard) log(name string) string {
	data, err := f.command("front", "version").CombinedOutput() // a moment, in which pipes are read
	if err != nil {
		f.t.Fatalf("%v\n%s", err, data)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.logs[name].String()
}

// await waits until a worker says something.
func (f *farmyard) await(name, what string) {
	f.t.Helper()
	for range 200 {
		if strings.Contains(f.log(name), what) {
			return
		}
	}
	f.t.Fatalf("%s doesn't say %q, but:\n%s", name, what, f.log(name))
}

// TestFarmKills kills workers at random moments while three of them make a clip, and starts others in their
// place. ELIGEN_KILLS says how often: `ELIGEN_KILLS=200 go test ./cmd/eligen -run TestFarmKills -v`.
func TestFarmKills(t *testing.T) {
	kills, frames, steps := 10, 8, 100
	if n, err := strconv.Atoi(os.Getenv("ELIGEN_KILLS")); err == nil {
		kills, frames, steps = n, 48, 600
	}
	f := newFarmyard(t, frames, steps, "--tries", "1000")
	names := []string{"anvil", "bellows", "chisel"}
	for _, n := range names {
		f.work(n)
	}
	a := f.apply("front")
	began := time.Now()
	random := rand.New(rand.NewPCG(uint64(kills), 1))
	over, done := make(chan bool), make(chan int)
	go func() {
		n := 0
		for n < kills {
			select {
			case <-over:
				done <- n
				return
			case <-time.After(time.Duration(20+random.IntN(280)) * time.Millisecond):
			}
			name := names[random.IntN(len(names))]
			f.signal(name, syscall.SIGKILL)
			f.work(name)
			n++
		}
		done <- n
	}()
	a.until(a.stepped)
	a.check()
	close(over)
	killed := <-done
	stages := len(a.begun)
	t.Logf("%d frames, %d kills, %.0f s: the same bytes. Workers began %d stages %d times, and made %d steps of %d: %.0f %% waste",
		frames, killed, time.Since(began).Seconds(), stages, a.starts, a.steps, frames*steps, 100*(float64(a.steps)/float64(frames*steps)-1))
	if killed == 0 {
		t.Error("nobody was killed")
	}
	if n := a.p.Counts(); n[eligen.Failed]+n[eligen.Skipped] > 0 {
		t.Errorf("stages were lost: %v", n)
	}
}
