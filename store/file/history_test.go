package file

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eligen/eligen"
)

// The last run is the last run, however long its journal: what it made stands at the
// journal's beginning.
func TestHistoryOfLongRuns(t *testing.T) {
	s, _ := fill(t)
	journal := func(name, recipe string, events int) {
		t.Helper()
		var b strings.Builder
		write := func(e eligen.Event) {
			line, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(append(line, '\n'))
		}
		write(eligen.Event{Type: eligen.Opened, Path: absolute("fox.hcl"), Engine: "paint", Time: time.Now()})
		write(eligen.Event{Type: eligen.Planned, Stage: "render.fox.still", Definition: json.RawMessage(recipe)})
		for i := range events {
			write(eligen.Event{Type: eligen.Stepped, Stage: "render.fox.denoise", Step: i + 1, Of: events})
		}
		if err := s.files.Put(filepath.Join("runs", name), []byte(b.String())); err != nil {
			t.Fatal(err)
		}
	}
	journal("20260101T000000.000-00000000.jsonl", `"old"`, 1)
	journal("20260102T000000.000-00000000.jsonl", `"new"`, 200_000)
	h := s.History("paint", "fox.hcl")
	if len(h.Definitions) == 0 || string(h.Definitions[0]) != `"new"` {
		t.Errorf("the last run made %s", h.Definitions)
	}
}
