package main

import (
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dataset"
	"github.com/eligen/eligen/fetch"
	"github.com/eligen/eligen/internal/annotated"
	"github.com/eligen/eligen/internal/files"
)

func newDataset() *cobra.Command {
	return family(&cobra.Command{
		Use:     "dataset",
		Short:   "Make entity-annotated pictures for training",
		Example: "eligen dataset fetch\neligen dataset sheet --count 16 --boxes --out sheet.png",
	}, newDatasetFetch(), newDatasetBuild(), newDatasetAnnotate(), newDatasetImport(), newDatasetExport(), newDatasetStats(),
		newDatasetSheet())
}

func newDatasetFetch() *cobra.Command {
	var from string
	var styles bool
	c := &cobra.Command{
		Use:     "fetch",
		Short:   "Download the pictures that datasets use",
		Example: "eligen dataset fetch --styles",
		Long: fmt.Sprintf(`Download the pictures that datasets are composed of: Microsoft's Fluent emoji (MIT), from the npm package %s %s,
checked by SHA-256.

It comes from the registry that npm is configured to use. With --from, eligen takes the package from this
machine and downloads nothing.

--styles also downloads the same objects drawn in other styles: %s.`, dataset.Assets.Name, dataset.Assets.Version, stylesInWords()),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := fetchSprites(c.Context(), c, from); err != nil || !styles {
				return err
			}
			for _, s := range dataset.Styles {
				if err := fetchStyle(c.Context(), c, s); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&from, "from", "", "take this `FILE`, a .tgz, and download nothing")
	c.Flags().BoolVar(&styles, "styles", false, "also download the other styles")
	return c
}

func stylesInWords() string {
	var list []string
	for _, s := range dataset.Styles {
		list = append(list, fmt.Sprintf("%s (%s %s, %s)", s.Name, s.Package, s.Version, s.License))
	}
	return strings.Join(list, ", ")
}

func fetchSprites(ctx context.Context, c *cobra.Command, from string) error {
	a := dataset.Assets
	p := fetch.Package{Registry: "npm", Name: a.Name, Version: a.Version, SHA256: eligen.Digest(a.SHA256), Limit: 256 << 20}
	return fetchAssets(ctx, c, from, newLab().SpritesFolder(), p,
		func(member string) string {
			name, _ := strings.CutPrefix(member, a.Folder+"/")
			if name == member || strings.Contains(name, "/") {
				return ""
			}
			return name
		},
		func(dir string) error { _, err := dataset.Open(dir); return err })
}

func fetchStyle(ctx context.Context, c *cobra.Command, s dataset.Style) error {
	p := fetch.Package{Registry: "npm", Name: s.Package, Version: s.Version, SHA256: s.SHA256, Limit: 64 << 20}
	return fetchAssets(ctx, c, "", newLab().StyleFolder(s), p,
		func(member string) string {
			if name := strings.TrimPrefix(member, "package/"); slices.Contains(dataset.StyleFiles, name) {
				return name
			}
			return ""
		},
		func(dir string) error {
			for _, f := range dataset.StyleFiles {
				if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
					return err
				}
			}
			return nil
		})
}

// fetchAssets puts the members of a package that pick names into a folder, whole
// or not at all, where ready does not find them there already.
func fetchAssets(
	ctx context.Context, c *cobra.Command, from, dir string, p fetch.Package, pick func(member string) string, ready func(dir string) error,
) error {
	if ready(dir) == nil {
		fmt.Fprintln(c.OutOrStdout(), dir)
		return nil
	}
	archive := from
	if from == "" {
		var err error
		if archive, err = cacheDir("downloads", path.Base(p.Name)+"-"+p.Version+".tgz"); err != nil {
			return err
		}
		fmt.Fprintf(c.ErrOrStderr(), "%s %s from npm\n", p.Name, p.Version)
		if err := p.Download(ctx, &fetch.Client{Progress: downloadProgress(c.ErrOrStderr())}, archive); err != nil {
			return err
		}
	} else if got, err := files.DigestOf(from); err != nil {
		return err
	} else if got != p.SHA256 {
		return fmt.Errorf("%s: %w: its SHA-256 is %s, that of %s %s is %s", from, fetch.ErrDigest, got, p.Name, p.Version, p.SHA256)
	}
	// A folder appears complete or not at all.
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), ".new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	n, err := fetch.Unpack(archive, temp, p.Limit, pick)
	if err != nil {
		return err
	}
	if err := ready(temp); err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(temp, 0o755), os.RemoveAll(dir), os.Rename(temp, dir)); err != nil {
		return err
	}
	if from == "" {
		if err := os.Remove(archive); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.ErrOrStderr(), "%d files\n", n)
	fmt.Fprintln(c.OutOrStdout(), dir)
	return nil
}

// composeOptions are the flags that choose what to compose.
type composeOptions struct {
	sprites string
	count   int
	classes int
	objects int
	size    string
	seed    uint64
	eval    bool
	styles  map[string]string
	kind    string
}

