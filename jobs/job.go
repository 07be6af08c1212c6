// Package jobs writes the files by which schedulers run a scene on many machines: Slurm, Kubernetes and those
// of Open Job Description. Each task of a job makes a shard of the pictures; a run afterwards puts together what
// is made of several, and makes what is missing.
package jobs

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// A Job is what a scheduler is to run.
type Job struct {
	Name   string   // as NameOf returns it
	Scenes []string // their paths, as the machines see them
	Flags  []string // of eligen apply, each one argument: "--engine=paint"
	Shards int

	// What a task needs; 0 leaves it to the scheduler.
	CPUs   int
	GPUs   int
	Memory int64 // bytes
	Limit  time.Duration

	Image string // of the container, for Kubernetes
	Claim string // of Kubernetes: the volume that has the scenes and the store; "" is none
	Kueue string // the LocalQueue of Kueue; "" is none
}

// apply returns the command's arguments, for a shard ("" is the whole).
func (j Job) apply(shard string) []string {
	args := append([]string{"apply"}, j.Scenes...)
	args = append(args, j.Flags...)
	if shard != "" {
		args = append(args, "--shard="+shard)
	}
	return args
}

// maxName is how long a job's name is: names of Kubernetes' pods add to it, and have at most 63 characters.
const maxName = 40

// NameOf returns a job's name of a text: letters of a to z, digits and single hyphens, as all schedulers take it.
func NameOf(text string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	name := "eligen-" + b.String()
	return strings.Trim(name[:min(len(name), maxName)], "-")
}

// quoted returns words as a command of a POSIX shell, on one line whatever they hold.
func quoted(words ...string) string {
	var out []string
	for _, w := range words {
		out = append(out, quote(w))
	}
	return strings.Join(out, " ")
}

func quote(w string) string {
	plain := func(r rune) bool {
		return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) || strings.ContainsRune("-_./=:,+@%", r)
	}
	switch {
	case w != "" && strings.IndexFunc(w, func(r rune) bool { return !plain(r) }) < 0:
		return w
	case strings.IndexFunc(w, unicode.IsControl) < 0:
		return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	var b strings.Builder // bash's form for what can't be seen
	b.WriteString("$'")
	for _, c := range []byte(w) {
		switch {
		case c == '\'' || c == '\\':
			b.WriteString(`\` + string(rune(c)))
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String() + "'"
}

// mebibytes rounds up.
func mebibytes(n int64) int64 { return (n + 1<<20 - 1) >> 20 }

// document returns a value as a YAML document.
func document(v any) string {
	var b strings.Builder
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(v); err != nil {
		panic(err) // values are plain
	}
	return b.String()
}

// comment returns lines as a comment.
func comment(lines ...string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(strings.TrimRight("# "+l, " ") + "\n")
	}
	return b.String()
}
