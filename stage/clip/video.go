package clip

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/internal/container"
)

// Formats of a [Video].
const (
	MP4  = "mp4"  // H.264
	WebM = "webm" // VP9
)

// Video writes an MP4 or a WebM through ffmpeg, with loss. It plays once: whether a
// video is repeated is up to who plays it.
type Video struct {
	Resolved Resolved
	Strip    bool         // say nothing of how it was made
	Format   string       // MP4 or WebM
	FFmpeg   string       // version, as [Available] says it: another one makes other bytes
	Mark     *eligen.Mark `recipe:"omitzero"`            // nil: the file says nowhere else that a model made it
	Timeline string       `json:",omitempty" recipe:"-"` // its address, for screens: the file doesn't hold it
}

// flags make a video. One thread, and nothing of time or version in the file: the
// same ffmpeg writes the same bytes.
var flags = map[string][]string{
	MP4:  {"-c:v", "libx264", "-preset", "medium", "-crf", "18", "-movflags", "+faststart", "-f", "mp4"},
	WebM: {"-c:v", "libvpx-vp9", "-deadline", "good", "-cpu-used", "2", "-crf", "24", "-b:v", "0", "-row-mt", "0", "-f", "webm"},
}

var encoder = map[string]string{MP4: "libx264", WebM: "libvpx-vp9"}

// Kind returns the stage's name and version.
func (Video) Kind() string { return "video/1" }

// String describes the stage, for people.
func (o Video) String() string { return fmt.Sprintf("%s of %d frames", o.Format, o.Resolved.Frames) }

// Available returns the version of the ffmpeg in PATH, if it can write a format. Planning
// asks it, so that a missing ffmpeg is reported before anything runs.
func Available(format string) (version string, err error) {
	if flags[format] == nil {
		return "", fmt.Errorf("there is no video format %q; there are %s and %s", format, MP4, WebM)
	}
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		return "", fmt.Errorf("ffmpeg writes files .%s, and there is none in PATH. Install it, or write .gif, .webp or .apng", format)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // something else may have the name
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "-hide_banner", "-version").Output()
	fields := strings.Fields(string(out)) // "ffmpeg version 7.1 Copyright …"
	if err != nil || len(fields) < 3 || fields[1] != "version" {
		return "", fmt.Errorf("%s does not say its version as ffmpeg does", path)
	}
	version = strings.ToValidUTF8(fields[2], "?")
	out, err = exec.CommandContext(ctx, path, "-hide_banner", "-encoders").Output()
	if err != nil || !strings.Contains(string(out), " "+encoder[format]+" ") {
		return "", fmt.Errorf("ffmpeg %s (%s) can't write %s: it was built without %s", version, path, format, encoder[format])
	}
	return version, nil
}

// Check says why there can be no such video. Planning can ask it.
func (o Video) Check() error {
	if err := o.Resolved.check(); err != nil {
		return err
	}
	if flags[o.Format] == nil {
		return fmt.Errorf("there is no video format %q; there are %s and %s", o.Format, MP4, WebM)
	}
	if s := o.Resolved.Size; s.W%2 != 0 || s.H%2 != 0 {
		return fmt.Errorf("%d×%d pixels: a video's sides are even", s.W, s.H)
	}
	return nil
}

// rate returns fps as ffmpeg takes it, without rounding where it is a whole number.
func (r Resolved) rate() string {
	if r.FPS == math.Trunc(r.FPS) {
		return fmt.Sprintf("%d", int(r.FPS))
	}
	return fmt.Sprintf("%d/1000", int(math.Round(r.FPS*1000)))
}

