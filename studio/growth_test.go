package studio_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eligen/eligen/studio"
)

// moved is a scene whose only region is moved before each run, so that every run makes something.
const moved = `render "rain" {
  prompt = "a frog in a meadow"
  size   = [%d, %d]

  sampler {
    steps = 2
  }
}

entity "frog" {
  prompt = "a frog"
  box    = xywh(0.1, 0.1, 0.5, 0.5)
}
`

// A visitor is a page without a browser: it follows the events, edits, runs, and reads what a page reads.
type visitor struct {
	t      testing.TB
	http   *http.Client
	home   string
	events *bufio.Scanner
}

// visit opens a page by its address.
func visit(t testing.TB, address string) *visitor {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	v := &visitor{t: t, home: "http://" + u.Host, http: &http.Client{Jar: jar, Transport: transport}}
	t.Cleanup(transport.CloseIdleConnections)
	v.read(strings.TrimPrefix(address, v.home))
	res, err := v.http.Get(v.home + "/api/events")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	v.events = bufio.NewScanner(res.Body)
	v.events.Buffer(nil, 16<<20)
	return v
}

func (v *visitor) read(path string) []byte {
	v.t.Helper()
	res, err := v.http.Get(v.home + path)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		v.t.Fatalf("%s: %s %v", path, res.Status, err)
	}
	return data
}

func (v *visitor) post(path, body string, into any) {
	v.t.Helper()
	req, err := http.NewRequest(http.MethodPost, v.home+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header.Set("Origin", v.home)
	req.Header.Set("Content-Type", "application/json")
	res, err := v.http.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode < 300 {
		err = json.Unmarshal(data, into)
	}
	if err != nil || res.StatusCode >= 300 {
		v.t.Fatalf("%s: %s %v %s", path, res.Status, err, data)
	}
}

// until follows the events up to one that holds.
func (v *visitor) until(name string, holds func(data []byte) bool) {
	v.t.Helper()
	at := ""
	for v.events.Scan() {
		if word, ok := strings.CutPrefix(v.events.Text(), "event: "); ok {
			at = word
		}
		if data, ok := strings.CutPrefix(v.events.Text(), "data: "); ok && at == name && holds([]byte(data)) {
			return
		}
	}
	v.t.Fatalf("the events have ended, %v", v.events.Err())
}

// run moves the frog and renders it, the nth time, and looks at the steps, the picture and the history.
func (v *visitor) run(n int) {
	v.t.Helper()
	var edited studio.Answer
	v.post("/api/edit", fmt.Sprintf(`{"kind": "change", "name": "move %d", "changes": [
		{"kind": "numbers", "block": "entity.frog", "attribute": "box", "numbers": ["%.4f", "", "", ""]}]}`, n, 0.1001+float64(n)/1000), &edited)
	version := edited.State.Version
	var run studio.RunState
	v.post("/api/run", `{"do": "start"}`, &run)
	v.until("run", func(data []byte) bool {
		run = studio.RunState{}
		if err := json.Unmarshal(data, &run); err != nil {
			v.t.Fatal(err)
		}
		return run.Version == version && !run.Running
	})
	if len(run.Problems) > 0 {
		v.t.Fatal(run.Problems)
	}
	for _, p := range run.Previews {
		v.read(p.URL)
	}
	var plan studio.PlanState
	v.until("plan", func(data []byte) bool {
		plan = studio.PlanState{}
		if err := json.Unmarshal(data, &plan); err != nil {
			v.t.Fatal(err)
		}
		return plan.Version == version && plan.Missing == 0 && len(plan.Pictures) == 1
	})
	for _, p := range plan.Pictures {
		v.read(p.URL)
	}
	v.read("/api/runs")
}

// openFiles counts the process's open files and connections, -1 where the system doesn't tell.
func openFiles(process string) int {
	list, err := os.ReadDir("/proc/" + process + "/fd")
	if err != nil {
		return -1
	}
	return len(list)
}

// TestGrowth: of a run that is over, the server keeps no more than its picture's name and the text to undo to.
func TestGrowth(t *testing.T) {
	x := open(t, "rain.hcl", fmt.Sprintf(moved, 256, 256))
	v := visit(t, x.url)
	// The least of several looks: plans are made in between, and some things end a moment after their run.
	count := func() (heap int64, goroutines, files int) {
		heap, goroutines, files = math.MaxInt64, math.MaxInt, math.MaxInt
		for range 10 {
			time.Sleep(50 * time.Millisecond)
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			heap, goroutines, files = min(heap, int64(m.HeapAlloc)), min(goroutines, runtime.NumGoroutine()), min(files, openFiles("self"))
		}
		return heap, goroutines, files
	}
	const warm, runs = 10, 40
	for n := range warm {
		v.run(n)
	}
	heap, goroutines, files := count()
	for n := range runs {
		v.run(warm + n)
	}
	heap2, goroutines2, files2 := count()
	each := (heap2 - heap) / runs
	t.Logf("heap %d KiB, then %d: %d bytes a run; goroutines %d, then %d; files %d, then %d",
		heap>>10, heap2>>10, each, goroutines, goroutines2, files, files2)
	if each > mostOfARun {
		t.Errorf("a run leaves %d bytes", each)
	}
	if goroutines2 > goroutines || files2 > files {
		t.Errorf("%d goroutines became %d, and %d files %d", goroutines, goroutines2, files, files2)
	}
}

// mostOfARun is how many bytes a run may leave: a text of 200, with what the history knows of the picture.
const mostOfARun = 8 << 10

// A process is eligen as its users run it.
type process struct {
	address string
	pid     string
	mu      sync.Mutex
	heap    int // MB that the latest collections left alive, the least of the last eight
	alive   []int
}

var collected = regexp.MustCompile(`(\d+)->(\d+)->(\d+) MB`)

// serve builds eligen and starts its studio, with the collector's trace.
func serve(b *testing.B, scene, backend string) *process {
	b.Helper()
	program := filepath.Join(b.TempDir(), "eligen")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/eligen").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	c := exec.Command(program, "studio", scene, "--no-browser", "--backend", backend)
	c.Env = append(os.Environ(), "GODEBUG=gctrace=1", "ELIGEN_CACHE_DIR="+b.TempDir())
	stdout, err := c.StdoutPipe()
	stderr, err2 := c.StderrPipe()
	if err := errors.Join(err, err2, c.Start()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt)
		_ = c.Wait()
	})
	p := &process{pid: strconv.Itoa(c.Process.Pid)}
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if m := collected.FindStringSubmatch(lines.Text()); m != nil {
				n, _ := strconv.Atoi(m[3])
				p.mu.Lock()
				p.alive = append(p.alive, n)
				p.alive = p.alive[max(0, len(p.alive)-8):]
				p.heap = slices.Min(p.alive)
				p.mu.Unlock()
			}
		}
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	p.address = strings.TrimSpace(line)
	return p
}

