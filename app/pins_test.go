package app

import (
	"fmt"
	"sync"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
)

// TestPinsOfManyProcessesStay: who pins a repository loses none that another one pins at the same time.
func TestPinsOfManyProcessesStay(t *testing.T) {
	folder := t.TempDir()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			pin := eligen.LockedRepo{Repo: fmt.Sprintf("lab/model%d", i), Revision: fmt.Sprintf("%040d", i), Files: []eligen.LockedFile{
				{Name: "a.safetensors", SHA256: eligen.DigestOf([]byte{byte(i)}), Size: 1}}}
			if err := dsl.UpdateLock(t.Context(), folder, func(l *eligen.Lock) { addPin(l, pin) }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	lock, ds := dsl.LoadLock(folder)
	if err := ds.Err(); err != nil || len(lock.Weights) != 8 {
		t.Fatalf("%d pins, want 8: %v", len(lock.Weights), err)
	}

	// Files of one commit add up; another commit's go.
	for _, c := range []struct {
		revision, file string
		want           int
	}{{"a", "x", 1}, {"a", "y", 2}, {"b", "x", 1}} {
		addPin(lock, eligen.LockedRepo{Repo: "lab/more", Revision: c.revision, Files: []eligen.LockedFile{{Name: c.file}}})
		if got := len(lock.Pin("lab/more").Files); got != c.want {
			t.Errorf("%s of %s: %d files, want %d", c.file, c.revision, got, c.want)
		}
	}
}
