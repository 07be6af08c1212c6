package runtime

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eligen/eligen"
)

func fill(t *testing.T, contents ...string) (*Store, []eligen.Digest) {
	t.Helper()
	s, err := OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	var keys []eligen.Digest
	for _, c := range contents {
		d := eligen.DigestOf([]byte("recipe of " + c))
		if _, err := s.Put(d, []byte(c)); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, d)
	}
	return s, keys
}

func age(t *testing.T, s *Store, d eligen.Digest, by time.Duration) {
	t.Helper()
	at := time.Now().Add(-by)
	if err := os.Chtimes(filepath.Join(s.Dir(), place(d)), at, at); err != nil {
		t.Fatal(err)
	}
}

// What nobody has wanted for long goes; the grace period protects what a running
// apply may be about to read, whatever is asked for.
func TestCollect(t *testing.T) {
	s, keys := fill(t, "new", "a day", "a month")
	age(t, s, keys[1], 24*time.Hour)
	age(t, s, keys[2], 30*24*time.Hour)
	names := func(list []Entry) string {
		var out []string
		for _, e := range list {
			out = append(out, string(e.Digest))
		}
		return strings.Join(out, " ")
	}
	for _, c := range []struct {
		name string
		c    Collecting
		want []eligen.Digest
	}{
		{"nothing is asked for", Collecting{MaxSize: -1}, nil},
		{"older than a week", Collecting{OlderThan: 7 * 24 * time.Hour, MaxSize: -1, DryRun: true}, keys[2:]},
		{"nothing may stay: the new one does", Collecting{MaxSize: 0, DryRun: true}, []eligen.Digest{keys[2], keys[1]}},
		{"room for two", Collecting{MaxSize: 2 * int64(len(header("result", keys[0], 0, nil))+5), DryRun: true}, keys[2:]},
		{"and now really", Collecting{OlderThan: time.Hour, MaxSize: -1}, []eligen.Digest{keys[2], keys[1]}},
	} {
		removed, err := s.Collect(c.c)
		if err != nil {
			t.Fatal(err)
		}
		var want []Entry
		for _, d := range c.want {
			want = append(want, Entry{Digest: d})
		}
		if names(removed) != names(want) {
			t.Errorf("%s: removed %s, want %s", c.name, names(removed), names(want))
		}
	}
	if !s.Has(keys[0]) || s.Has(keys[1]) || s.Has(keys[2]) {
		t.Error("the store does not hold exactly what was new")
	}
}

// A run that finds a result in the store has used it: its journal says so. One that was
// there and not needed it has not.
func TestUseIsInTheJournals(t *testing.T) {
	s, keys := fill(t, "x", "y")
	age(t, s, keys[0], 30*24*time.Hour)
	age(t, s, keys[1], 30*24*time.Hour)
	j := openJournal(s)
	j.add(eligen.Event{Type: eligen.Opened, Scene: "fox.hcl", Time: time.Now()})
	j.add(eligen.Event{Type: eligen.Cached, Stage: "render.fox.decode", Time: time.Now(), Artifact: &eligen.Artifact{Digest: keys[0]}})
	j.add(eligen.Event{Type: eligen.Cached, Stage: "render.fox.denoise", Time: time.Now(), Artifact: &eligen.Artifact{Digest: keys[1]}, Unused: true})
	j.close()
	entries, err := s.Entries()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.Digest == keys[0] })
	if e := entries[i]; e.Stage != "render.fox.decode" || e.Scene != "fox.hcl" || time.Since(e.Used) > time.Minute {
		t.Errorf("the result was used by %q of %q at %v", e.Stage, e.Scene, e.Used)
	}
	if removed, err := s.Collect(Collecting{OlderThan: 24 * time.Hour, MaxSize: -1}); err != nil || len(removed) != 1 || removed[0].Digest != keys[1] {
		t.Errorf("what a run has just found stays, and what it did not need goes; removed: %v, %v", removed, err)
	}
}

// Every byte of a small store is flipped in turn: the damage is found, and nothing
// else is.
func TestVerifyFindsEveryFlippedByte(t *testing.T) {
	s, keys := fill(t, "the only result there is")
	path := filepath.Join(s.Dir(), place(keys[0]))
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= 0x20
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		sound, damaged, err := s.Verify()
		if err != nil || sound != 0 || len(damaged) != 1 {
			t.Fatalf("byte %d of %d: %d sound, %d damaged, %v", i, len(good), sound, len(damaged), err)
		}
		if err := os.RemoveAll(filepath.Join(s.Dir(), "quarantine")); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d bytes flipped, %d found", len(good), len(good))
	if err := os.WriteFile(path, good, 0o644); err != nil {
		t.Fatal(err)
	}
	if sound, damaged, err := s.Verify(); err != nil || sound != 1 || len(damaged) != 0 {
		t.Errorf("a sound store: %d sound, %d damaged, %v", sound, len(damaged), err)
	}
}