// Run hands ffmpeg the frames as they are decoded, and then over what it wrote.
func (o Video) Run(ctx context.Context, c *eligen.Call) (err error) {
	if err := o.Check(); err != nil {
		return err
	}
	version, err := Available(o.Format)
	if err != nil {
		return err
	}
	if version != o.FFmpeg {
		return fmt.Errorf("the ffmpeg in PATH is version %s, and the plan was made for %s: plan again", version, o.FFmpeg)
	}
	dir, err := os.MkdirTemp("", "eligen-video-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "video")
	if err := o.encode(ctx, c, name); err != nil {
		return err
	}
	data, err := os.ReadFile(name) // the result is held whole by who asked for it, too
	if err != nil {
		return err
	}
	var text []byte
	if !o.Strip {
		if text, err = container.About(o.Resolved); err != nil {
			return err
		}
	}
	f := container.New(c.Out)
	if o.Format == MP4 {
		f.Add(data, container.MarkMP4(o.Mark))
		if text != nil {
			f.Add(box(uuidText, text))
		}
		return f.Close(endMP4)
	}
	if text != nil {
		text = webmTag(webmText, text)
	}
	if o.Mark != nil {
		text = append(webmTag(webmMark, []byte(container.SourceOf(o.Mark))), text...)
	}
	tail := container.End(endWebM).Len()
	if err := lengthen(data, len(text)+tail); err != nil {
		return err
	}
	f.Add(data, text)
	return f.Close(endWebM)
}

// encode has ffmpeg write a file.
func (o Video) encode(ctx context.Context, c *eligen.Call, name string) error {
	r := o.Resolved
	args := []string{
		"-hide_banner", "-nostdin", "-loglevel", "error",
		"-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", fmt.Sprintf("%dx%d", r.Size.W, r.Size.H), "-framerate", r.rate(), "-i", "pipe:0",
		// The rule by which colours are converted, and that the file says so: left
		// alone, ffmpeg takes an older one, which players don't expect.
		"-vf", "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_int+bitexact,format=yuv420p," +
			"setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=iec61966-2-1",
		"-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-threads", "1", "-filter_threads", "1",
	}
	cmd := exec.CommandContext(ctx, "ffmpeg", append(append(args, flags[o.Format]...), name)...)
	cmd.WaitDelay = 10 * time.Second
	said := &tail{}
	cmd.Stderr = said
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("ffmpeg can't be started: %w", err)
	}
	row := make([]byte, 0, 3*r.Size.W*r.Size.H)
	var broken error // of the pipe: then ffmpeg says why
	err = r.each(ctx, c, func(i int, img *image.NRGBA) error {
		row = row[:0]
		for p := 0; p < len(img.Pix); p += 4 {
			row = append(row, img.Pix[p:p+3]...)
		}
		if _, broken = pipe.Write(row); broken != nil {
			return broken
		}
		c.Step(i+1, r.Frames)
		return nil
	})
	if err != nil && broken == nil {
		_ = cmd.Process.Kill() // report the frames' error
		_ = cmd.Wait()
		return err
	}
	closed := pipe.Close()
	waited := cmd.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if waited != nil {
		return fmt.Errorf("ffmpeg failed (%w): %s", waited, said)
	}
	return errors.Join(err, closed)
}

// tail keeps the last of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-1000):]
	return len(p), nil
}

func (t *tail) String() string { return strings.ToValidUTF8(strings.TrimSpace(string(t.b)), "?") }

var _ io.Writer = (*tail)(nil)

// lengthen makes room in a WebM's segment, which is its last element, for n bytes
// more after it.
func lengthen(data []byte, n int) error {
	strange := errors.New("ffmpeg wrote a WebM whose segment can't be found")
	_, k, ok := number(data, 4)
	if !ok {
		return strange
	}
	_, m, ok := number(data[k:], 8)
	if !ok {
		return strange
	}
	head := size(data[k : k+m])
	if head > uint64(len(data)-k-m) {
		return strange
	}
	segment := data[uint64(k+m)+head:]
	if !bytes.HasPrefix(segment, []byte(ebmlSegment)) || len(segment) < 12 || segment[4] != 1 {
		return strange
	}
	length := segment[4:12]
	if size(length) != uint64(len(segment)-12) {
		return strange
	}
	binary.BigEndian.PutUint64(length, uint64(len(segment)-12+n)|1<<56)
	return nil
}