func (o *composeOptions) flags(c *cobra.Command, count int) {
	f := c.Flags()
	f.StringVar(&o.sprites, "sprites", "", "the `FOLDER` of sprites (default where dataset fetch puts them)")
	f.IntVar(&o.count, "count", count, "compose `N` pictures")
	f.IntVar(&o.classes, "classes", 0, "use the first `N` classes of objects (default all)")
	f.IntVar(&o.objects, "objects", 0, "at most `N` objects in a picture, up to 4 (default 4)")
	f.StringVar(&o.size, "size", "256x256", "pictures of `WIDTHxHEIGHT` pixels")
	f.Uint64Var(&o.seed, "seed", 0, "compose other pictures with another seed, `N`")
	f.StringToStringVar(&o.styles, "styles", nil, "draw shares of the pictures in other styles: `STYLE=SHARE,…`, such as flat=0.2,ink=0.1")
	f.StringVar(&o.kind, "kind", "scenes", "compose `KIND`: scenes, or pairs (two panels that show the same object)")
	f.BoolVar(&o.eval, "held-out", false, "use layouts, backgrounds and phrasings that training never shows")
}

// samples returns the pictures to compose.
func (o *composeOptions) samples() (annotated.Samples, error) {
	composer, err := o.composer()
	if err != nil {
		return nil, err
	}
	switch o.kind {
	case "scenes":
		return composer.Sample, nil
	case "pairs":
		return composer.PairSample, nil
	}
	return nil, fmt.Errorf("--kind %q: use scenes or pairs", o.kind)
}

func (o *composeOptions) composer() (*dataset.Composer, error) {
	var size eligen.Size
	if n, err := fmt.Sscanf(o.size+"\n", "%dx%d\n", &size.W, &size.H); err != nil || n != 2 {
		return nil, fmt.Errorf("--size %q: write WIDTHxHEIGHT, such as 256x256", o.size)
	}
	if o.count < 1 || o.count > 10_000_000 {
		return nil, fmt.Errorf("--count %d: pass 1 to 10,000,000", o.count)
	}
	shares := map[string]float64{}
	for name, share := range o.styles {
		f, err := strconv.ParseFloat(share, 64)
		if err != nil {
			return nil, fmt.Errorf("--styles %s=%s: a share is a number, such as 0.2", name, share)
		}
		shares[name] = f
	}
	sprites, err := newLab().Sprites(o.sprites, slices.Collect(maps.Keys(shares))...)
	if err != nil {
		return nil, err
	}
	split := dataset.Train
	if o.eval {
		split = dataset.Eval
	}
	return sprites.Composer(dataset.Options{Classes: o.classes, Size: size, Seed: o.seed, Split: split, MaxObjects: o.objects, Styles: shares})
}

func newDatasetBuild() *cobra.Command {
	var o composeOptions
	c := &cobra.Command{
		Use:     "build DIR",
		Short:   "Write composed pictures to a folder",
		Example: "eligen dataset build data --count 1000 --size 256x256",
		Long: `Write composed pictures to a folder, in EliGen's training format: images, entity masks, and a metadata.json with
prompts. A recipe can name the folder as its dataset.

The same options write the same bytes on every machine.`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			sample, err := o.samples()
			if err != nil {
				return err
			}
			stop := func(i int) (annotated.Sample, error) {
				if err := c.Context().Err(); err != nil {
					return annotated.Sample{}, err
				}
				return sample(i)
			}
			if err := dataset.Write(args[0], stop, o.count); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), filepath.Join(args[0], "metadata.json"))
			return nil
		},
	}
	o.flags(c, 1000)
	return c
}

// sheetOptions are the flags of `eligen dataset sheet`.
type sheetOptions struct {
	composeOptions
	out     string
	columns int
	boxes   bool
}

func newDatasetSheet() *cobra.Command {
	var o sheetOptions
	c := &cobra.Command{
		Use:     "sheet [DIR]",
		Short:   "Draw samples side by side",
		Example: "eligen dataset sheet --out sheet.png\n# of a folder that dataset build has written\neligen dataset sheet data --boxes",
		Long:    "Draw samples side by side: composed ones, or those of a dataset's folder.",
		Args:    cobra.MaximumNArgs(1),
		RunE:    o.run,
	}
	o.flags(c, 16)
	c.Flags().StringVarP(&o.out, "out", "o", "sheet.png", "the `FILE` to write")
	c.Flags().IntVar(&o.columns, "columns", 4, "`N` pictures in a row")
	c.Flags().BoolVar(&o.boxes, "boxes", false, "draw the entities' regions")
	return c
}

func (o *sheetOptions) run(c *cobra.Command, args []string) error {
	if o.count > 1024 {
		return fmt.Errorf("--count %d: a sheet shows at most 1024", o.count)
	}
	var sample annotated.Samples
	if len(args) == 1 {
		folder, err := dataset.Read(args[0], eligen.Size{})
		if err != nil {
			return err
		}
		o.count = min(o.count, folder.Len())
		sample = folder.Sample
	} else {
		var err error
		if sample, err = o.samples(); err != nil {
			return err
		}
	}
	samples := make([]annotated.Sample, o.count)
	for i := range samples {
		if err := c.Context().Err(); err != nil {
			return err
		}
		var err error
		if samples[i], err = sample(i); err != nil {
			return err
		}
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(png.Encode(w, dataset.Sheet(samples, o.columns, o.boxes))) }()
	if err := fetch.Write(r, o.out, ""); err != nil {
		return err
	}
	fmt.Fprintln(c.OutOrStdout(), o.out)
	return nil
}
