package dsl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen"
)

// timelineOf reads a scene with a timeline, and says what was found wrong with it.
func timelineOf(t *testing.T, entity, timeline string) (*eligen.Timeline, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.hcl")
	src := "render \"r\" {\n  prompt = \"a road\"\n  timeline = timeline.t\n}\n\nentity \"car\" {\n  prompt = \"a car\"\n  " + entity +
		"\n}\n\ntimeline \"t\" {\n" + timeline + "\n}\n"
	if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	scene, ds := Load(t.Context(), path, Vars{})
	if len(ds) == 0 { // what it means is the planner's to judge; that regions are small is no matter here
		_, all := judged(t.Context(), path, Vars{})
		for _, d := range all {
			if d.Severity == eligen.Error && d.Summary != "Region covers no image token" || d.Summary == "Unlikely region" {
				ds = append(ds, d)
			}
		}
	}
	var says []string
	for _, d := range ds {
		says = append(says, string(d.Severity)+": "+d.Summary+": "+d.Detail)
	}
	if scene == nil {
		return nil, strings.Join(says, "\n")
	}
	return &scene.Renders[0].Clip.Timeline, strings.Join(says, "\n")
}

func keysOf(keys string) string {
	return "track {\n target = entity.car.box\n keys = [" + keys + "]\n}"
}

// What people write of time and is right: nothing is said of it.
func TestTimelinesThatAreRight(t *testing.T) {
	const on, off = "box = xywh(0.1, 0.1, 0.3, 0.3)", "box = xywh(-0.5, 0.1, 0.3, 0.3)"
	for _, c := range []struct {
		name, entity, timeline string
		frames                 []float64 // of the keys
	}{
		{"drive in and out", on, "frames = 5\n" + keysOf("{at = 0, value = xywh(-0.5, 0, 0.3, 0.3)}, {at = 4, value = xywh(1.2, 0, 0.3, 0.3)}"),
			[]float64{0, 4}},
		{"partly outside", on, "frames = 5\n" + keysOf("{at = 0, value = xywh(-0.1, 0, 0.3, 0.3)}, {at = 4, value = xywh(0.9, 0, 0.3, 0.3)}"),
			[]float64{0, 4}},
		{"the entity's own box is outside, and moves in", off,
			"frames = 2\ntrack {\n target = entity.car.center\n path = polyline([[-0.5, 0.5], [0.5, 0.5]])\n}", nil},
		{"pixels that leave", "box = px(xywh(-200, 10, 100, 100))",
			"frames = 2\n" + keysOf("{at = 0, value = px(xywh(-200, 10, 100, 100))}, {at = 1, value = px(xywh(9000, 10, 100, 100))}"),
			[]float64{0, 1}},
		{"one frame", on, "frames = 1\n" + keysOf("{at = \"0%\", value = xywh(0, 0, 0.3, 0.3)}, {at = \"100%\", value = xywh(0.5, 0, 0.3, 0.3)}"),
			[]float64{0}},
		{"one frame of three keys", on, "frames = 1\n" + keysOf("{at = 0, value = xywh(0, 0, 0.3, 0.3)}, {at = \"50%\", value = xywh(0.1, 0, "+
			"0.3, 0.3)}, {at = \"100%\", value = xywh(0.5, 0, 0.3, 0.3)}"), []float64{0}},
		{"a key at the very end", on,
			"duration = \"2s\"\n" + keysOf("{at = \"0s\", value = xywh(0, 0, 0.3, 0.3)}, {at = \"2s\", value = xywh(0.5, 0, 0.3, 0.3)}"),
			[]float64{0, 24}},
		{"at the end of so many frames", on, "frames = 24\nfps = 12\n" +
			keysOf("{at = \"0s\", value = xywh(0, 0, 0.3, 0.3)}, {at = \"2000ms\", value = xywh(0.5, 0, 0.3, 0.3)}"), []float64{0, 24}},
		{"at the end of a length that is no whole frames", on, "duration = 1.04\n" +
			keysOf("{at = \"0s\", value = xywh(0, 0, 0.3, 0.3)}, {at = \"1.04s\", value = xywh(0.5, 0, 0.3, 0.3)}"), []float64{0, 12.48}},
		{"one frame, and a key at its end", on,
			"frames = 1\n" + keysOf("{at = 0, value = xywh(0, 0, 0.3, 0.3)}, {at = \"0.08s\", value = xywh(0.5, 0, 0.3, 0.3)}"), []float64{0, 0.96}},
		{"easings.net's name", on, "frames = 2\n" +
			keysOf("{at = 0, value = xywh(0, 0, 0.3, 0.3), ease = \"easeInOutCubic\"}, {at = 1, value = xywh(0.5, 0, 0.3, 0.3)}"), []float64{0, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			line, says := timelineOf(t, c.entity, c.timeline)
			if says != "" || line == nil {
				t.Fatal(says)
			}
			var frames []float64
			for _, k := range line.Tracks[0].Keys {
				frames = append(frames, k.Frame)
			}
			if len(frames) != len(c.frames) {
				t.Fatalf("keys at %v, want %v", frames, c.frames)
			}
			for i, f := range frames {
				if d := f - c.frames[i]; d > 1e-9 || d < -1e-9 {
					t.Errorf("keys at %v, want %v", frames, c.frames)
				}
			}
			if line.Frames == 1 && len(line.Tracks[0].Keys) > 0 {
				if got := line.Tracks[0].At(0, 1, eligen.Size{W: 64, H: 64}).Region.Numbers[0]; got != 0 {
					t.Errorf("the one frame is at %v, want where it begins", got)
				}
			}
		})
	}
}

