package layered_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/store/file"
	"github.com/eligen/eligen/store/layered"
	"github.com/eligen/eligen/store/memory"
	"github.com/eligen/eligen/store/remote"
	"github.com/eligen/eligen/store/storetest"
)

func folder(t *testing.T) *file.Store {
	t.Helper()
	s, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestContract: a store with a cache behind it is a store. Damage is done to this machine's results,
// and the cache, which is read-only here and empty, must not hide it.
func TestContract(t *testing.T) {
	storetest.Run(t, storetest.Subject{Holds: true, Open: func(t *testing.T) storetest.Opened {
		near := folder(t)
		return storetest.Opened{
			Store: layered.New(near, memory.New(), true),
			Again: func(*testing.T) runtime.Store { return layered.New(near, memory.New(), true) },
			Damage: func(t *testing.T, key eligen.Digest, change func([]byte) []byte) {
				t.Helper()
				info, err := near.Stat(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				data, err := os.ReadFile(info.Path)
				if err != nil {
					t.Fatal(err)
				}
				head := len(data) - int(info.Size)
				if err := os.WriteFile(info.Path, append(slices.Clone(data[:head]), change(data[head:])...), 0o600); err != nil {
					t.Fatal(err)
				}
			},
		}
	}})
}

// Two machines share a real server: the second one takes what the first has made, and holds it.
func TestTwoMachines(t *testing.T) {
	address, files := storetest.Nginx(t)
	machine := func() (*layered.Store, *file.Store) {
		far, err := remote.New(address, remote.Options{})
		if err != nil {
			t.Fatal(err)
		}
		near := folder(t)
		return layered.New(near, far, false), near
	}
	ctx, key := t.Context(), storetest.Key("frame")
	content := []byte(strings.Repeat("a frame ", 100_000))
	first, _ := machine()
	if _, err := runtime.Put(ctx, first, key, content); err != nil {
		t.Fatal(err)
	}
	if problems := first.Flush(ctx); len(problems) > 0 {
		t.Fatal(problems)
	}
	second, near := machine()
	got, err := runtime.Get(ctx, second, key)
	if err != nil || string(got.Data) != string(content) {
		t.Fatalf("the second machine has %d bytes, %v", len(got.Data), err)
	}
	if _, err := near.Stat(ctx, key); err != nil {
		t.Errorf("the second machine doesn't keep it: %v", err)
	}

	// A wrong byte on the server is a miss, which is reported; what the third machine makes
	// then takes its place.
	cas, err := filepath.Glob(filepath.Join(files, "cas", "*"))
	if err != nil || len(cas) != 1 {
		t.Fatal(cas, err)
	}
	data, err := os.ReadFile(cas[0])
	if err != nil {
		t.Fatal(err)
	}
	data[500_000] ^= 1
	if err := os.WriteFile(cas[0], data, 0o666); err != nil {
		t.Fatal(err)
	}
	third, _ := machine()
	if _, err := runtime.Get(ctx, third, key); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a wrong byte: %v", err)
	}
	if _, err := runtime.Put(ctx, third, key, content); err != nil {
		t.Fatal(err)
	}
	if problems := third.Flush(ctx); len(problems) != 1 || !errors.Is(problems[0], runtime.ErrCorrupt) {
		t.Errorf("reported %v, want the damage", problems)
	}
	fourth, _ := machine()
	if got, err := runtime.Get(ctx, fourth, key); err != nil || string(got.Data) != string(content) {
		t.Errorf("after it was made again: %d bytes, %v", len(got.Data), err)
	}
}

// A cache that is dead is reported once, and the run goes on.
func TestDeadCache(t *testing.T) {
	far := &failing{Store: memory.New(), err: errors.New("connection refused")}
	s := layered.New(folder(t), far, false)
	ctx := t.Context()
	for _, name := range []string{"a", "b", "c"} {
		if _, err := runtime.Get(ctx, s, storetest.Key(name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := runtime.Put(ctx, s, storetest.Key(name), []byte(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if problems := s.Flush(ctx); len(problems) != 1 || !strings.Contains(problems[0].Error(), "connection refused") {
		t.Errorf("reported %v, want one", problems)
	}
	far.err = nil // a later run uploads what this machine has
	for _, name := range []string{"a", "b", "c"} {
		s.Touch(ctx, storetest.Key(name))
	}
	if problems := s.Flush(ctx); len(problems) > 0 {
		t.Error(problems)
	}
	if _, err := far.Stat(ctx, storetest.Key("c")); err != nil {
		t.Errorf("the cache lacks it afterwards: %v", err)
	}
}

// A read-only cache gives, and gets nothing.
func TestReadOnly(t *testing.T) {
	far := memory.New()
	s := layered.New(folder(t), far, true)
	ctx := t.Context()
	if _, err := runtime.Put(ctx, far, storetest.Key("theirs"), []byte("theirs")); err != nil {
		t.Fatal(err)
	}
	if got, err := runtime.Get(ctx, s, storetest.Key("theirs")); err != nil || string(got.Data) != "theirs" {
		t.Errorf("%q, %v", got.Data, err)
	}
	if _, err := runtime.Put(ctx, s, storetest.Key("ours"), []byte("ours")); err != nil {
		t.Fatal(err)
	}
	s.Flush(ctx)
	if _, err := far.Stat(ctx, storetest.Key("ours")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cache has ours: %v", err)
	}
}

// failing is a cache that fails while err is set.
type failing struct {
	runtime.Store
	err error
}

func (f *failing) Stat(ctx context.Context, key eligen.Digest) (runtime.Info, error) {
	if f.err != nil {
		return runtime.Info{}, f.err
	}
	return f.Store.Stat(ctx, key)
}

func (f *failing) Open(ctx context.Context, key eligen.Digest) (runtime.Reader, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.Store.Open(ctx, key)
}

func (f *failing) Create(ctx context.Context, key eligen.Digest) (runtime.Writer, error) {
	if f.err != nil {
		return nil, f.err
	}
	return f.Store.Create(ctx, key)
}

// crowd is a cache that answers nobody before several ask.
type crowd struct {
	runtime.Store
	mu       sync.Mutex
	asking   int
	together chan struct{}
}

func (c *crowd) wait(wanted int) {
	c.mu.Lock()
	if c.asking++; c.asking == wanted {
		close(c.together)
	}
	c.mu.Unlock()
	<-c.together
}

func (c *crowd) Stat(ctx context.Context, key eligen.Digest) (runtime.Info, error) {
	c.wait(10)
	return c.Store.Stat(ctx, key)
}

func (c *crowd) Open(ctx context.Context, key eligen.Digest) (runtime.Reader, error) {
	c.wait(10)
	return c.Store.Open(ctx, key)
}

// TestGather: a cache is asked for many results at a time. What it has comes here, or is only looked for.
func TestGather(t *testing.T) {
	far := &crowd{Store: memory.New(), together: make(chan struct{})}
	var keys []eligen.Digest
	for i := range 10 {
		keys = append(keys, storetest.Key(strconv.Itoa(i)))
		if i%2 == 0 {
			if _, err := runtime.Put(t.Context(), far.Store, keys[i], []byte("words")); err != nil {
				t.Fatal(err)
			}
		}
	}
	near := folder(t)
	s := layered.New(near, far, false)
	odd := func(lacks map[eligen.Digest]bool) bool {
		for i, key := range keys {
			if lacks[key] != (i%2 == 1) {
				return false
			}
		}
		return len(lacks) == 5
	}
	if lacks := s.Lacks(t.Context(), keys); !odd(lacks) {
		t.Errorf("lacks %v", lacks)
	}
	if _, err := near.Stat(t.Context(), keys[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a look has brought a result: %v", err)
	}
	far.asking, far.together = 0, make(chan struct{})
	if lacks := s.Gather(t.Context(), keys); !odd(lacks) {
		t.Errorf("gathered, lacks %v", lacks)
	}
	for i, key := range keys {
		if _, err := runtime.Verify(t.Context(), near, key); (err == nil) != (i%2 == 0) {
			t.Errorf("result %d: %v", i, err)
		}
	}
}
