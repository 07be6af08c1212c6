package train_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/eligen/eligen/train"
)

// TestLogOnFullDisk: a training whose log can't be written says so when it happens and
// is an error in the end, though it runs to its end and keeps what it has learnt.
func TestLogOnFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/dev/full", filepath.Join(dir, train.LogFile)); err != nil {
		t.Skip(err)
	}
	var notes []string
	recipe := lineRecipe
	recipe.Steps = 60
	err := train.Run(t.Context(), line(nil), train.Options{Recipe: recipe, Backend: backend(t), Dir: dir, Report: func(s train.Status) {
		if s.Note != "" && s.Note != "checkpoint" {
			notes = append(notes, s.Note)
		}
	}})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "the log can't be written") {
		t.Errorf("Run: %v", err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "the log can't be written") {
		t.Errorf("it reported %q", notes)
	}
	if _, err := train.Result(dir); err != nil {
		t.Errorf("what it has learnt is not there: %v", err)
	}
}
