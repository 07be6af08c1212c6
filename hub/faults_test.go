package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/hub/hubtest"
	"github.com/eligen/eligen/internal/files"
)

// The table of faults: each row is a way in which a hub, the network or the disk fails, and what must come of it.
// What holds of all of them: a file has its name with the right content or not at all, and what has arrived is
// not fetched again.

// left checks that the cache holds no wrong content under a good name.
func left(t *testing.T, c *Client) (wrong int) {
	t.Helper()
	_ = filepath.WalkDir(c.cacheOf(Repo{Name: "lab/tiny"}).blobs(), func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(p, partialEnd) {
			return nil
		}
		f := File{Name: d.Name()}
		if len(d.Name()) == 64 {
			f.SHA256 = eligen.Digest(d.Name())
		} else {
			f.SHA1 = d.Name()
			if fi, err := d.Info(); err == nil {
				f.Size = fi.Size()
			}
		}
		if got, ok, err := f.check(p); !ok {
			wrong++
			t.Errorf("%s is %s, %v", p, got, err)
		}
		return nil
	})
	return wrong
}

// once is a fault that spoils the first answer with a body that a test picks out, and lets all others be.
func once(s *hubtest.Server, pick func(*http.Request, bool) bool, spoil func(http.ResponseWriter) http.ResponseWriter) {
	var done atomic.Bool
	s.Fault = func(w http.ResponseWriter, r *http.Request, cdn bool) bool {
		if r.Method != http.MethodGet || !pick(r, cdn) || done.Swap(true) {
			return false
		}
		s.Answer(spoil(w), r, cdn)
		return true
	}
}

func isBytes(r *http.Request, cdn bool) bool {
	return cdn || strings.Contains(r.URL.Path, "/resolve-cache/")
}

// A connection that breaks after any byte of a file is taken up again there: by the same pull, and, where the
// hub is gone for good, by the next one.
func TestCutAtEveryByte(t *testing.T) {
	m := model()
	cuts, wrong, again := 0, 0, int64(0)
	for _, name := range []string{"vae/weights é%20.bin", "vae/config.json"} { // at the CDN, and in git
		size := len(m.Files[name])
		for n := range size + 1 {
			s, c := start(t, m)
			once(s, isBytes, func(w http.ResponseWriter) http.ResponseWriter { return hubtest.Cut(w, n) })
			got, err := pull(t, c, name)
			if err != nil || got.Network != int64(size) {
				t.Errorf("%s cut after %d bytes: %d fetched, %v", name, n, got.Network, err)
			}
			holds(t, m, got.Paths)
			wrong += left(t, c)

			s.Close()
			s, c2 := hubtest.New(m), client(t, s)
			c2.Endpoint = s.URL
			s.Fault = func(w http.ResponseWriter, r *http.Request, cdn bool) bool {
				if r.Method == http.MethodGet && isBytes(r, cdn) {
					if r.Header.Get("Range") == "" {
						s.Answer(hubtest.Cut(w, n), r, cdn)
					} else {
						w.WriteHeader(http.StatusBadGateway)
					}
					return true
				}
				return false
			}
			if _, err := pull(t, c2, name); err == nil && n < size {
				t.Errorf("%s cut after %d bytes for ever: no error", name, n)
			}
			wrong += left(t, c2)
			s.Fault = nil
			got, err = pull(t, c2, name)
			if err != nil || got.Network != int64(size-n) {
				t.Errorf("%s after %d bytes: the next pull fetched %d of %d, %v", name, n, got.Network, size-n, err)
			}
			again += got.Network - int64(size-n)
			holds(t, m, got.Paths)
			s.Close()
			cuts += 2
		}
	}
	t.Logf("%d cuts tried, %d wrong contents found, %d bytes fetched twice", cuts, wrong, again)
}

