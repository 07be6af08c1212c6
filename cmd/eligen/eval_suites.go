package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/internal/page"
)

// newEvalScore scores detections.
func newEvalScore() *cobra.Command {
	var r app.ScoreRequest
	var asJSON bool
	c := &cobra.Command{
		Use:   "score SUITE FILE",
		Short: "Score a detector's results as a benchmark does",
		Long: `Score what a detector found in pictures, as a benchmark's own program does: ` + strings.Join(app.Suites(), ", ") + `.

FILE is what the benchmark asks for: COCO-MIG's mig_bench_anno.yaml, GenEval's evaluation_metadata.jsonl,
T2I-CompBench's prompts, OverLayBench's annotations; for boxes, a scene. The detections are in COCO's results form,
by any detector. docs/evaluation.md says what each rule reads, and which part of a benchmark is not in it.`,
		Example: `eligen eval score boxes scenes/rain.hcl --detections found.json --images images.json
eligen eval score cocomig mig_bench_anno.yaml --detections found.json --images images.json --pictures out/mig/images
eligen eval score geneval evaluation_metadata.jsonl --detections found.json --images images.json --json`,
		Args: exactly(2),
		RunE: withApp(func(c *cobra.Command, a *app.App, args []string) error {
			r.Suite, r.Items = args[0], args[1]
			if r.Detections == "" {
				return usageError{errors.New("--detections is missing: pass a detector's results, in COCO's results form")}
			}
			s, err := a.Score(c.Context(), r)
			if err != nil {
				return err
			}
			if asJSON {
				return page.JSON(c.OutOrStdout(), s)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: %s.\n\n", s.Suite, s.Note)
			width := 0
			for _, f := range s.Figures {
				width = max(width, len([]rune(f.Name)))
			}
			for _, f := range s.Figures {
				fmt.Fprintf(c.OutOrStdout(), "%-*s  %.4f  of %d\n", width, f.Name, f.Value, f.N)
			}
			return nil
		}),
	}
	f := c.Flags()
	f.StringVar(&r.Detections, "detections", "", "the detector's results: this `FILE`, in COCO's results form")
	f.StringVar(&r.Images, "images", "", "the `FILE` with the images and categories, in COCO's form")
	f.StringVar(&r.Pictures, "pictures", "", "the `FOLDER` with the pictures, of which cocomig looks at the colours")
	f.StringVar(&r.Objects, "objects", "", "the `FILE` with the words for things, of numeracy: new_objects.txt")
	f.IntVar(&r.Side, "side", 0, "boxes were detected in pictures of `PIXELS` a side, of overlaybench (default 1024)")
	f.BoolVar(&asJSON, "json", false, "print the figures as JSON")
	return c
}

// newEvalImport writes a suite as a scene.
func newEvalImport() *cobra.Command {
	var out string
	var limit int
	var force bool
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Write a scene from a benchmark's prompts",
		Long: `Write a scene from a benchmark's prompts: COCO-MIG, C-Bench and O-Bench, NSR-1K, GenEval, T2I-CompBench's spatial ones.
Each prompt is a render, whose name and seed are the prompt's number. Where a benchmark has no boxes, eligen places
the things: side by side, or as the relation says.`,
		Example: "eligen eval import mig_bench_anno.yaml --out mig.hcl\neligen eval import evaluation_metadata.jsonl --limit 20",
		Args:    exactly(1),
		RunE: withApp(func(c *cobra.Command, a *app.App, args []string) error {
			if limit < 0 {
				return usageError{fmt.Errorf("--limit %d: pass how many prompts to take", limit)}
			}
			s, err := a.ImportSuite(args[0], limit)
			if err != nil {
				return err
			}
			for _, n := range s.Said {
				fmt.Fprintf(c.ErrOrStderr(), "Note: %s.\n", n)
			}
			if out == "" {
				_, err := c.OutOrStdout().Write(s.Text)
				return err
			}
			if err := (&app.ImportedLayout{Text: s.Text}).Save(out, force); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), out)
			return nil
		}),
	}
	c.Flags().StringVar(&out, "out", "", "write to this `FILE`")
	c.Flags().IntVar(&limit, "limit", 0, "only the first `N` prompts")
	c.Flags().BoolVar(&force, "force", false, "replace an existing file")
	return c
}

// newEvalExport copies pictures into a harness's folder.
func newEvalExport() *cobra.Command {
	var r app.SuiteExport
	c := &cobra.Command{
		Use:   "export SCENE",
		Short: "Lay out pictures for a benchmark's own program",
		Long: `Copy the pictures of a scene's renders into a folder that a benchmark's own program reads as it is: ` +
			strings.Join(app.Harnesses(), ", ") + `.
Render them first. A render belongs to the prompt that it has; several renders of a prompt are its samples.`,
		Example: `eligen eval import evaluation_metadata.jsonl --out geneval.hcl
eligen apply geneval.hcl
eligen eval export geneval.hcl --layout geneval --suite evaluation_metadata.jsonl --out out/geneval`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE: withApp(func(c *cobra.Command, a *app.App, args []string) error {
			if r.Harness == "" || r.Out == "" {
				return usageError{errors.New("pass --layout, one of " + strings.Join(app.Harnesses(), ", ") + ", and --out")}
			}
			r.Input = app.Input{Path: args[0]}
			n, err := a.ExportSuite(c.Context(), r)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: %d pictures\n", filepath.ToSlash(r.Out), n)
			return nil
		}),
	}
	f := c.Flags()
	f.StringVar(&r.Harness, "layout", "", "the folder is laid out for this `BENCHMARK`")
	f.StringVar(&r.Suite, "suite", "", "the benchmark's prompts: this `FILE`")
	f.StringVar(&r.Split, "split", "", "the `SPLIT` of overlaybench: simple, medium or hard")
	f.StringVar(&r.Out, "out", "", "write below this `FOLDER`")
	return c
}
