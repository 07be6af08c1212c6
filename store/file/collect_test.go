package file

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/runtime"
)

func fill(t *testing.T, contents ...string) (*Store, []eligen.Digest) {
	t.Helper()
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	var keys []eligen.Digest
	for _, c := range contents {
		d := eligen.DigestOf([]byte("recipe of " + c))
		if _, err := runtime.Put(t.Context(), s, d, []byte(c)); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, d)
	}
	return s, keys
}

// record is a run's journal.
type record struct {
	t  *testing.T
	to io.WriteCloser
}

func newRecord(t *testing.T, s *Store) record {
	t.Helper()
	to, err := s.Record()
	if err != nil {
		t.Fatal(err)
	}
	return record{t, to}
}

func (r record) add(e eligen.Event) {
	r.t.Helper()
	if err := json.NewEncoder(r.to).Encode(e); err != nil {
		r.t.Fatal(err)
	}
}

func (r record) close() {
	r.t.Helper()
	if err := r.to.Close(); err != nil {
		r.t.Error(err)
	}
}

// replace puts a result in place of another of the same key.
func replace(s *Store, key eligen.Digest, content string) (runtime.Info, error) {
	w := s.create(key)
	if _, err := io.WriteString(w, content); err != nil {
		return runtime.Info{}, err
	}
	return w.Commit(true)
}

func age(t *testing.T, s *Store, d eligen.Digest, by time.Duration) {
	t.Helper()
	at := time.Now().Add(-by)
	if err := os.Chtimes(filepath.Join(s.Dir(), entryPath(d)), at, at); err != nil {
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
		{"room for two", Collecting{MaxSize: 2 * int64(headerSize(result)+5), DryRun: true}, keys[2:]},
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

// A time that lies ahead, of a clock that was wrong or a copy, keeps nothing for ever. What
// a run's journal tells counts then; and where that lies ahead too, nothing does.
func TestCollectTimesAhead(t *testing.T) {
	const day = 24 * time.Hour
	s, keys := fill(t, "ahead", "ahead, and wanted a day ago", "ahead, and wanted ahead", "minutes ahead", "new")
	for i, by := range []time.Duration{-365 * day, -365 * day, -365 * day, -5 * time.Minute} {
		age(t, s, keys[i], by)
	}
	j := newRecord(t, s)
	j.add(eligen.Event{Type: eligen.Opened, Scene: "fox.hcl", Time: time.Now().Add(-day)})
	j.add(eligen.Event{Type: eligen.Done, Stage: "a", Time: time.Now().Add(-day), Artifact: &eligen.Artifact{Digest: keys[1]}})
	j.add(eligen.Event{Type: eligen.Done, Stage: "b", Time: time.Now().Add(365 * day), Artifact: &eligen.Artifact{Digest: keys[2]}})
	j.close()
	for _, c := range []struct {
		name string
		c    Collecting
		want []eligen.Digest
	}{
		{"older than a week", Collecting{OlderThan: 7 * day, MaxSize: -1, DryRun: true}, []eligen.Digest{keys[0], keys[2]}},
		{"nothing may stay: what is new does", Collecting{MaxSize: 0}, []eligen.Digest{keys[0], keys[2], keys[1]}},
	} {
		removed, err := s.Collect(c.c)
		if err != nil {
			t.Fatal(err)
		}
		var got []eligen.Digest
		for _, e := range removed {
			got = append(got, e.Digest)
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: removed %v, want %v", c.name, got, c.want)
		}
	}

	// A run that wants a result puts its time right.
	age(t, s, keys[4], -365*day)
	s.Touch(t.Context(), keys[4])
	if info, err := os.Stat(filepath.Join(s.Dir(), entryPath(keys[4]))); err != nil || time.Until(info.ModTime()) > time.Minute {
		t.Errorf("a result that was used now is of %v", info.ModTime())
	}

	// Leftovers of interrupted writes and of leases, too.
	ahead := time.Now().Add(365 * day)
	var left []string
	folder := filepath.Dir(entryPath(keys[4]))
	for _, name := range []string{"leases/" + string(keys[0]), "quarantine/x", folder + "/" + files.TempPrefix + "1"} {
		path := filepath.Join(s.Dir(), filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o644),
			os.Chtimes(path, ahead, ahead)); err != nil {
			t.Fatal(err)
		}
		left = append(left, path)
	}
	if _, err := s.Collect(Collecting{OlderThan: day, MaxSize: -1}); err != nil {
		t.Fatal(err)
	}
	s.files.Sweep(filepath.Dir(entryPath(keys[4])))
	for _, path := range left {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
}

// A run that finds a result in the store has used it: its journal says so. One that was
// there and not needed it has not.
func TestUseIsInTheJournals(t *testing.T) {
	s, keys := fill(t, "x", "y")
	age(t, s, keys[0], 30*24*time.Hour)
	age(t, s, keys[1], 30*24*time.Hour)
	j := newRecord(t, s)
	j.add(eligen.Event{Type: eligen.Opened, Scene: "fox.hcl", Time: time.Now()})
	j.add(eligen.Event{Type: eligen.Cached, Stage: "render.fox.decode", Time: time.Now(), Artifact: &eligen.Artifact{Digest: keys[0]}})
	j.add(
		eligen.Event{
			Type:     eligen.Cached,
			Stage:    "render.fox.denoise",
			Time:     time.Now(),
			Artifact: &eligen.Artifact{Digest: keys[1]},
			Unused:   true,
		},
	)
	j.close()
	entries, err := s.Entries()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.Digest == keys[0] })
	if e := entries[i]; e.Stage != "render.fox.decode" || e.Scene != "fox.hcl" || time.Since(e.Used) > time.Minute {
		t.Errorf("the result was used by %q of %q at %v", e.Stage, e.Scene, e.Used)
	}
	if removed, err := s.Collect(Collecting{OlderThan: 24 * time.Hour, MaxSize: -1}); err != nil || len(removed) != 1 ||
		removed[0].Digest != keys[1] {
		t.Errorf("what a run has just found stays, and what it did not need goes; removed: %v, %v", removed, err)
	}
}

// Every byte of a small store is flipped in turn: the damage is found, and nothing
// else is.
func TestVerifyFindsEveryFlippedByte(t *testing.T) {
	s, keys := fill(t, "the only result there is")
	path := filepath.Join(s.Dir(), entryPath(keys[0]))
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
