package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/hub"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/internal/words"
)

// pullOptions are the flags of `eligen models pull`.
type pullOptions struct {
	revision, to     string
	files            []string
	check, dry, json bool
}

func newModelsPull() *cobra.Command {
	var o pullOptions
	c := &cobra.Command{
		Use:   "pull OWNER/NAME",
		Short: "Download a model from Hugging Face or ModelScope",
		Long: `Download the files of a repository that a model needs, from Hugging Face, or from ModelScope as modelscope:OWNER/NAME.

Files go to the hub's own cache, where other programs find them, and what those have fetched is used. Of FLUX.1,
which is published in two spellings, pull takes one. An interrupted download resumes; each file is checked by the
hub's digest. The path of the model goes to standard output: of the folder, or of the file where it is one.

For a gated repository, accept the licence on its page and set HF_TOKEN to an access token. HF_HOME, HF_ENDPOINT,
HF_TOKEN_PATH, HF_HUB_OFFLINE, MODELSCOPE_CACHE and the token of "hf auth login" have their usual meaning.`,
		Example: `eligen models pull black-forest-labs/FLUX.1-dev
eligen models pull city96/FLUX.1-dev-gguf --file flux1-dev-Q8_0.gguf
eligen models pull modelscope:DiffSynth-Studio/Eligen --to weights
# what would be fetched, and how much it is
eligen models pull black-forest-labs/FLUX.1-schnell --dry-run`,
		Args: exactly(1),
		RunE: withApp(o.run),
	}
	c.Flags().StringVar(&o.revision, "revision", "", "take this `REVISION`, a branch, a tag or a commit (default the main branch)")
	c.Flags().StringArrayVar(&o.files, "file", nil, "take these `FILES`, by a name, a pattern or a folder with a slash; may be repeated")
	c.Flags().StringVar(&o.to, "to", "", "put the files into the folder `DIR`, and not into the cache")
	c.Flags().BoolVar(&o.check, "check", false, "read files that are there, and fetch damaged ones again")
	c.Flags().BoolVar(&o.dry, "dry-run", false, "fetch nothing; list the files with their sizes")
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}

func (o *pullOptions) run(c *cobra.Command, a *app.App, args []string) error {
	log := c.ErrOrStderr()
	progress, done := pullProgress(log)
	start := time.Now()
	r, err := a.PullRepo(c.Context(), app.RepoRequest{
		Repo: args[0], Revision: o.revision, Files: o.files, To: o.to, Check: o.check, Dry: o.dry,
		Chosen: func(r app.RepoResult) { fmt.Fprintln(log, pullWords(r)) }, Progress: progress,
	})
	done()
	if err != nil {
		return err
	}
	switch {
	case o.json:
		return page.JSON(c.OutOrStdout(), r)
	case o.dry:
		fmt.Fprintln(log, pullWords(r))
		return listPull(c.OutOrStdout(), r)
	case r.Network > 0:
		took := time.Since(start)
		rate := int64(float64(r.Network) / took.Seconds())
		fmt.Fprintf(log, "Fetched %s in %s, %s/s\n", words.Bytes(r.Network), took.Round(time.Second), words.Bytes(rate))
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), r.Source)
	return err
}

// pullWords says what a pull will do.
func pullWords(r app.RepoResult) string {
	fetch := 0
	for _, f := range r.Files {
		if f.Fetched {
			fetch++
		}
	}
	s := fmt.Sprintf("%s, %s at %s: %s, %s", r.Repo, r.Revision, page.Quiet.Of(shortCommit(r.Commit)),
		counted(len(r.Files), "file"), words.Bytes(r.Bytes))
	if r.License != "" {
		s += ", licence " + r.License
	}
	switch {
	case fetch == 0:
		return s + "; all of it is there"
	case fetch == len(r.Files):
		return s
	}
	return s + fmt.Sprintf("; %d are missing, %s", fetch, words.Bytes(r.Missing))
}

func shortCommit(commit string) string { return commit[:min(len(commit), 12)] }

// listPull prints a line a file.
func listPull(w io.Writer, r app.RepoResult) error {
	var rows [][]string
	for _, f := range r.Files {
		state := "there"
		if f.Fetched {
			state = "missing"
		}
		rows = append(rows, []string{f.Name, words.Bytes(f.Size), page.Quiet.Of(state)})
	}
	_, err := io.WriteString(w, page.Table(rows, page.Columns(w), page.Column{Fit: page.CutLeft}))
	return err
}

// pullProgress shows how far a pull is: a line that is written over on a terminal, else a line a file, and
// one whenever the hub has to be waited for.
func pullProgress(w io.Writer) (progress func(hub.Progress), done func()) {
	if terminal(w) {
		return func(p hub.Progress) { _ = page.Redraw(w, "  "+progressLine(p)) }, func() { _ = page.Redraw(w, "") }
	}
	said := ""
	return func(p hub.Progress) {
		switch {
		case p.Waiting != "" && p.Waiting != said:
			fmt.Fprintln(w, p.Waiting)
		case p.Waiting == "" && p.FileDone == p.FileSize:
			fmt.Fprintf(w, "%s  %s\n", p.File, words.Bytes(p.FileSize))
		}
		said = p.Waiting
	}, func() {}
}

