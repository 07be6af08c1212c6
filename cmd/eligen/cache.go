package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/fetch"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/internal/words"
	"github.com/eligen/eligen/store/file"
)

func newCache() *cobra.Command {
	return family(&cobra.Command{
		Use:     "cache",
		Short:   "List, check and prune the store",
		Example: "eligen cache ls\neligen cache gc --older-than 30d",
		Long: `List, check and prune the store (cached results).

The store holds each stage's result under a hash of its inputs. Deleting it costs time and nothing else.`,
	}, newCacheList(), newCacheCollect(), newCacheVerify(), newCacheExport(), newCacheImport(), newCachePath())
}

func newCachePath() *cobra.Command {
	return &cobra.Command{
		Use:     "path",
		Short:   "Print the path of the store",
		Example: "du -sh \"$(eligen cache path)\"",
		Args:    cobra.NoArgs,
		RunE: withApp(func(c *cobra.Command, a *app.App, _ []string) error {
			dir, err := a.StoreFolder()
			if err == nil {
				_, err = fmt.Fprintln(c.OutOrStdout(), dir)
			}
			return err
		}),
	}
}

// listOptions are the flags of `eligen cache ls`.
type listOptions struct{ json, results bool }

func newCacheList() *cobra.Command {
	var o listOptions
	c := &cobra.Command{
		Use:   "ls [SCENE…]",
		Short: "List what the store holds, by scene",
		Long: `List what the store holds, by the scene that used it last; the scenes used last come last. --results lists every
result instead. Name scenes, as the list does, to see only theirs.

A result that several scenes share counts for the one that used it last.`,
		Example: `eligen cache ls
# the results of one scene
eligen cache ls --results scenes/rain.hcl`,
		RunE: withApp(o.run),
	}
	c.Flags().BoolVar(&o.json, "json", false, "print JSON, with journals and leftovers")
	c.Flags().BoolVar(&o.results, "results", false, "list every result")
	c.MarkFlagsMutuallyExclusive("json", "results")
	return c
}

func (o *listOptions) run(c *cobra.Command, a *app.App, args []string) error {
	entries, err := a.Entries(args)
	if err != nil {
		return err
	}
	if o.json {
		return page.JSON(c.OutOrStdout(), append([]file.Entry{}, entries...))
	}
	list := listScenes
	if o.results {
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
	total := fmt.Sprintf("%s, %s", counted(n, "result"), words.Bytes(results))
	if len(args) == 0 {
		dir, _ := a.StoreFolder() // its entries were listed
		total += fmt.Sprintf("; journals and leftovers %s; in %s", words.Bytes(others), dir)
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), total)
	return err
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
		rows = append(rows, []string{name, counted(s.results, "result"), words.Bytes(s.bytes), page.Quiet.Of(used(s.used))})
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
		rows = append(rows, []string{page.Quiet.Of(e.Digest.Short()), words.Bytes(e.Size), page.Quiet.Of(used(e.Used)), stage, e.Scene})
	}
	cut := page.Column{Fit: page.CutLeft}
	_, err := io.WriteString(w, page.Table(rows, page.Columns(w), page.Column{}, page.Column{}, page.Column{}, cut, cut))
	return err
}

