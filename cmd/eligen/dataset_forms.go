package main

import (
	"errors"
	"fmt"
	"image/png"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dataset"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/internal/words"
)

// newDatasetImport writes a dataset of other programs' annotations.
func newDatasetImport() *cobra.Command {
	var r app.DatasetImport
	var answers importOptions
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Write a dataset from annotations or a scene",
		Long: `Write a dataset from annotations of other programs: COCO, Label Studio, CVAT, LabelMe, Pascal VOC, YOLO, or
EliGen's metadata.json. The pictures lie next to FILE, by the paths that it has. Boxes, polygons and masks become
entities; what has no words, no place or no area is left out, and said. A caption is the form's, NAME.txt next to
the picture, the prompt by which eligen made it, or else the entities' words.

FILE may be a folder, which holds a file for each picture as YOLO and Pascal VOC have them. It may be a scene, too: the
pictures that eligen apply wrote of it, with its regions.`,
		Example: "eligen dataset import annotations.json --out data\neligen dataset import scenes/rain.hcl --out data",
		Args:    exactly(1),
		RunE: withApp(func(c *cobra.Command, a *app.App, args []string) error {
			answer, err := answers.answer()
			if err == nil && r.Out == "" {
				err = errors.New("--out is missing: pass the dataset's folder")
			}
			if err != nil {
				return usageError{err}
			}
			r.LayoutFile = app.LayoutFile{Path: args[0], Answer: answer}
			n, said, err := a.ImportDataset(c.Context(), r)
			for _, s := range said {
				fmt.Fprintf(c.ErrOrStderr(), "Note: %s.\n", strings.TrimSuffix(s, "."))
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", filepath.ToSlash(r.Out), counted(n, "picture"))
			return nil
		}),
	}
	f := c.Flags()
	f.StringVar(&r.Out, "out", "", "write to this `FOLDER`")
	f.StringVar(&answers.convention, "convention", "", "read boxes in this `ORDER/UNIT`, such as xywh/px")
	f.StringVar(&answers.size, "size", "", "the canvas where the file has none: `WIDTHxHEIGHT`")
	f.StringArrayVar(&answers.words, "words", nil, "`TEXT` for an entity that has no words; repeat it, in their order")
	f.StringVar(&answers.images, "images", "", "the `FILE` with the sizes and names of detections")
	f.Float64Var(&answers.score, "score", 0, "leave out detections whose score is below `S`")
	return c
}

// newDatasetExport writes a dataset in other programs' forms.
func newDatasetExport() *cobra.Command {
	var r app.DatasetExport
	c := &cobra.Command{
		Use:   "export DIR",
		Short: "Write a dataset in another program's form",
		Long: `Write a dataset in another program's form: ` + strings.Join(app.DatasetForms(), ", ") + `.

eligen is the form that DiffSynth-Studio's trainer reads for EliGen, with its keys alone; coco and yolo are for detectors.
Pictures are as training sees them: cut to multiples of 16 pixels.`,
		Example: "eligen dataset export data --to eligen --out for-diffsynth\neligen dataset export data --to coco --out coco",
		Args:    exactly(1),
		RunE: withApp(func(c *cobra.Command, a *app.App, args []string) error {
			if r.Folder = args[0]; r.To == "" || r.Out == "" {
				return usageError{errors.New("pass --to, one of " + strings.Join(app.DatasetForms(), ", ") + ", and --out, a folder")}
			}
			file, said, err := a.ExportDataset(c.Context(), r)
			if err != nil {
				return err
			}
			for _, s := range said {
				fmt.Fprintf(c.ErrOrStderr(), "Note: %s.\n", s)
			}
			fmt.Fprintln(c.OutOrStdout(), file)
			return nil
		}),
	}
	c.Flags().StringVar(&r.To, "to", "", "the `FORM` to write")
	c.Flags().StringVar(&r.Out, "out", "", "write to this `FOLDER`")
	return c
}

// newDatasetStats counts a dataset.
func newDatasetStats() *cobra.Command {
	var out string
	var asJSON bool
	c := &cobra.Command{
		Use:     "stats DIR",
		Short:   "Count what a dataset holds",
		Example: "eligen dataset stats data --out stats.png",
		Long:    "Count a dataset's entities: by their words, size, place and overlap. --out draws the histograms.",
		Args:    exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			folder, err := dataset.Read(args[0], eligen.Size{})
			if err != nil {
				return err
			}
			s, err := dataset.StatsOf(folder.Sample, folder.Len())
			if err != nil {
				return err
			}
			if out != "" {
				if err := files.WriteFile(out, func(w io.Writer) error { return png.Encode(w, s.Picture()) }); err != nil {
					return err
				}
			}
			if asJSON {
				return page.JSON(c.OutOrStdout(), s)
			}
			return printStats(c.OutOrStdout(), s)
		},
	}
	c.Flags().StringVarP(&out, "out", "o", "", "draw the histograms to this `FILE`, a PNG")
	c.Flags().BoolVar(&asJSON, "json", false, "print the counts as JSON")
	return c
}

func printStats(w io.Writer, s *dataset.Stats) error {
	fmt.Fprintf(w, "%s with %s\n\n", counted(s.Pictures, "picture"), words.Count(s.Entities, "entity", "entities"))
	entities, pictures := s.Counts()
	for i, n := range entities {
		fmt.Fprintf(w, "%6d pictures with %d\n", pictures[i], n)
	}
	fmt.Fprintln(w)
	for _, c := range s.Words[:min(len(s.Words), 20)] {
		fmt.Fprintf(w, "%6d  %s\n", c.N, c.Words)
	}
	if more := len(s.Words) - 20; more > 0 {
		fmt.Fprintf(w, "        and %d other wordings\n", more)
	}
	histogram := func(title string, counts [dataset.Bins]int) {
		fmt.Fprintf(w, "\n%s\n", title)
		for i, n := range counts {
			fmt.Fprintf(w, "  %.1f–%.1f %6d\n", float64(i)/dataset.Bins, float64(i+1)/dataset.Bins, n)
		}
	}
	histogram("Size: the root of an entity's share of its picture", s.Sizes)
	histogram(fmt.Sprintf("Overlap: the IoU of pairs in a picture; %d pairs lie apart", s.Apart), s.Overlaps)
	_, err := fmt.Fprintln(w)
	return err
}