// progressLine writes how far a pull is.
func progressLine(p hub.Progress) string {
	if p.Waiting != "" {
		return p.Waiting
	}
	part := 100.
	if p.Size > 0 {
		part = 100 * float64(p.Done) / float64(p.Size)
	}
	s := fmt.Sprintf("%2.0f %%  %s of %s", part, words.Bytes(p.Done), words.Bytes(p.Size))
	if p.Rate > 0 {
		s += fmt.Sprintf("  %s/s  %s left", words.Bytes(int64(p.Rate)), max(p.Left, 0).Round(time.Second))
	}
	return s + "  " + p.File
}

func newModelsList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List downloaded models",
		Example: "eligen models list",
		Long:    "List the models in the caches of Hugging Face and ModelScope, whichever program has fetched them.",
		Args:    cobra.NoArgs,
		RunE: withApp(func(c *cobra.Command, a *app.App, _ []string) error {
			list, err := a.CachedRepos()
			if err != nil {
				return err
			}
			if asJSON {
				return page.JSON(c.OutOrStdout(), append([]hub.Cached{}, list...))
			}
			return listModels(c.OutOrStdout(), list)
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, with all files")
	return c
}

// listModels prints a line a revision.
func listModels(w io.Writer, list []hub.Cached) error {
	var rows [][]string
	total := int64(0)
	for _, r := range list {
		total += r.Bytes + r.Partial
		for _, v := range r.Revisions {
			rows = append(rows, []string{
				r.Repo.String(), strings.Join(append(v.Refs, page.Quiet.Of(shortCommit(v.Commit))), " "),
				counted(len(v.Files), "file"), words.Bytes(v.Bytes), page.Quiet.Of(used(r.Used)),
			})
		}
		if r.Partial > 0 {
			resume := "resume with eligen models pull " + r.Repo.String()
			rows = append(rows, []string{r.Repo.String(), "interrupted", "", words.Bytes(r.Partial), resume})
		}
	}
	c := page.Column{}
	_, err := io.WriteString(w, page.Table(rows, page.Columns(w), c, c, c, c, page.Column{Fit: page.Wrap}))
	if err == nil {
		_, err = fmt.Fprintf(w, "%s, %s\n", counted(len(list), "model"), words.Bytes(total))
	}
	return err
}

func newModelsRemove() *cobra.Command {
	var revision string
	c := &cobra.Command{
		Use:   "rm OWNER/NAME…",
		Short: "Remove downloaded models",
		Long: `Remove models from the caches of Hugging Face and ModelScope. Other programs that use them fetch them again.

With --revision, only that revision goes, and the files that no other revision has.`,
		Example: "eligen models rm black-forest-labs/FLUX.1-schnell",
		Args:    some,
		RunE: withApp(func(c *cobra.Command, a *app.App, args []string) error {
			for _, repo := range args {
				freed, err := a.RemoveRepo(repo, revision)
				if err != nil {
					return err
				}
				fmt.Fprintf(c.ErrOrStderr(), "Removed %s, %s\n", repo, words.Bytes(freed))
			}
			return nil
		}),
	}
	c.Flags().StringVar(&revision, "revision", "", "remove this `REVISION` only, a branch, a tag or a commit")
	return c
}

func newModelsVerify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify [OWNER/NAME…]",
		Short: "Check downloaded models by their digests",
		Long: `Read models in the caches of Hugging Face and ModelScope, and compare each file with its digest. Exits with 6 if one
is damaged. ModelScope is asked for its digests; Hugging Face's are the names of the files.`,
		Example: "eligen models verify\neligen models verify black-forest-labs/FLUX.1-dev",
		RunE:    withApp(verifyModels),
	}
}

func verifyModels(c *cobra.Command, a *app.App, args []string) error {
	var progress func(string, hub.Progress)
	if log := c.ErrOrStderr(); terminal(log) {
		progress = func(repo string, p hub.Progress) { _ = page.Redraw(log, "  "+repo+"  "+progressLine(p)) }
		defer func() { _ = page.Redraw(log, "") }()
	}
	list, err := a.CheckRepos(c.Context(), args, progress)
	damaged := false
	for _, r := range list {
		state := page.Added.Of("good")
		if len(r.Damaged) > 0 {
			damaged, state = true, page.Failed.Of(fmt.Sprintf("%d damaged", len(r.Damaged)))
		}
		fmt.Fprintf(c.OutOrStdout(), "%s: %s, %s, %s\n", r.Repo, counted(r.Files, "file"), words.Bytes(r.Bytes), state)
		for _, d := range r.Damaged {
			was := "it is gone"
			if d.Got != "" {
				was = "its digest is " + d.Got
			}
			fmt.Fprintf(c.OutOrStdout(), "  %s: %s, and should be %s\n", strings.Join(d.Files, ", "), was, d.Want)
		}
		if len(r.Damaged) > 0 {
			fmt.Fprintf(c.OutOrStdout(), "Fetch it again with: %s\n", page.Name.Of("eligen models pull --check "+r.Repo.String()))
		}
	}
	if err != nil {
		return err
	}
	if damaged {
		return exit{exitIntegrity, errors.New("some files are damaged")}
	}
	return nil
}
