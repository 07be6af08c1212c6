package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// tree lists every command that help shows, each with the commands above it.
func tree(c *cobra.Command) []*cobra.Command {
	out := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			out = append(out, tree(sub)...)
		}
	}
	return out
}

// Every command shows how it is used.
func TestCommandsHaveExamples(t *testing.T) {
	for _, c := range tree(newRoot()) {
		if c.Runnable() && c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || len(c.Short) > 50 {
			t.Errorf("%s: %q is not a short text of at most 50 characters", c.CommandPath(), c.Short)
		}
	}
}

// Every flag that takes a value says what kind of value, in capitals.
func TestFlagsHavePlaceholders(t *testing.T) {
	for _, c := range tree(newRoot()) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			name, about := pflag.UnquoteUsage(f)
			if f.Value.Type() != "bool" && (name == "" || name != strings.ToUpper(name) && name != "WIDTHxHEIGHT") {
				t.Errorf("%s --%s: the placeholder is %q: put one in backquotes", c.CommandPath(), f.Name, name)
			}
			if about == "" {
				t.Errorf("%s --%s is for nothing", c.CommandPath(), f.Name)
			}
		})
	}
}

// What an example calls is there: the command, its flags, and every scene and recipe
// that it doesn't write itself.
func TestExamplesCanBeTyped(t *testing.T) {
	words := regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`)
	for _, c := range tree(newRoot()) {
		var written []string
		for line := range strings.Lines(c.Example) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "#") || !strings.Contains(line, "eligen ") {
				continue
			}
			all := words.FindAllString(line, -1)
			for i, w := range all {
				if i > 0 && slices.Contains([]string{">", "--out", "-o", "--scene"}, all[i-1]) {
					written = append(written, w)
				}
				if !strings.HasSuffix(w, ".hcl") || strings.HasPrefix(w, `"`) || strings.HasPrefix(w, "-") || slices.Contains(written, w) {
					continue
				}
				if found, err := filepath.Glob(filepath.Join("../..", w)); err != nil || len(found) == 0 {
					t.Errorf("%s: %s: there is no %s", c.CommandPath(), line, w)
				}
			}
			_, call, _ := strings.Cut(line, "eligen ")
			call, _, _ = strings.Cut(call, ")")
			args := words.FindAllString(call, -1)
			if i := slices.IndexFunc(args, func(w string) bool { return w == "|" || w == ">" }); i >= 0 {
				args = args[:i]
			}
			root := newRoot()
			found, rest, err := root.Find(args)
			if err != nil || found == root || found.HasSubCommands() && !found.Runnable() && len(rest) > 0 {
				t.Errorf("%s: %s: there is no such command: %v", c.CommandPath(), line, err)
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%s: %s: %v", c.CommandPath(), line, err)
			}
		}
	}
}

// The scenes that a text names are those of the folder scenes.
func TestHelpNamesScenes(t *testing.T) {
	scene := regexp.MustCompile(`scenes/[a-z/]+\.hcl`)
	for _, c := range tree(newRoot()) {
		for _, name := range scene.FindAllString(c.Long+c.Example, -1) {
			if _, err := os.Stat(filepath.Join("../..", name)); err != nil {
				t.Errorf("%s: %v", c.CommandPath(), err)
			}
		}
	}
}

// Whatever is printed goes through the command's writers, which clean it: no code names
// the process's own standard output or error, but for the place that makes the writers.
func TestNothingGoesAroundTheWriters(t *testing.T) {
	direct := regexp.MustCompile(`\bos\.Std(out|err)\b|\bfmt\.Print(f|ln)?\(|\bprintln\(`)
	for _, folder := range []string{".", "../../tui", "../../runtime", "../../planner", "../../dsl", "../../draft", "../../app"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", folder, len(files), err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") || f == "root.go" {
				continue
			}
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range strings.Split(string(text), "\n") {
				if code, _, _ := strings.Cut(line, "//"); direct.MatchString(code) {
					t.Errorf("%s:%d: %s", f, i+1, strings.TrimSpace(line))
				}
			}
		}
	}
}

// The help topic lists every environment variable that the source reads.
func TestHelpNamesTheEnvironment(t *testing.T) {
	listed := ""
	for _, row := range helpEnvironment {
		listed += " " + strings.ReplaceAll(row[0]+" "+row[1], ",", " ") + " "
	}
	elsewhere := []string{"HOME", "USERPROFILE", "OS", "ELIGEN_GOLDENS", "ELIGEN_VERSITYGW"} // the system's own, and tests'
	reads := regexp.MustCompile(`(?i:getenv|lookupenv|\benv)\("([A-Za-z_]+)"\)`)
	found := 0
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range reads.FindAllStringSubmatch(string(text), -1) {
			found++
			known := strings.Contains(strings.ToLower(listed), " "+strings.ToLower(m[1])+" ") || strings.Contains(listed, " variable "+m[1]+")")
			if !known && !slices.Contains(elsewhere, m[1]) {
				t.Errorf("%s reads %s, which help environment doesn't list", path, m[1])
			}
		}
		return err
	})
	if err != nil || found < 20 {
		t.Errorf("%d variables were found, %v", found, err)
	}
}
