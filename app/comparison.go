package app

import (
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/internal/pixels"
	"github.com/eligen/eligen/stage/measure"
	"github.com/eligen/eligen/stage/still"
)

// A comparison is a render that was made again, and its record.
type comparison struct {
	verified
	v       *Verifying
	img     *image.NRGBA
	now     eligen.Digest // how it was made
	there   eligen.Digest // how it would be made on the engine of the record
	summary string        // of a mismatch
}

// compare compares a picture with its record. The verdict is one line; mismatch explains the
// difference in sentences, "" without one.
func (c *comparison) compare() (verdict, mismatch string) {
	same := still.Pixels(c.img) == c.record.Pixels
	switch {
	case c.now == c.record.Plan && same:
		return "the same pixels, on the same engine", ""
	case c.there == c.record.Plan && same:
		return "the same pixels, on another engine", ""
	case c.now == c.record.Plan && !strings.Contains(c.v.plan.engine.ID(), "cuda"): // a GPU adds in whatever order numbers come
		c.summary = "Picture differs from its record"
		found, text := c.against()
		return "other pixels" + found, fmt.Sprintf(
			"The recipe and the engine are those of the record, and %s came out with other pixels: something in this "+
				"build or machine computes otherwise.%s", c.render.Address, text)
	case c.there == c.record.Plan:
		return c.likeness()
	}
	c.summary = "Scene differs from its record"
	found, text := c.against()
	detail := fmt.Sprintf("%s is not made as it was when it was recorded:", c.render.Address)
	for _, line := range c.named() {
		detail += "\n  " + line
	}
	if same {
		text = " Its pixels are the recorded ones all the same."
	}
	return "changed" + found, detail + "\n" + strings.TrimPrefix(text, " ")
}

// likeness compares with the recorded picture, by PSNR: another engine rounds
// otherwise, and so does a GPU from one time to the next.
func (c *comparison) likeness() (verdict, mismatch string) {
	where := fmt.Sprintf(
		"%s was recorded on %s, and this is %s. Engines round differently, so the new picture is compared with the "+
			"recorded one", c.render.Address, c.record.Engine, c.v.plan.engine.ID())
	on := "on another engine"
	if c.now == c.record.Plan {
		where = fmt.Sprintf(
			"%s was recorded on this engine, a GPU, which makes no two pictures that are equal bit for bit; so the "+
				"new one is compared with the recorded one", c.render.Address)
		on = "on a GPU"
	}
	var troubles []string
	for _, path := range c.paths {
		img, err := dsl.ReadPicture(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			troubles = append(troubles, path+" is not there")
		case err != nil:
			troubles = append(troubles, err.Error())
		case still.Pixels(img) != c.record.Pixels:
			troubles = append(troubles, path+" has other pixels than were recorded")
		default:
			d := comparePictures(pixels.Straight(img), c.img)
			likeness := fmt.Sprintf("%.2f dB from the recorded picture, %s (at least %g)", d.PSNR, on, c.record.PSNR)
			if d.PSNR >= c.record.PSNR {
				return likeness, ""
			}
			c.summary = "Picture differs from its record"
			found, text := c.against()
			return "other pixels" + found, fmt.Sprintf("%s. It is %s.%s", where, likeness, text)
		}
	}
	if len(troubles) == 0 {
		troubles = append(troubles, "every file of it has its regions drawn over")
	}
	c.summary = "No recorded picture to compare with"
	found, text := c.against()
	return "nothing to compare with" + found, fmt.Sprintf(
		"%s, and %s. Put the recorded picture there, or verify on the engine of the record.%s",
		where, strings.Join(troubles, ", and "), text)
}

// named lists how the render has changed since it was recorded.
func (c *comparison) named() []string {
	if c.record.Resolved == nil {
		return []string{"the lock doesn't say what it was"}
	}
	var was []fact
	for name, value := range c.record.Resolved {
		// "entity.dog.prompt" is entity.hound.prompt, if the entity was moved.
		if i := strings.LastIndex(name, "."); i >= 0 {
			name = movedTo(c.v.plan.Scene.Moves, name[:i]) + name[i:]
		}
		was = append(was, fact{name, value})
	}
	slices.SortFunc(was, func(a, b fact) int { return strings.Compare(a.name, b.name) })
	now := resolvedFacts(c.resolved)
	if recordsMotion(was) {
		now = append(now, motionFacts(c.render.Clip)...)
	}
	lines := factChanges("", was, now)
	switch {
	case len(lines) > 0:
	case c.render.Clip != nil && !recordsMotion(was):
		lines = []string{"its timeline, or the release of eligen: the lock was written before 0.2, and doesn't say how the clip moved"}
	default:
		lines = []string{"this release of eligen goes about it in another way; the scene says the same"}
	}
	if c.record.Engine != c.v.plan.engine.ID() {
		lines = append(lines, fmt.Sprintf("engine: %s → %s", c.record.Engine, c.v.plan.engine.ID()))
	}
	return lines
}

// against compares a new picture with the one next to the scene, and draws where they
// differ. found goes on a verdict's line, text into a message.
func (c *comparison) against() (found, text string) {
	for _, path := range c.paths {
		old, err := dsl.ReadPicture(path)
		if err != nil {
			continue
		}
		if old.Bounds().Size() != c.img.Rect.Size() {
			was, is := SizeText(old.Bounds().Size()), SizeText(c.img.Rect.Size())
			return "", fmt.Sprintf(" %s has %s pixels, the new picture %s.%s", path, was, is, c.keep())
		}
		d := comparePictures(pixels.Straight(old), c.img)
		if d.Differ == 0 {
			return "", fmt.Sprintf(" %s is the new picture already.", path)
		}
		if d.PSNR == measure.Equal {
			text = fmt.Sprintf(" %s has the same colours, and another transparency.", path)
		} else {
			text = fmt.Sprintf(" Against %s it has %s", path, d)
		}
		folder, name := c.diffPath(path, ".diff.png")
		if err := writePicture(folder, name, d.Picture()); err != nil {
			return fmt.Sprintf(", %.2f dB from %s", d.PSNR, path), fmt.Sprintf("%s Where they differ could not be drawn: %v.", text, err)
		}
		return fmt.Sprintf(", %.2f dB from %s; %s shows where", d.PSNR, path, filepath.Join(folder, name)), text + c.keep()
	}
	return "", " There is no picture of it next to the scene to compare with." + c.keep()
}

// keep writes the new picture to the request's folder for differences, if it has one.
func (c *comparison) keep() string {
	if c.v.request.DiffFolder == "" || len(c.paths) == 0 {
		return ""
	}
	folder, name := c.diffPath(c.paths[0], ".now.png")
	if err := writePicture(folder, name, c.img); err != nil {
		return fmt.Sprintf(" The new picture could not be kept: %v.", err)
	}
	return fmt.Sprintf(" The new picture is %s.", filepath.Join(folder, name))
}

// diffPath returns where a picture about an output goes: next to it, or in the request's
// folder for differences, by its path below the scene's folder.
func (c *comparison) diffPath(path, ending string) (folder, name string) {
	folder = filepath.Dir(c.v.plan.Scene.Path)
	name, err := filepath.Rel(folder, path)
	if err != nil {
		name = filepath.Base(path)
	}
	name = strings.TrimSuffix(name, filepath.Ext(name)) + ending
	if c.v.request.DiffFolder != "" {
		folder, name = c.v.request.DiffFolder, strings.ReplaceAll(filepath.ToSlash(name), "/", "-")
	}
	return folder, name
}