// So it is with each part of a large file.
func TestCutParts(t *testing.T) {
	m := model()
	cuts, wrong := 0, 0
	for n := 0; n <= 512; n += 16 {
		s, c := start(t, m)
		var mu sync.Mutex
		seen := map[string]bool{}
		s.Fault = func(w http.ResponseWriter, r *http.Request, cdn bool) bool {
			from, _, _ := strings.Cut(r.Header.Get("Range"), "-")
			mu.Lock()
			first := cdn && !seen[from]
			seen[from] = true
			mu.Unlock()
			if first {
				s.Answer(hubtest.Cut(w, n), r, cdn)
			}
			return first
		}
		got, err := pull(t, c, "flux1-tiny.safetensors")
		if n == 0 {
			if err == nil || left(t, c) > 0 { // no byte ever comes
				holds(t, m, got.Paths)
			}
		} else if err != nil || got.Network != 5000 {
			t.Errorf("cut after %d bytes: %d fetched, %v", n, got.Network, err)
		}
		if err == nil {
			holds(t, m, got.Paths)
		}
		wrong += left(t, c)
		cuts += len(seen)
		s.Close()
	}
	t.Logf("%d cuts tried, %d wrong contents found", cuts, wrong)
}

// A byte that comes wrong, any byte, is found; and nothing of the file is kept.
func TestWrongBytes(t *testing.T) {
	m := model()
	tried, found := 0, 0
	for _, name := range []string{"vae/weights é%20.bin", "vae/config.json", "flux1-tiny.safetensors"} {
		step := max(1, len(m.Files[name])/100)
		for n := 0; n < len(m.Files[name]); n += step {
			s, c := start(t, m)
			s.Fault = func(w http.ResponseWriter, r *http.Request, cdn bool) bool {
				if r.Method != http.MethodGet || !isBytes(r, cdn) {
					return false
				}
				at := n
				var from, to int
				if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err == nil {
					if at -= from; n > to || n < from {
						return false
					}
				}
				s.Answer(hubtest.Flip(w, at), r, cdn)
				return true
			}
			_, err := pull(t, c, name)
			var wrong *DigestError
			if tried++; errors.As(err, &wrong) {
				found++
			} else {
				t.Errorf("%s, byte %d: %v", name, n, err)
			}
			if kept, _ := os.ReadDir(c.cacheOf(Repo{Name: "lab/tiny"}).blobs()); len(kept) > 0 {
				t.Errorf("%s, byte %d: %v is kept", name, n, kept)
			}
			s.Close()
		}
	}
	t.Logf("%d wrong bytes tried, %d found", tried, found)
}

// A fault is one row of TestFaults: the hub fails so, and a pull of a file ends so.
type fault struct {
	name  string
	file  string // "" is a large one
	fault func(s *hubtest.Server) func(http.ResponseWriter, *http.Request, bool) bool
	err   string // "" is success
	waits []time.Duration
}

// times answers the first n requests that pick takes by itself.
func times(n int, pick func(*http.Request, bool) bool, answer func(http.ResponseWriter, *http.Request)) func(
	*hubtest.Server) func(http.ResponseWriter, *http.Request, bool) bool {
	return func(*hubtest.Server) func(http.ResponseWriter, *http.Request, bool) bool {
		var count atomic.Int32
		return func(w http.ResponseWriter, r *http.Request, cdn bool) bool {
			if !pick(r, cdn) || int(count.Add(1)) > n {
				return false
			}
			answer(w, r)
			return true
		}
	}
}