// What is wrong with time, and that it is said once: a length that is none says nothing
// of the keys.
func TestTimelinesThatAreWrong(t *testing.T) {
	const on, off = "box = xywh(0.1, 0.1, 0.3, 0.3)", "box = xywh(-0.5, 0.1, 0.3, 0.3)"
	two := func(a, b string) string {
		return keysOf("{at = " + a + ", value = xywh(0, 0, 0.3, 0.3)}, {at = " + b + ", value = xywh(0.5, 0, 0.3, 0.3)}")
	}
	for _, c := range []struct{ name, entity, timeline, want string }{
		{"no length", on, "duration = \"0s\"\n" + two(`"0%"`, `"100%"`),
			"error: Value out of range: \"duration\" must be longer than 0 seconds."},
		{"a negative length", on, "duration = \"-2s\"\n" + two(`"0%"`, `"100%"`), "error: Incorrect type: \"duration\" is a time"},
		{"no frames", on, "frames = 0\n" + two("0", "4"), "error: Value out of range: \"frames\" must be"},
		{"half a frame", on, "frames = 2.5\n" + two("0", "9"), "error: Value out of range: \"frames\" must be"},
		{"too many frames", on, "frames = 20000\n" + two(`"0s"`, `"1500s"`), "error: Value out of range: \"frames\" must be"},
		{"too long", on, "duration = \"1000m\"\n" + two(`"0s"`, `"999m"`),
			"error: Value out of range: 60000 seconds at 12 frames a second are 720000 frames"},
		{"no speed", on, "fps = 0\nduration = \"2s\"\n" + two(`"0s"`, `"2s"`), "error: Value out of range: \"fps\" is the frames of a second"},
		{"length said twice", on, "frames = 4\nduration = \"2s\"\n" + two(`"0s"`, `"1.9s"`), "error: Conflicting arguments"},
		{"after the end", on, "duration = \"2s\"\n" + two(`"0s"`, `"2.1s"`),
			"error: Value out of range: This is after the end: the timeline is 2 s long, 24 frames at 12 a second."},
		{"a frame that isn't there", on, "frames = 24\n" + two("0", "24"),
			"error: Value out of range: This is frame 24, and the timeline has the frames 0 to 23."},
		{"more than all of one frame", on, "frames = 1\n" + two(`"0%"`, `"150%"`), "error: Value out of range"},
		{"one frame, the wrong way round", on, "frames = 1\n" + two(`"100%"`, `"0%"`), "error: Keys out of order"},
		{"the same time twice", on, "frames = 9\n" + two(`"50%"`, "4"), "error: Keys out of order"},
		{"an ease on the last key", on, "frames = 2\n" + keysOf("{at = 0, value = xywh(0, 0, 0.3, 0.3)}, {at = 1, value = xywh(0.5, 0, 0.3, "+
			"0.3), ease = \"quad-in\"}"), "warning: Argument without effect: An ease is that of the way to the next key, and this is the last."},
		{"CSS's function", on, "frames = 2\n" +
			keysOf("{at = 0, value = xywh(0, 0, 0.3, 0.3), ease = \"cubic-bezier(0.1, 0.2, 0.3, 1)\"}, {at = 1, value = xywh(0.5, 0, 0.3, 0.3)}"),
			"error: Unknown value: There is no ease \"cubic-bezier(0.1, 0.2, 0.3, 1)\". Write it as a function, without quotes: bezier(0.1, " +
				"0.2, 0.3, 1)."},
		{"CSS's steps", on, "frames = 2\n" +
			keysOf("{at = 0, value = xywh(0, 0, 0.3, 0.3), ease = \"steps(4, end)\"}, {at = 1, value = xywh(0.5, 0, 0.3, 0.3)}"),
			"error: Unknown value: There is no ease \"steps(4, end)\". Write it as a function, without quotes: steps(4)."},
		{"CSS's step-end", on, "frames = 2\n" +
			keysOf("{at = 0, value = xywh(0, 0, 0.3, 0.3), ease = \"step-end\"}, {at = 1, value = xywh(0.5, 0, 0.3, 0.3)}"),
			"error: Unknown value: There is no ease \"step-end\". A value that stays until the next key is \"hold\"."},
		{"a function's name", on, "frames = 2\n" +
			keysOf("{at = 0, value = xywh(0, 0, 0.3, 0.3), ease = \"spring\"}, {at = 1, value = xywh(0.5, 0, 0.3, 0.3)}"),
			"error: Unknown value: There is no ease \"spring\". Write it as a function, without quotes: spring()."},
		{"a curve without its way", on,
			"frames = 2\n" + keysOf("{at = 0, value = xywh(0, 0, 0.3, 0.3), ease = \"cubic\"}, {at = 1, value = xywh(0.5, 0, 0.3, 0.3)}"),
			"error: Unknown value: There is no ease \"cubic\". It goes \"cubic-in\", \"cubic-out\" or \"cubic-in-out\"."},
		{"pixels as fractions", on, "frames = 2\n" + keysOf("{at = 0, value = xywh(0, 0, 0.3, 0.3)}, {at = 1, value = xywh(100, 100, 200, 200)}"),
			"warning: Unlikely region: This shape reaches from 100 to 300 across and from 100 to 300 down. If these numbers are pixels, write " +
				"px( … ) around the shape."},
		{"outside, and nothing moves it", off, "frames = 2\ntrack {\n target = entity.car.strength\n keys = [{at = 0, value = 1}]\n}",
			"error: Region outside the canvas"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, says := timelineOf(t, c.entity, c.timeline)
			if !strings.HasPrefix(says, c.want) || strings.Contains(says, "\n") {
				t.Errorf("says %s\nwant %s, and no more", says, c.want)
			}
		})
	}
}