func used(t time.Time) string {
	if t.IsZero() { // its file's time lies ahead
		return "unknown"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// counted returns "1 result", "2 results".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// collectOptions are the flags of `eligen cache gc`.
type collectOptions struct {
	older, most string
	dry         bool
}

func newCacheCollect() *cobra.Command {
	var o collectOptions
	c := &cobra.Command{
		Use:   "gc",
		Short: "Remove old results",
		Long: `Remove old results: those that no run has used within --older-than, then the ones unused for longest until the
rest fits into --max-size.

Results used within the last hour stay, since a run may be about to read them. A removed result is made again
when a scene needs it.`,
		Example: `eligen cache gc --older-than 30d
eligen cache gc --max-size 2GiB --dry-run`,
		Args: cobra.NoArgs,
		RunE: withApp(o.run),
	}
	f := c.Flags()
	f.StringVar(&o.older, "older-than", "", "remove results unused for `TIME`, such as 12h or 30d")
	f.StringVar(&o.most, "max-size", "", "remove until the results take at most `SIZE`, such as 500MiB or 0")
	f.BoolVar(&o.dry, "dry-run", false, "show what would be removed, and remove nothing")
	return c
}

func (o *collectOptions) run(c *cobra.Command, a *app.App, _ []string) error {
	if o.older == "" && o.most == "" {
		return usageError{errors.New("pass --older-than 30d, --max-size 2GiB, or both")}
	}
	collecting := file.Collecting{MaxSize: -1, DryRun: o.dry}
	var err error
	if o.older != "" {
		if collecting.OlderThan, err = readAge(o.older); err != nil {
			return err
		}
	}
	if o.most != "" {
		if collecting.MaxSize, err = readSize("max-size", o.most); err != nil {
			return err
		}
	}
	removed, err := a.Collect(collecting)
	var bytes int64
	for _, e := range removed {
		bytes += e.Size
	}
	did := "removed"
	if o.dry {
		did = "would remove"
	}
	fmt.Fprintf(c.OutOrStdout(), "%s %d files, %s\n", did, len(removed), words.Bytes(bytes))
	return err
}

func newCacheVerify() *cobra.Command {
	return &cobra.Command{
		Use:     "verify",
		Short:   "Check every result",
		Example: "eligen cache verify",
		Long: `Check every result against the digest of its content. Damaged results move to the store's folder "quarantine",
and are made again when a scene needs them; the exit code is then 6.`,
		Args: cobra.NoArgs,
		RunE: withApp(func(c *cobra.Command, a *app.App, _ []string) error {
			sound, damaged, err := a.CheckResults()
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
		}),
	}
}

// exportOptions are the flags of `eligen cache export`.
type exportOptions struct{ planOptions }

func newCacheExport() *cobra.Command {
	var o exportOptions
	c := &cobra.Command{
		Use:   "export FILE [SCENE]",
		Short: "Write results to an archive",
		Long: `Write results to a tar archive, to be imported on another machine: all results, or those of a scene's plan.

A result's name depends on the engine: another machine can use results of models only if its engine is the same.
"eligen plan" prints the engine.`,
		Example: `eligen cache export results.tar scenes/rain.hcl`,
		Args:    cobra.RangeArgs(1, 2),
		RunE:    withApp(o.run),
	}
	o.flags(c)
	return c
}

func (o *exportOptions) run(c *cobra.Command, a *app.App, args []string) error {
	var r app.ExportRequest
	if len(args) == 2 {
		plan, err := o.request(c, args[1])
		if err != nil {
			return err
		}
		r.Plan = &plan
	}
	archive, warnings, err := a.Export(c.Context(), r)
	warned(c, warnings)
	if err != nil {
		return err
	}
	n := 0
	from, to := io.Pipe()
	go func() {
		var err error
		n, err = archive.Write(to)
		to.CloseWithError(err)
	}()
	if err := fetch.Write(from, args[0], ""); err != nil {
		return err
	}
	if left := archive.Results - n; left > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "%d of %d results are not in the store.\n", left, archive.Results)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%d results in %s\n", n, args[0])
	return err
}

func newCacheImport() *cobra.Command {
	return &cobra.Command{
		Use:     "import FILE",
		Short:   "Import results from an archive",
		Example: "# on one machine, and on the other\neligen cache export results.tar\neligen cache import results.tar",
		Long: `Import results from an archive that "eligen cache export" wrote. Each is checked against the digest of its
content. A damaged result, or a truncated archive, ends the import with exit code 6. Results that the store has
already stay as they are.

The check proves that a result is complete, not who made it: import only archives from people whose pictures you
would trust.`,
		Args: exactly(1),
		RunE: withApp(func(c *cobra.Command, a *app.App, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			got, err := a.Import(f, args[0])
			fmt.Fprintf(c.OutOrStdout(), "%d results added, %d were there already\n", got.Added, got.Present)
			if err == nil && !got.Whole {
				fmt.Fprintf(c.ErrOrStderr(),
					"Warning: %s is of an earlier version of eligen, which did not mark an archive's end. Each of "+
						"these results is sound; whether some are missing can't be told.\n", args[0])
			}
			return err
		}),
	}
}