func status(code int, header ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func isAPI(r *http.Request, cdn bool) bool  { return !cdn && strings.Contains(r.URL.Path, "/revision/") }
func isTree(r *http.Request, cdn bool) bool { return !cdn && strings.Contains(r.URL.Path, "/tree/") }
func isHead(r *http.Request, cdn bool) bool { return !cdn && r.Method == http.MethodHead }
func isCDN(_ *http.Request, cdn bool) bool  { return cdn }

var faults = []fault{
	{name: "the hub is overloaded", fault: times(3, isAPI, status(503))},
	{name: "the listing fails", fault: times(3, isTree, status(500))},
	{name: "resolving fails", fault: times(3, isHead, status(504))},
	{name: "the CDN fails", fault: times(3, isCDN, status(502))},
	{name: "the CDN is slow to answer", fault: times(2, isCDN, status(408))},
	{name: "the hub is down", fault: times(99, isAPI, status(503)), err: "answered 503 Service Unavailable"},
	{name: "too many requests, seconds", fault: times(1, isAPI, status(429, "Retry-After", "17")), waits: []time.Duration{17 * time.Second}},
	{name: "too many requests, a limit", fault: times(1, isHead, status(429, "RateLimit", `"resolvers";r=0;t=42`)),
		waits: []time.Duration{42 * time.Second}},
	{name: "too many requests, an hour", fault: times(1, isAPI, status(429, "Retry-After", "3600")),
		err: "asks to wait 1h0m0s. Run the same command again then; it resumes"},
	{name: "too many requests at the CDN", fault: times(2, isCDN, status(429, "Retry-After", "1")),
		waits: []time.Duration{time.Second, time.Second}},
	{name: "the hub's page is no hub's", fault: times(1, isAPI, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<html>Welcome to our Wi-Fi</html>")
	}), err: "answered with something else than a hub does"},
	{name: "the listing is no listing", fault: times(1, isTree, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[{") }),
		err: "something else than a list of files"},
	{name: "the signature ends to be valid", fault: func(s *hubtest.Server) func(http.ResponseWriter, *http.Request, bool) bool {
		var n atomic.Int32
		return func(_ http.ResponseWriter, _ *http.Request, cdn bool) bool {
			if cdn && n.Add(1) == 4 {
				s.Expire()
			}
			return false
		}
	}},
	{name: "the CDN ignores ranges", fault: func(s *hubtest.Server) func(http.ResponseWriter, *http.Request, bool) bool {
		s.NoRanges = true
		return nil
	}},
	{name: "the CDN sends another range", fault: times(2, isCDN, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 100-611/5000")
		w.WriteHeader(206)
		_, _ = w.Write(make([]byte, 512))
	})},
	{name: "the CDN has another file", fault: times(99, isCDN, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-511/6000")
		w.WriteHeader(206)
		_, _ = w.Write(make([]byte, 512))
	}), err: "was asked for the bytes from 0 of 5000 on"},
	{name: "the CDN has a shorter file", fault: times(99, isCDN, status(416)), err: "has a shorter file than the listing says"},
	{name: "the CDN has a longer file", file: "vae/weights é%20.bin", fault: times(99, isCDN, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 121))
	}), err: "sent more than the 120 bytes of the file"},
	{name: "a mirror is out of step", fault: times(9, isHead, status(200, "X-Linked-Etag", `"`+strings.Repeat("ab", 32)+`"`)),
		err: "lists the file with the digest"},
	{name: "a mirror has another commit", fault: times(9, isHead, status(200, "X-Repo-Commit", strings.Repeat("ab", 20))),
		err: "gives the file of commit"},
	{name: "redirects without end", fault: times(99, isHead, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Path)
		w.WriteHeader(302)
	}), err: "more than ten redirects"},
	{name: "a redirect to nowhere", fault: times(99, isHead, status(302)), err: "redirects to no address"},
	{name: "a redirect to a file", fault: times(99, isHead, status(302, "Location", "file:///etc/passwd")), err: "which is not https"},
	{name: "the file vanished", fault: times(9, isHead, status(404, "X-Error-Code", "EntryNotFound")), err: "has no file"},
	{name: "the list goes on elsewhere", fault: times(1, isTree, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", `<https://evil.example/tree?cursor=1>; rel="next"`)
		fmt.Fprint(w, "[]")
	}), err: "continues its list of files on another server"},
	{name: "the list goes round", fault: times(9, isTree, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", `<`+r.URL.String()+`>; rel="next"`)
		fmt.Fprint(w, "[]")
	}), err: "lists the same page of files for ever"},
}

