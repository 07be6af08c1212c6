package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/fetch"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/store/file"
)

func newCache() *cobra.Command {
	return family(&cobra.Command{
		Use:     "cache",
		Short:   "Look into the store of results, check it, and make room",
		Example: "eligen cache ls\neligen cache gc --older-than 30d",
		Long: `Look into the store of results, check it, and make room.

The store holds the result of every stage under the digest of how it was made. Deleting it loses time, and nothing else.`,
	}, newCacheList(), newCacheCollect(), newCacheVerify(), newCacheExport(), newCacheImport(), newCachePath())
}

func newCachePath() *cobra.Command {
	return &cobra.Command{
		Use:     "path",
		Short:   "Print the store's folder",
		Example: "du -sh \"$(eligen cache path)\"",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			dir, err := cacheDir("store")
			if err == nil {
				_, err = fmt.Fprintln(c.OutOrStdout(), dir)
			}
			return err
		},
	}
}

func newCacheList() *cobra.Command {
	var asJSON, each bool
	c := &cobra.Command{
		Use:   "ls [SCENE…]",
		Short: "List what the store holds, by scene",
		Long: `List what the store holds, by the scene that last used it: the scenes last used at the end. --results lists every result instead. With scenes, named as the list names them, only theirs are listed.

A result that several scenes share is counted for the one that used it last.`,
		Example: `eligen cache ls
# the results of one scene
eligen cache ls --results scenes/rain.hcl`,
		RunE: func(c *cobra.Command, args []string) error {
			store, err := openStore()
			if err != nil {
				return err
			}
			defer store.Close()
			entries, err := store.Entries()
			if err != nil {
				return err
			}
			if entries, err = ofScenes(entries, args); err != nil {
				return err
			}
			slices.SortStableFunc(entries, func(a, b file.Entry) int { return a.Used.Compare(b.Used) })
			if asJSON {
				return page.JSON(c.OutOrStdout(), append([]file.Entry{}, entries...))
			}
			list := listScenes
			if each {
				list = listResults
			}
			if err := list(c.OutOrStdout(), entries); err != nil {
				return err
			}
			n, results, others := 0, int64(0), int64(0)
			for _, e := range entries {
				if e.Kind == "result" {
					n, results = n+1, results+e.Size
				} else {
					others += e.Size
				}
			}
			total := fmt.Sprintf("%s, %s", counted(n, "result"), size(results))
			if len(args) == 0 {
				total += fmt.Sprintf("; journals and leftovers %s; in %s", size(others), store.Dir())
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), total)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, journals and leftovers included")
	c.Flags().BoolVar(&each, "results", false, "list every result")
	c.MarkFlagsMutuallyExclusive("json", "results")
	return c
}

// ofScenes leaves the results of some scenes; all entries where none is named.
func ofScenes(entries []file.Entry, names []string) ([]file.Entry, error) {
	if len(names) == 0 {
		return entries, nil
	}
	found := map[string]bool{}
	entries = slices.DeleteFunc(entries, func(e file.Entry) bool {
		i := slices.IndexFunc(names, func(n string) bool { return e.Kind == "result" && filepath.Clean(n) == filepath.Clean(e.Scene) })
		if i >= 0 {
			found[names[i]] = true
		}
		return i < 0
	})
	for _, n := range names {
		if !found[n] {
			return nil, fmt.Errorf("the store holds no result of %s. Run\n\n    eligen cache ls\n\nfor the scenes that it has results of", n)
		}
	}
	return entries, nil
}

// listScenes prints a line a scene, in the order of entries' last uses.
func listScenes(w io.Writer, entries []file.Entry) error {
	type sum struct {
		results int
		bytes   int64
		used    time.Time
	}
	sums := map[string]sum{}
	for _, e := range entries {
		if e.Kind == "result" {
			s := sums[e.Scene]
			sums[e.Scene] = sum{s.results + 1, s.bytes + e.Size, e.Used}
		}
	}
	order := slices.SortedFunc(maps.Keys(sums), func(a, b string) int {
		return cmp.Or(sums[a].used.Compare(sums[b].used), strings.Compare(a, b))
	})
	var rows [][]string
	for _, name := range order {
		s := sums[name]
		if name == "" {
			name = "(no scene known)"
		}
		rows = append(rows, []string{name, counted(s.results, "result"), size(s.bytes), page.Quiet.Of(used(s.used))})
	}
	_, err := io.WriteString(w, page.Table(rows, page.Columns(w), page.Column{Fit: page.CutLeft}))
	return err
}

// listResults prints a line a result.
func listResults(w io.Writer, entries []file.Entry) error {
	var rows [][]string
	for _, e := range entries {
		if e.Kind != "result" {
			continue
		}
		stage := e.Stage
		if stage == "" {
			stage = "–"
		}
		rows = append(rows, []string{page.Quiet.Of(e.Digest.Short()), size(e.Size), page.Quiet.Of(used(e.Used)), stage, e.Scene})
	}
	_, err := io.WriteString(w, page.Table(rows, page.Columns(w), page.Column{}, page.Column{}, page.Column{}, page.Column{Fit: page.CutLeft}, page.Column{Fit: page.CutLeft}))
	return err
}

func used(t time.Time) string {
	if t.IsZero() { // its file's time lies ahead
		return "unknown"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// counted is "1 result", "2 results".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func newCacheCollect() *cobra.Command {
	var older, most string
	var dry bool
	c := &cobra.Command{
		Use:   "gc",
		Short: "Remove results that are not wanted any more",
		Long: `Remove results that are not wanted any more: those that no run has made or found within --older-than, and the ones unused for longest while all take more than --max-size.

What was used within the last hour stays, since a run may be about to read it. A result that is gone is made again when a scene wants it.`,
		Example: `eligen cache gc --older-than 30d
eligen cache gc --max-size 2GiB --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if older == "" && most == "" {
				return usageError{errors.New("say what may go: --older-than 30d, --max-size 2GiB, or both")}
			}
			o := file.Collecting{MaxSize: -1, DryRun: dry}
			var err error
			if older != "" {
				if o.OlderThan, err = readAge(older); err != nil {
					return err
				}
			}
			if most != "" {
				if o.MaxSize, err = readSize("max-size", most); err != nil {
					return err
				}
			}
			store, err := openStore()
			if err != nil {
				return err
			}
			defer store.Close()
			removed, err := store.Collect(o)
			var bytes int64
			for _, e := range removed {
				bytes += e.Size
			}
			did := "removed"
			if dry {
				did = "would remove"
			}
			fmt.Fprintf(c.OutOrStdout(), "%s %d files, %s\n", did, len(removed), size(bytes))
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&older, "older-than", "", "remove what was not used for `TIME`: 12h, 30d")
	f.StringVar(&most, "max-size", "", "remove until all results take at most `SIZE`: 500MiB, 2GiB, 0")
	f.BoolVar(&dry, "dry-run", false, "say what would go, and remove nothing")
	return c
}

func newCacheVerify() *cobra.Command {
	return &cobra.Command{
		Use:     "verify",
		Short:   "Read every result and check it",
		Example: "eligen cache verify",
		Long:    `Read every result and check it against the digest of its content. Damaged ones are moved to the store's folder "quarantine" and made again when they are wanted; the exit code is then 6.`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			store, err := openStore()
			if err != nil {
				return err
			}
			defer store.Close()
			sound, damaged, err := store.Verify()
			if err != nil {
				return err
			}
			for _, e := range damaged {
				fmt.Fprintf(c.OutOrStdout(), "damaged  %s  %s\n", e.Digest.Short(), e.Stage)
			}
			fmt.Fprintf(c.OutOrStdout(), "%d sound, %d damaged\n", sound, len(damaged))
			if len(damaged) > 0 {
				return exit{code: exitIntegrity}
			}
			return nil
		},
	}
}

func newCacheExport() *cobra.Command {
	var o planOptions
	c := &cobra.Command{
		Use:   "export FILE [SCENE]",
		Short: "Write results to an archive, for another machine's store",
		Long: `Write results to a tar archive, for another machine's store: all of them, or with a scene those of its plan.

A result is named by how it is made, the engine included: another machine finds those of models only if its engine is the same (eligen version says which).`,
		Example: `eligen cache export results.tar scenes/rain.hcl`,
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) (err error) {
			store, err := openStore()
			if err != nil {
				return err
			}
			defer store.Close()
			var keys []eligen.Digest
			if len(args) == 2 {
				e, err := o.open()
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, e.close()) }()
				p, err := o.plan(c, e, args[1])
				if err != nil {
					return err
				}
				for _, s := range p.Stages {
					keys = append(keys, s.Digest)
				}
			} else {
				entries, err := store.Entries()
				if err != nil {
					return err
				}
				for _, e := range entries {
					if e.Kind == "result" {
						keys = append(keys, e.Digest)
					}
				}
			}
			n := 0
			r, w := io.Pipe()
			go func() {
				var err error
				n, err = store.Export(w, keys)
				w.CloseWithError(err)
			}()
			if err := fetch.Write(r, args[0], ""); err != nil {
				return err
			}
			if left := len(keys) - n; left > 0 {
				fmt.Fprintf(c.ErrOrStderr(), "%d of %d results are not in the store.\n", left, len(keys))
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d results in %s\n", n, args[0])
			return err
		},
	}
	o.flags(c)
	return c
}

