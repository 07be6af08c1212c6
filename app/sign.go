package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/eligen/eligen/stage/clip"
	"github.com/eligen/eligen/stage/still"
)

// A Signer is a program that signs files, such as c2patool: its words, one of them with {in} for the
// file's path, one with {out} for the signed copy's.
type Signer []string

// ParseSigner reads a command. Words are parted by blanks, and kept together by quotation marks. Its
// program is looked for, so that a missing one is reported before anything is rendered.
func ParseSigner(command string) (Signer, error) {
	var words []string
	quote, open, word := rune(0), false, strings.Builder{}
	for _, r := range command {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, open = r, true
		case quote == 0 && (r == ' ' || r == '\t' || r == '\n'):
			if open {
				words = append(words, word.String())
			}
			open = false
			word.Reset()
		default:
			word.WriteRune(r)
			open = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quotation mark, %c, has no end", quote)
	}
	if open {
		words = append(words, word.String())
	}
	for _, part := range []string{"{in}", "{out}"} {
		if !strings.Contains(strings.Join(words[min(1, len(words)):], "\n"), part) {
			return nil, fmt.Errorf("the command has no %s: write it as c2patool {in} -m manifest.json -o {out}", part)
		}
	}
	if _, err := exec.LookPath(words[0]); err != nil {
		return nil, fmt.Errorf("there is no program %s in PATH", words[0])
	}
	return words, nil
}

// SignedPath returns the path of a file's signed copy.
func SignedPath(path string) string {
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + ".signed" + ext
}

// Sign writes a signed copy next to a file, and returns its path. The file stays as it is: its seal would
// be broken by a byte. A copy that is there is replaced if it has eligen's record in it, or if force is set.
func (s Signer) Sign(ctx context.Context, path string, force bool) (string, error) {
	to := SignedPath(path)
	if _, err := os.Lstat(to); err == nil && !force && !ours(to) {
		return "", fmt.Errorf("%s is there already, and eligen did not write it: --force replaces it", to)
	}
	dir, err := os.MkdirTemp(filepath.Dir(to), ".eligen-sign-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, filepath.Base(path)) // programs tell formats by the name's ending
	fill := strings.NewReplacer("{in}", path, "{out}", out)
	words := make([]string, len(s))
	for i, w := range s {
		words[i] = fill.Replace(w)
	}
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.WaitDelay = 10 * time.Second
	said, err := c.CombinedOutput()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("%s did not sign %s (%w): %s", words[0], path, err, lastWords(said))
	}
	if fi, err := os.Lstat(out); err != nil || !fi.Mode().IsRegular() || fi.Size() == 0 {
		return "", fmt.Errorf("%s wrote no signed copy of %s", words[0], path)
	}
	return to, os.Rename(out, to)
}

// lastWords returns the end of a program's output, on a line.
func lastWords(said []byte) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(said), "?")), " ")
	return text[max(0, len(text)-500):]
}

// ours reports whether a file has eligen's record in it, whatever has been done to it since.
func ours(path string) bool {
	data, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	_, err = clip.Metadata(bytes.NewReader(data))
	if errors.Is(err, clip.ErrNotClip) {
		_, err = still.Metadata(io.Reader(bytes.NewReader(data)))
	}
	return err == nil
}