func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(strings.ReplaceAll(f.name, " ", "-"), func(t *testing.T) {
			m := model()
			s, c := start(t, m)
			s.Fault = f.fault(s)
			var mu sync.Mutex
			var waits []time.Duration
			c.Sleep = func(ctx context.Context, d time.Duration) error {
				mu.Lock()
				defer mu.Unlock()
				waits = append(waits, d)
				return ctx.Err()
			}
			name := first(f.file, "flux1-tiny.safetensors")
			got, err := pull(t, c, name)
			switch {
			case f.err == "" && err != nil, f.err != "" && (err == nil || !strings.Contains(err.Error(), f.err)):
				t.Errorf("it ends with %v; want %q", err, f.err)
			case f.err == "":
				holds(t, m, got.Paths)
			}
			if f.waits != nil && !slices.Equal(waits, f.waits) {
				t.Errorf("it waited %v, want %v", waits, f.waits)
			}
			for _, q := range s.Requests() {
				if q.CDN && q.Authorization != "" {
					t.Error("the CDN got the token")
				}
			}
			left(t, c)
		})
	}
	t.Logf("%d faults", len(faults))
}

// An earlier download may have left anything behind: what is wrong of it costs a second try, and nothing more.
func TestResumeOfSomethingElse(t *testing.T) {
	m := model()
	for name, leftover := range map[string][]byte{
		"another file's bytes": noise(9, 80), "more than the file has": noise(9, 700), "a whole wrong file": noise(9, 120), "nothing": {},
	} {
		_, c := start(t, m)
		file := "vae/weights é%20.bin"
		blobs := c.cacheOf(Repo{Name: m.Name}).blobs()
		if err := os.MkdirAll(blobs, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(blobs, hubtest.SHA256(m.Files[file])+partialEnd), leftover, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := pull(t, c, file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		holds(t, m, got.Paths)
		left(t, c)
	}
}

// A branch that moved on between two tries is another content, which the bytes of the old one don't spoil.
func TestBranchMoves(t *testing.T) {
	m := model()
	s, c := start(t, m)
	s.Fault = func(w http.ResponseWriter, r *http.Request, cdn bool) bool {
		if cdn && r.Header.Get("Range") != "" {
			w.WriteHeader(http.StatusBadGateway)
		} else if cdn {
			s.Answer(hubtest.Cut(w, 100), r, cdn)
		}
		return cdn
	}
	file := "vae/weights é%20.bin"
	if _, err := pull(t, c, file); err == nil {
		t.Fatal("the hub fails, and no error")
	}
	s.Fault = nil
	m.Files[file], m.Commit = noise(77, 120), strings.Repeat("98765432", 5)
	got, err := pull(t, c, file)
	if err != nil || got.Network != 120 {
		t.Errorf("%d bytes, %v", got.Network, err)
	}
	holds(t, m, got.Paths)
	if ref := c.cacheOf(Repo{Name: m.Name}).commit("main"); ref != m.Commit {
		t.Errorf("main is %s", ref)
	}
}

// Each operation on the disk fails in turn. Nothing wrong is kept, and the next pull succeeds.
func TestDiskFails(t *testing.T) {
	m := model()
	failed := errors.New("no space left on device")
	n, failures := 0, 0
	for ; ; n++ {
		s, c := start(t, m)
		count := 0
		var mu sync.Mutex
		files.SetFault(func(string, string) error {
			mu.Lock()
			defer mu.Unlock()
			if count++; count == n+1 {
				return failed
			}
			return nil
		})
		_, err := pull(t, c, "flux1-tiny.safetensors", "vae/config.json")
		files.SetFault(nil)
		if count <= n {
			s.Close()
			break
		}
		if err != nil {
			failures++
		}
		left(t, c)
		got, err := pull(t, c, "flux1-tiny.safetensors", "vae/config.json")
		if err != nil {
			t.Errorf("after operation %d failed: %v", n, err)
		}
		holds(t, m, got.Paths)
		left(t, c)
		s.Close()
	}
	if failures < 10 {
		t.Errorf("only %d operations of %d were seen to fail", failures, n)
	}
	t.Logf("%d operations failed in turn, %d were reported, none left a wrong content", n, failures)
}

// Names that lead out of a folder, here or on another system, are refused before anything is fetched.
func TestNames(t *testing.T) {
	for _, name := range []string{
		"../up", "a/../../up", "/etc/passwd", `..\up`, `a/b\..\..\..\up`, `C:\windows`, "C:x", "a/c:/x", `\\host\share`, `a/\x`, "a//b",
		"./a", "a/.", "", "a\nb", "a\x00b", "a/", strings.Repeat("n", 300), "~/../../x/..",
	} {
		if checkName(name) == nil {
			t.Errorf("%q is taken for a name", name)
		}
		m := model()
		m.Files[name] = []byte("x")
		_, c := start(t, m)
		if _, err := c.Info(t.Context(), Repo{Name: m.Name}, ""); err == nil {
			t.Errorf("a listing with %q is taken", name)
		}
		if _, err := os.Stat(filepath.Join(c.Cache, "models--lab--tiny")); err == nil {
			t.Errorf("%q: something was written", name)
		}
		if _, err := c.Locate(Repo{Name: m.Name}, "", name); err == nil {
			t.Errorf("%q is looked for", name)
		}
	}
	for _, name := range []string{"a", ".gitattributes", "a b/ü.bin", "~x", "a..b", "..a", "steps:100.png"} {
		if err := checkName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// A repository of very many files is listed page by page.
func TestHugeList(t *testing.T) {
	m := model()
	for i := range 12_345 {
		m.Files[fmt.Sprintf("shards/%05d.txt", i)] = []byte("x")
	}
	s, c := start(t, m)
	i, err := c.Info(t.Context(), Repo{Name: m.Name}, "")
	if err != nil || len(i.Files) != len(m.Files) {
		t.Fatalf("%v", err)
	}
	if n := len(s.Requests()); n != 14 {
		t.Errorf("%d requests", n)
	}
	got, err := c.Pull(t.Context(), Pull{Info: i, Files: []string{"shards/00042.txt"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	holds(t, m, got.Paths)
	if l := c.cacheOf(Repo{Name: m.Name}).listing(m.Commit); len(l) != len(m.Files) {
		t.Errorf("the cache lists %d files", len(l))
	}
}

// A pull that is cancelled ends at once, and the next one goes on where it was.
func TestCancel(t *testing.T) {
	m := model()
	s, c := start(t, m)
	ctx, cancel := context.WithCancel(t.Context())
	i, err := c.Info(ctx, Repo{Name: m.Name}, "")
	if err != nil {
		t.Fatal(err)
	}
	s.Fault = func(w http.ResponseWriter, r *http.Request, cdn bool) bool {
		if !cdn {
			return false
		}
		w.Header().Set("Content-Length", "120")
		_, _ = w.Write(m.Files["vae/weights é%20.bin"][:100])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return true
	}
	_, err = c.Pull(ctx, Pull{Info: i, Files: []string{"vae/weights é%20.bin"}}, func(p Progress) {
		if p.Done > 0 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
	s.Fault = nil
	got, err := pull(t, c, "vae/weights é%20.bin")
	if err != nil || got.Network > 119 {
		t.Errorf("the next pull fetched %d bytes, %v", got.Network, err)
	}
	holds(t, m, got.Paths)
}

// A server that falls silent is left, and asked again.
func TestSilence(t *testing.T) {
	m := model()
	s, c := start(t, m)
	c.Stall = 250 * time.Millisecond
	var n atomic.Int32
	s.Fault = func(w http.ResponseWriter, r *http.Request, cdn bool) bool {
		if !cdn || n.Add(1) > 2 {
			return false
		}
		<-r.Context().Done()
		return true
	}
	got, err := pull(t, c, "flux1-tiny.safetensors")
	if err != nil {
		t.Error(err)
	}
	holds(t, m, got.Paths)
}

// Several pulls of one file at a time fetch it once.
func TestTogether(t *testing.T) {
	m := model()
	s, c := start(t, m)
	others := []*Client{c}
	for range 3 {
		o := client(t, s)
		o.Cache = c.Cache
		others = append(others, o)
	}
	var group sync.WaitGroup
	var sent atomic.Int64
	for _, o := range others {
		group.Go(func() {
			got, err := pull(t, o, "flux1-tiny.safetensors", "vae/config.json")
			if err != nil {
				t.Error(err)
			}
			sent.Add(got.Network)
			holds(t, m, got.Paths)
		})
	}
	group.Wait()
	if want := int64(5000 + len(m.Files["vae/config.json"])); sent.Load() != want {
		t.Errorf("%d bytes were fetched, want %d", sent.Load(), want)
	}
	left(t, c)
}