func newCacheImport() *cobra.Command {
	return &cobra.Command{
		Use:     "import FILE",
		Short:   "Take results from an archive",
		Example: "# on one machine, and on the other\neligen cache export results.tar\neligen cache import results.tar",
		Long: `Take results from an archive that "eligen cache export" wrote. Each is checked against the digest of its content; what is not a sound result, and an archive that was cut off, ends the import with exit code 6. Results that are in the store stay as they are.

The check says that a result is whole, not who made it: take archives from those you would take pictures from.`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			store, err := openStore()
			if err != nil {
				return err
			}
			defer store.Close()
			got, err := store.Import(bufio.NewReaderSize(f, 1<<20))
			fmt.Fprintf(c.OutOrStdout(), "%d results added, %d were there already\n", got.Added, got.Present)
			if err == nil && !got.Whole {
				fmt.Fprintf(c.ErrOrStderr(), "Warning: %s is of an earlier version of eligen, which did not mark an archive's end. Each of these results is sound; whether some are missing can't be told.\n", args[0])
			}
			if errors.Is(err, file.ErrArchive) {
				return exit{exitIntegrity, fmt.Errorf("%s: %w", args[0], err)}
			}
			return err
		},
	}
}

// readAge reads 90m, 12h or 30d.
func readAge(s string) (time.Duration, error) {
	var d time.Duration
	var err error
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n float64
		n, err = strconv.ParseFloat(days, 64)
		d = time.Duration(n * float64(24*time.Hour))
	} else {
		d, err = time.ParseDuration(s)
	}
	if err != nil || d <= 0 {
		return 0, usageError{fmt.Errorf("--older-than %s: write a time such as 12h or 30d", s)}
	}
	return d, nil
}

var units = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// readSize reads the value of a flag: 2GiB, 500MiB, or a number of bytes.
func readSize(flag, s string) (int64, error) {
	number, factor := s, int64(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(s, u.name); ok {
			number, factor = strings.TrimSpace(n), u.bytes
			break
		}
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || !(f >= 0 && f*float64(factor) <= 1<<60) { // not a number is neither
		return 0, usageError{fmt.Errorf("--%s %s: write a size such as 500MiB or 2GiB", flag, s)}
	}
	return int64(f * float64(factor)), nil
}

// size is a number of bytes for people.
func size(n int64) string {
	for _, u := range units {
		if n >= u.bytes && u.bytes > 1 {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.bytes), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}