// status returns a number of /proc's status of the process.
func (p *process) status(b *testing.B, name string) float64 {
	b.Helper()
	data, err := os.ReadFile("/proc/" + p.pid + "/status")
	if err != nil {
		b.Skip("the system has no /proc")
	}
	_, rest, _ := strings.Cut(string(data), "\n"+name+":")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		b.Fatal(err)
	}
	return float64(n)
}

// BenchmarkGrowth prints what eligen's own process takes after a tenth, a half and all of its runs, with nano:
// live heap, resident memory that is its own and that of its file, open files and threads. Memory is the least of
// the ten runs before: how much of the garbage is there at a moment is chance. For 200 runs:
//
//	go test ./studio -run '^$' -bench Growth -benchtime 200x
func BenchmarkGrowth(b *testing.B) {
	for _, backend := range []string{"go", "xla:cpu"} {
		b.Run(backend, func(b *testing.B) {
			if backend != "go" && os.Getenv("ELIGEN_PLUGIN_DIR") == "" {
				b.Skip("ELIGEN_PLUGIN_DIR names no folder of plugins")
			}
			scene := filepath.Join(b.TempDir(), "rain.hcl")
			if err := os.WriteFile(scene, []byte(fmt.Sprintf(moved, 128, 128)), 0o600); err != nil {
				b.Fatal(err)
			}
			p := serve(b, scene, backend)
			p.grow(b, visit(b, p.address))
		})
	}
}

// grow runs, and prints what the process takes.
func (p *process) grow(b *testing.B, v *visitor) {
	var own, file []float64
	for n := range b.N {
		v.run(n)
		own, file = append(own, p.status(b, "RssAnon")/1024), append(file, p.status(b, "RssFile")/1024)
		if n+1 != b.N && n+1 != b.N/2 && n+1 != b.N/10 {
			continue
		}
		p.mu.Lock()
		heap := p.heap
		p.mu.Unlock()
		at := fmt.Sprintf("@%d", n+1)
		b.ReportMetric(slices.Min(own[max(0, n-9):]), "MiB-own"+at)
		b.ReportMetric(slices.Min(file[max(0, n-9):]), "MiB-file"+at)
		b.ReportMetric(float64(heap), "MB-heap"+at)
		b.ReportMetric(float64(openFiles(p.pid)), "files"+at)
		b.ReportMetric(p.status(b, "Threads"), "threads"+at)
	}
}
