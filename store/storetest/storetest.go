// Package storetest tests that a store keeps the contract of runtime.Store. Every store's
// tests run it.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
)

// A Subject is a store under test.
type Subject struct {
	// Open opens an empty store.
	Open func(t *testing.T) Opened
	// Holds says that the store holds results in memory: then once.
	Holds bool
	// Allocates says that what passes through it is allocated, once in each direction, as messages of a
	// protocol are, and let go of at once.
	Allocates bool
}

// Opened is an open store.
type Opened struct {
	Store runtime.Store
	// Again opens the store's results once more, as another process would.
	Again func(t *testing.T) runtime.Store
	// Damage changes what is kept of a result's content, where the store keeps it, or
	// leaves it shorter or longer. Stores opened before must notice.
	Damage func(t *testing.T, key eligen.Digest, change func([]byte) []byte)
	// DamagePartial flips a bit of what was saved last. It is nil where that can't be.
	DamagePartial func(t *testing.T, key eligen.Digest)
}

// Run runs the contract. Stores that also keep partial results or have leases are tested
// for that too.
func Run(t *testing.T, s Subject) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Opened)
	}{
		{"Missing", missing},
		{"RoundTrip", roundTrip},
		{"NothingBeforeCommit", nothingBeforeCommit},
		{"Keys", keys},
		{"Damage", damage},
		{"NotDeterministic", notDeterministic},
		{"DamageIsReplaced", damageIsReplaced},
		{"Concurrent", concurrent},
		{"Rivals", rivals},
		{"Touch", func(t *testing.T, o Opened) { o.Store.Touch(t.Context(), Key("nothing")) }},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s.Open(t)) })
	}
	t.Run("Streams", func(t *testing.T) { streams(t, s.Open(t), s.Holds || s.Allocates, s.Allocates) })
	t.Run("Partials", func(t *testing.T) {
		o := s.Open(t)
		p, ok := o.Store.(runtime.Partials)
		if !ok {
			t.Skip("it keeps none")
		}
		partials(t, p)
		if o.DamagePartial != nil {
			damagedPartial(t, p, o.DamagePartial)
		}
	})
	t.Run("Leases", func(t *testing.T) {
		o := s.Open(t)
		if _, ok := o.Store.(runtime.Leaser); !ok {
			t.Skip("it has none")
		}
		Leases(t, func(t *testing.T) runtime.Leaser { return o.Again(t).(runtime.Leaser) })
	})
}

// Key returns a key.
func Key(of string) eligen.Digest { return eligen.DigestOf([]byte(of)) }

func put(t *testing.T, s runtime.Store, key eligen.Digest, content string) {
	t.Helper()
	if _, err := runtime.Put(t.Context(), s, key, []byte(content)); err != nil {
		t.Fatal(err)
	}
}

func wantContent(t *testing.T, s runtime.Store, key eligen.Digest, want string) {
	t.Helper()
	a, err := runtime.Get(t.Context(), s, key)
	if err != nil || string(a.Data) != want || a.Size != int64(len(want)) || a.Digest != key {
		t.Errorf("%s: %d bytes of %q, %v; want %d", key.Short(), a.Size, a.Digest, err, len(want))
	}
}

func wantMissing(t *testing.T, s runtime.Store, key eligen.Digest) {
	t.Helper()
	if _, err := s.Stat(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat(%q): %v", key, err)
	}
	if r, err := s.Open(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open(%q): %v", key, err)
		if err == nil {
			r.Close()
		}
	}
}

func missing(t *testing.T, o Opened) { wantMissing(t, o.Store, Key("nothing")) }

