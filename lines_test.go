package eligen_test

import (
	"bytes"
	"io/fs"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxColumns is how long a line of code or prose may be, in characters; a tab is one.
const maxColumns = 140

// TestLines: code and prose fit on a screen, and side by side in a diff. The rule has no
// exceptions: a string can be cut in two, a table be a list.
func TestLines(t *testing.T) {
	files := 0
	err := fs.WalkDir(os.DirFS("."), ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") && file != "." && file != ".ci"
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || hidden) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, ".md") {
			return nil
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		files++
		for i, line := range bytes.Split(data, []byte("\n")) {
			if n := utf8.RuneCount(line); n > maxColumns {
				t.Errorf("%s:%d has %d characters; %d is the most", file, i+1, n, maxColumns)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Errorf("only %d files were read", files)
	}
}
