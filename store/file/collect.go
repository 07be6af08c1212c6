package file

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
)

// An Entry is a file of a Store.
type Entry struct {
	Name   string        `json:"name"`             // below the store's folder, slash-separated
	Digest eligen.Digest `json:"digest,omitempty"` // of results and partial results: of the stage that makes them
	Kind   string        `json:"kind"`             // "result", "partial", "quarantine", "run", "lease"
	Size   int64         `json:"size"`             // bytes of the file
	Used   time.Time     `json:"used"`             // when a run last made or used it; zero if unknown
	Stage  string        `json:"stage,omitempty"`  // address, in the last run that had it
	Scene  string        `json:"scene,omitempty"`  // path of that run's scene file
	Live   bool          `json:"live,omitempty"`   // a live run has made or found it, or writes it
}

// maxLine is the longest line of a journal that is read.
const maxLine = 64 << 20

// believed returns the time of a file or of a journal's event, or zero if it lies ahead by
// more than Grace: a clock was wrong, or somebody set the time. Clocks of machines that
// share a folder may differ by as much.
func believed(at, now time.Time) time.Time {
	if at.Sub(now) > Grace {
		return time.Time{}
	}
	return at
}

// Entries lists the store's files in the order of names. When and by which run a result
// was last used comes from the runs' journals.
func (s *Store) Entries() ([]Entry, error) {
	var out []Entry
	now := time.Now()
	err := fs.WalkDir(s.files.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && files.Missing(err): // another process was quicker
			return nil
		case err != nil:
			return err
		case d.IsDir() || !d.Type().IsRegular() || strings.HasPrefix(d.Name(), files.TempPrefix):
			return nil
		}
		info, err := d.Info()
		if files.Missing(err) {
			return nil
		}
		if err != nil {
			return err
		}
		e := Entry{Name: name, Size: info.Size(), Used: believed(info.ModTime(), now)}
		folder, _, _ := strings.Cut(name, "/")
		switch {
		case folder == "results" && strings.HasSuffix(name, ".partial"):
			e.Kind, e.Digest = "partial", eligen.Digest(strings.TrimSuffix(d.Name(), ".partial"))
		case folder == "results":
			e.Kind, e.Digest = "result", eligen.Digest(d.Name())
		case folder == "quarantine":
			e.Kind = "quarantine"
		case folder == "runs":
			e.Kind, e.Live = "run", s.live(name)
		case folder == "leases":
			e.Kind, e.Digest = "lease", eligen.Digest(d.Name())
		default:
			return nil // not a store's: left alone
		}
		out = append(out, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("the store can't be listed: %w", err)
	}
	at := map[eligen.Digest]int{}
	for i, e := range out {
		if e.Kind == "result" {
			at[e.Digest] = i
		}
	}
	for _, e := range out {
		if e.Kind != "run" {
			continue
		}
		if journal, err := s.files.Open(filepath.FromSlash(e.Name)); err == nil { // without it, only an age is lost
			readUses(journal, e.Live, out, at, now)
			journal.Close()
		}
	}
	return out, nil
}

// readUses reads from a run's journal when and for what results were made or used. at
// maps results to entries.
func readUses(journal io.Reader, live bool, entries []Entry, at map[eligen.Digest]int, now time.Time) {
	scene := ""
	lines := bufio.NewScanner(journal)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var event eligen.Event
		if json.Unmarshal(lines.Bytes(), &event) != nil {
			continue // the line at which a run was killed
		}
		if event.Type == eligen.Opened {
			scene = event.Scene
		}
		if event.Artifact == nil {
			continue
		}
		i, ok := at[event.Artifact.Digest]
		if !ok {
			continue
		}
		e := &entries[i]
		if live && !event.Unused {
			e.Live = true
		}
		when := believed(event.Time, now)
		if !event.Unused && !when.IsZero() && !when.Before(e.Used.Truncate(time.Millisecond)) {
			e.Used, e.Stage, e.Scene = when, event.Stage, scene
		} else if e.Stage == "" {
			e.Stage, e.Scene = event.Stage, scene
		}
	}
}

// Grace is how long everything is safe from Collect after its last use: a live run may be
// about to read it.
const Grace = time.Hour

// Collecting selects what Collect removes.
type Collecting struct {
	OlderThan time.Duration // results unused for so long; 0 is no limit
	MaxSize   int64         // bytes that the results may take; those unused for longest go first. Below 0 is no limit
	Grace     time.Duration // 0 is Grace
	DryRun    bool          // choose and remove nothing
}

// Collect removes unused results, and partial results, damaged entries and journals of
// the same age. It is safe while other processes write: results used within the grace
// period stay, and so do those that a live run has made or found, however long ago. It
// returns what it has removed or, in a dry run, would remove.
func (s *Store) Collect(c Collecting) (removed []Entry, err error) {
	entries, err := s.Entries()
	if err != nil {
		return nil, err
	}
	grace := c.Grace
	if grace == 0 {
		grace = Grace
	}
	now := time.Now()
	var total int64
	for _, e := range entries {
		if e.Kind == "result" {
			total += e.Size
		}
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.Used.Compare(b.Used) })
	for _, e := range entries {
		age := now.Sub(e.Used)
		old := c.OlderThan > 0 && age > c.OlderThan
		large := c.MaxSize >= 0 && total > c.MaxSize && e.Kind == "result"
		left := e.Kind == "lease" // of a run that was killed
		if age < grace || e.Live || !old && !large && !left {
			continue
		}
		if info, ierr := s.files.Lstat(filepath.FromSlash(e.Name)); ierr == nil && e.Kind == "result" &&
			now.Sub(believed(info.ModTime(), now)) < grace {
			continue // a run has found it since the list was made
		}
		if !c.DryRun {
			if rerr := s.files.Remove(filepath.FromSlash(e.Name)); rerr != nil && !files.Missing(rerr) {
				err = errors.Join(err, rerr)
				continue
			}
		}
		if e.Kind == "result" {
			total -= e.Size
		}
		removed = append(removed, e)
	}
	if err != nil {
		err = fmt.Errorf("not all could be removed: %w", err)
	}
	return removed, err
}

// Verify reads every result. It moves damaged ones out of the way and returns them; the
// next run that needs them makes them again.
func (s *Store) Verify() (sound int, damaged []Entry, err error) {
	entries, err := s.Entries()
	if err != nil {
		return 0, nil, err
	}
	for _, e := range entries {
		if e.Kind != "result" {
			continue
		}
		_, ok, damage := s.Get(e.Digest)
		switch {
		case damage != nil && s.Has(e.Digest):
			return sound, damaged, damage // it could not be read, or not be moved
		case damage != nil:
			damaged = append(damaged, e)
		case ok:
			sound++
		}
	}
	return sound, damaged, nil
}