// roundTrip: results of all sizes come back, also by another way into the store, and are
// described as they are.
func roundTrip(t *testing.T, o Opened) {
	for _, n := range []int{0, 1, 511, 512, 513, 64<<10 - 1, 256 << 10, 256<<10 + 1, 3<<20 + 7} {
		content := strings.Repeat("0123456789abcdef!", n/17+1)[:n]
		key := Key(fmt.Sprint("recipe of ", n))
		info, err := runtime.Put(t.Context(), o.Store, key, []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		if want := eligen.DigestOf([]byte(content)); info.Key != key || info.Content != want || info.Size != int64(n) {
			t.Errorf("%d bytes: Commit says %+v", n, info)
		}
		again := o.Again(t)
		wantContent(t, o.Store, key, content)
		wantContent(t, again, key, content)
		if got, err := again.Stat(t.Context(), key); err != nil || got.Content != info.Content || got.Size != info.Size || got.Key != key {
			t.Errorf("%d bytes: Stat says %+v, %v", n, got, err)
		}
		if got, err := runtime.Verify(t.Context(), again, key); err != nil || got.Content != info.Content {
			t.Errorf("%d bytes: Verify says %+v, %v", n, got, err)
		}
		// The same bytes once more are the same result.
		if _, err := runtime.Put(t.Context(), again, key, []byte(content)); err != nil {
			t.Errorf("%d bytes, again: %v", n, err)
		}
	}
	// A reader may be closed before its end.
	r, err := o.Store.Open(t.Context(), Key(fmt.Sprint("recipe of ", 3<<20+7)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// nothingBeforeCommit: nobody sees a result while it is written, nor one that its writer
// has given up.
func nothingBeforeCommit(t *testing.T, o Opened) {
	for _, n := range []int{10, 1 << 20} {
		key := Key(fmt.Sprint("given up ", n))
		w, err := o.Store.Create(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		wantMissing(t, o.Store, key)
		wantMissing(t, o.Again(t), key)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		wantMissing(t, o.Again(t), key)
		if _, err := w.Commit(false); err == nil {
			t.Error("a result was committed after its writer was closed")
		}
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("a closed writer takes bytes")
		}
		if err := w.Close(); err != nil {
			t.Errorf("closed twice: %v", err)
		}
		// What is there stays, where one who would write something else gives up.
		put(t, o.Store, key, "there")
		other, err := o.Store.Create(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Write(make([]byte, n)); err != nil {
			t.Error(err)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
		wantContent(t, o.Again(t), key, "there")
	}
}

// keys: what is no digest is no key, and nothing outside the store can be named.
func keys(t *testing.T, o Opened) {
	for _, key := range []eligen.Digest{
		"", "ab", "../../../etc/passwd", eligen.Digest(strings.Repeat("../", 21) + "x"), eligen.Digest(strings.Repeat("A", 64)),
		eligen.Digest(strings.Repeat("a", 65)), eligen.Digest(strings.Repeat("a", 63) + "/"), eligen.Digest(strings.Repeat("a", 63) + "\x00"),
	} {
		wantMissing(t, o.Store, key)
		o.Store.Touch(t.Context(), key)
		w, err := o.Store.Create(t.Context(), key)
		if err == nil {
			t.Errorf("a result can be written as %q", key)
			w.Close()
		}
	}
}

// read reads a result by small steps, and reports whether it came to a sound end.
func read(ctx context.Context, s runtime.Store, key eligen.Digest) (content []byte, err error) {
	r, err := s.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for buf := make([]byte, 5); ; {
		n, err := r.Read(buf)
		content = append(content, buf[:n]...)
		if errors.Is(err, io.EOF) {
			return content, nil
		}
		if err != nil {
			return content, err
		}
	}
}

// damage: whichever byte of a result is flipped, and wherever it is cut or lengthened, a
// reader never comes to a sound end, and the result is a miss.
func damage(t *testing.T, o Opened) {
	const content = "words that matter"
	changes := map[string]func([]byte) []byte{
		"nothing":       func([]byte) []byte { return nil },
		"one byte more": func(b []byte) []byte { return append(slices.Clone(b), 'x') },
		"twice":         func(b []byte) []byte { return slices.Concat(b, b) },
	}
	for i := range content {
		changes[fmt.Sprint("byte ", i)] = func(b []byte) []byte {
			b = slices.Clone(b)
			b[len(b)-1-i] ^= 0x10
			return b
		}
		changes[fmt.Sprint("cut by ", i+1)] = func(b []byte) []byte { return slices.Clone(b[:len(b)-1-i]) }
	}
	for name, change := range changes {
		key := Key("recipe of " + name)
		put(t, o.Store, key, content)
		o.Damage(t, key, change)
		got, err := read(t.Context(), o.Store, key)
		if !errors.Is(err, runtime.ErrCorrupt) {
			t.Errorf("%s: read %q, %v", name, got, err)
		}
		if _, err := runtime.Get(t.Context(), o.Store, key); !errors.Is(err, runtime.ErrCorrupt) && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the second time: %v", name, err)
		}
		// It is made again.
		put(t, o.Store, key, content)
		wantContent(t, o.Store, key, content)
		wantContent(t, o.Again(t), key, content)
	}
}

// damageIsReplaced: what is damaged and was never read can't keep other bytes out.
func damageIsReplaced(t *testing.T, o Opened) {
	key := Key("damaged")
	put(t, o.Store, key, "old")
	o.Damage(t, key, func(b []byte) []byte { return slices.Concat(b[:len(b)-1], []byte("?")) })
	put(t, o.Again(t), key, "new")
	wantContent(t, o.Store, key, "new")
}

// notDeterministic: a key has one content. The first stays, unless it is replaced.
func notDeterministic(t *testing.T, o Opened) {
	key := Key("recipe")
	put(t, o.Store, key, "first")
	w, err := o.Again(t).Create(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := io.WriteString(w, "second"); err != nil {
		t.Fatal(err)
	}
	old, err := w.Commit(false)
	if !errors.Is(err, runtime.ErrNotDeterministic) || old.Content != eligen.DigestOf([]byte("first")) || old.Size != 5 {
		t.Errorf("other bytes: %+v, %v", old, err)
	}
	wantContent(t, o.Store, key, "first")
	if info, err := w.Commit(true); err != nil || info.Size != 6 {
		t.Errorf("other bytes, on purpose: %+v, %v", info, err)
	}
	wantContent(t, o.Store, key, "second")
	wantContent(t, o.Again(t), key, "second")
}

// concurrent: many write the same result at the same time, while others read it: all end
// well, and nobody sees a part.
func concurrent(t *testing.T, o Opened) {
	content := strings.Repeat("all for one, one for all. ", 40_000) // beyond what is gathered in memory
	key := Key("shared")
	var all sync.WaitGroup
	for i := range 8 {
		s := o.Again(t)
		all.Go(func() {
			if _, err := runtime.Put(t.Context(), s, key, []byte(content)); err != nil {
				t.Errorf("writer %d: %v", i, err)
			}
		})
		all.Go(func() {
			for range 20 {
				a, err := runtime.Get(t.Context(), s, key)
				if err != nil && !errors.Is(err, fs.ErrNotExist) || err == nil && string(a.Data) != content {
					t.Errorf("reader %d: %d bytes, %v", i, a.Size, err)
				}
			}
		})
	}
	all.Wait()
	wantContent(t, o.Store, key, content)
}

// rivals: many write other bytes under one key at the same time. Each is told that it is
// there or that it differs, and what is there is whole, and of one that was told so.
func rivals(t *testing.T, o Opened) {
	const n = 8
	key := Key("fought over")
	var all sync.WaitGroup
	var kept [n]bool
	for i := range n {
		s := o.Again(t)
		all.Go(func() {
			_, err := runtime.Put(t.Context(), s, key, rival(i))
			if kept[i] = err == nil; err != nil && !errors.Is(err, runtime.ErrNotDeterministic) {
				t.Errorf("writer %d: %v", i, err)
			}
		})
	}
	all.Wait()
	a, err := runtime.Get(t.Context(), o.Again(t), key)
	if err != nil || len(a.Data) == 0 {
		t.Fatalf("%d bytes, %v", len(a.Data), err)
	}
	if i := int(a.Data[0] - 'a'); i < 0 || i >= n || !kept[i] || !bytes.Equal(a.Data, rival(i)) {
		t.Errorf("there is what begins with %q; kept %v", a.Data[0], kept)
	}
}

// rival returns what one of the rivals writes.
func rival(i int) []byte { return bytes.Repeat([]byte{'a' + byte(i)}, 400_000+i) }

// streams: a result of 256 MiB goes in and out, and little of it is in memory at any time.
func streams(t *testing.T, o Opened, written, read bool) {
	const size = 256 << 20
	chunk := bytes.Repeat([]byte("sixteen letters."), 4<<10)
	key := Key("large")
	took := allocated(func() {
		w, err := o.Store.Create(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for range size / len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Commit(false); err != nil {
			t.Fatal(err)
		}
	})
	limit := uint64(size / 16)
	if written {
		limit += size
	}
	if took > limit {
		t.Errorf("writing %d MiB took %d MiB of memory, more than %d", size>>20, took>>20, limit>>20)
	}
	wrote := took
	var n int64
	took = allocated(func() {
		r, err := o.Again(t).Open(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if n, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, chunk); err != nil {
			t.Fatal(err)
		}
	})
	limit = uint64(size / 16)
	if read {
		limit += size
	}
	if n != size || took > limit {
		t.Errorf("reading %d of %d MiB took %d MiB of memory, more than %d", n>>20, size>>20, took>>20, limit>>20)
	}
	t.Logf("of %d MiB: %d KiB allocated to write it, %d KiB to read it", size>>20, wrote>>10, took>>10)
}

// allocated returns how many bytes do allocates, in all of the process.
func allocated(do func()) uint64 {
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	do()
	goruntime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func partials(t *testing.T, p runtime.Partials) {
	key := Key("interrupted")
	want := func(content string, step int) {
		t.Helper()
		if got, n, err := p.Partial(t.Context(), key); err != nil || string(got) != content || n != step || (got == nil) != (step == 0) {
			t.Errorf("%q at step %d, %v; want %q at %d", got, n, err, content, step)
		}
	}
	want("", 0)
	for step, content := range []string{"", "one", "", "three"} {
		if step > 0 {
			if err := p.SavePartial(t.Context(), key, []byte(content), step); err != nil {
				t.Fatal(err)
			}
			want(content, step)
		}
	}
	p.DropPartial(t.Context(), key)
	want("", 0)
	p.DropPartial(t.Context(), key) // again does no harm
	for _, c := range []struct {
		key  eligen.Digest
		step int
	}{{key, 0}, {key, -1}, {"../x", 1}, {"", 1}} {
		if err := p.SavePartial(t.Context(), c.key, []byte("x"), c.step); err == nil {
			t.Errorf("step %d of %q is saved", c.step, c.key)
		}
	}
}

// damagedPartial: what was saved and is damaged is an error, once, and gone.
func damagedPartial(t *testing.T, p runtime.Partials, damage func(t *testing.T, key eligen.Digest)) {
	key := Key("interrupted and damaged")
	if err := p.SavePartial(t.Context(), key, []byte("latents"), 7); err != nil {
		t.Fatal(err)
	}
	damage(t, key)
	if got, n, err := p.Partial(t.Context(), key); !errors.Is(err, runtime.ErrCorrupt) || got != nil || n != 0 {
		t.Errorf("%q at step %d, %v", got, n, err)
	}
	if got, n, err := p.Partial(t.Context(), key); err != nil || got != nil || n != 0 {
		t.Errorf("the second time: %q at step %d, %v", got, n, err)
	}
	if err := p.SavePartial(t.Context(), key, []byte("latents"), 8); err != nil {
		t.Fatal(err)
	}
	if got, n, err := p.Partial(t.Context(), key); err != nil || string(got) != "latents" || n != 8 {
		t.Errorf("saved again: %q at step %d, %v", got, n, err)
	}
}