// Keys, and other lists and objects of parts, may be computed as well as written out.
func TestComputedParts(t *testing.T) {
	const scene = `locals {
  drive   = [{ at = 0, value = [0.2, 0.3], ease = "hold" }, { at = "100%", value = [0.8, 0.3] }]
  dropout = { prompt = 0.25, entity = 0.5 }
}

entity "car" {
  prompt = "a car"
  box    = xywh(0, 0, 0.2, 0.2)
}

timeline "drive" {
  frames = 3

  track {
    target = entity.car.center
    keys   = local.drive
  }

  track {
    target = entity.car.strength
    keys   = [for i in range(3) : { at = i, value = i + 1 }]
  }
}

render "road" {
  prompt   = "a road"
  timeline = timeline.drive
}

recipe "eligen" {
  dropout = local.dropout
}
`
	name := filepath.Join(t.TempDir(), "scene.hcl")
	if err := os.WriteFile(name, []byte(scene), 0o644); err != nil {
		t.Fatal(err)
	}
	got, ds := Load(t.Context(), name, Vars{})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	tracks := got.Renders[0].Clip.Timeline.Tracks
	if n := len(tracks[0].Keys); n != 2 || len(tracks[1].Keys) != 3 {
		t.Errorf("%d and %d keys, want 2 and 3", n, len(tracks[1].Keys))
	}
	if d := got.Recipes[0].Drop; d.Prompt != 0.25 || d.Entity != 0.5 {
		t.Errorf("dropout %v", d)
	}
}
