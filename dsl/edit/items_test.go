package edit_test

import (
	"errors"
	"testing"

	"github.com/eligen/eligen/dsl/edit"
)

const keyed = `timeline "fall" {
  frames = 8

  track {
    target = entity.ball.center
    keys = [
      { at = "0%", value = [0.2, 0.2], ease = "bounce-out" }, # falls
      { at = "50%", value = [var.x, 0.7] },
      { at = "100%", value = [0.6, 0.7] },
    ]
  }

  track {
    target = entity.ball.strength
    keys   = [{ at = 0, value = 1 }, { at = 7, value = 0.5 }]
  }
}
`

// TestItems: an object of a list changes in the part that is meant, comes and goes with its line; comments stay.
func TestItems(t *testing.T) {
	const one, two = "timeline.fall.track", "timeline.fall.track[1]"
	for name, c := range map[string]struct {
		do   func(*edit.Text) ([]byte, error)
		want string
	}{
		"a part": {func(x *edit.Text) ([]byte, error) { return x.SetItem(one, "keys", 0, "at", `"10%"`, false) },
			"-       { at = \"0%\", value = [0.2, 0.2], ease = \"bounce-out\" }, # falls\n" +
				"+       { at = \"10%\", value = [0.2, 0.2], ease = \"bounce-out\" }, # falls\n"},
		"a new part": {func(x *edit.Text) ([]byte, error) { return x.SetItem(two, "keys", 0, "ease", `"sine-in"`, false) },
			"-     keys   = [{ at = 0, value = 1 }, { at = 7, value = 0.5 }]\n" +
				"+     keys   = [{ at = 0, value = 1, ease = \"sine-in\" }, { at = 7, value = 0.5 }]\n"},
		"a part goes": {func(x *edit.Text) ([]byte, error) { return x.SetItem(one, "keys", 0, "ease", "", false) },
			"-       { at = \"0%\", value = [0.2, 0.2], ease = \"bounce-out\" }, # falls\n" +
				"+       { at = \"0%\", value = [0.2, 0.2] }, # falls\n"},
		"an item with a line": {func(x *edit.Text) ([]byte, error) {
			return x.AddItem(one, "keys", 1, `{ at = "25%", value = [0.3, 0.3] }`)
		}, "+       { at = \"25%\", value = [0.3, 0.3] },\n"},
		"an item at the end": {func(x *edit.Text) ([]byte, error) { return x.AddItem(two, "keys", 2, `{ at = 7.5, value = 1 }`) },
			"-     keys   = [{ at = 0, value = 1 }, { at = 7, value = 0.5 }]\n" +
				"+     keys   = [{ at = 0, value = 1 }, { at = 7, value = 0.5 }, { at = 7.5, value = 1 }]\n"},
		"an item goes": {func(x *edit.Text) ([]byte, error) { return x.RemoveItem(one, "keys", 1) },
			"-       { at = \"50%\", value = [var.x, 0.7] },\n"},
		"the last item goes": {func(x *edit.Text) ([]byte, error) { return x.RemoveItem(one, "keys", 2) },
			"-       { at = \"100%\", value = [0.6, 0.7] },\n"},
		"an item of one line goes": {func(x *edit.Text) ([]byte, error) { return x.RemoveItem(two, "keys", 0) },
			"-     keys   = [{ at = 0, value = 1 }, { at = 7, value = 0.5 }]\n+     keys   = [{ at = 7, value = 0.5 }]\n"},
	} {
		out, err := c.do(parsed(t, keyed))
		if got := lineDiff(keyed, string(out)); err != nil || got != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, c.want)
		}
	}
	_, err := parsed(t, keyed).SetItem(one, "keys", 1, "value", "[0.5, 0.7]", false)
	if derived := new(edit.DerivedError); !errors.As(err, &derived) || len(derived.Refs) != 1 || derived.Refs[0] != "var.x" {
		t.Errorf("a value that is worked out: %v", err)
	}
	for name, do := range map[string]func(*edit.Text) ([]byte, error){
		"a key that isn't there":  func(x *edit.Text) ([]byte, error) { return x.SetItem(one, "keys", 3, "at", "1", false) },
		"HCL in a part":           func(x *edit.Text) ([]byte, error) { return x.SetItem(one, "keys", 0, "at", "1 }, { at = 2", false) },
		"HCL in an item":          func(x *edit.Text) ([]byte, error) { return x.AddItem(one, "keys", 0, "{ at = 1 }] \n x = [{ at = 2}") },
		"something else, no item": func(x *edit.Text) ([]byte, error) { return x.AddItem(one, "keys", 0, "1") },
	} {
		if out, err := do(parsed(t, keyed)); err == nil {
			t.Errorf("%s is taken:\n%s", name, lineDiff(keyed, string(out)))
		}
	}
}

// TestPoints: a point of a polygon comes and goes, and the others stay as they are written.
func TestPoints(t *testing.T) {
	const src = "entity \"house\" {\n  region = px(polygon([[1, 2], [3.0, 4], # the roof\n    [-5, 6], [7, 8]]))\n}\n"
	for name, c := range map[string]struct {
		do   func(*edit.Text) ([]byte, error)
		want string
	}{
		"in the middle": {func(x *edit.Text) ([]byte, error) {
			return x.AddPoint("entity.house", "region", 0, [2]string{"2", "-3"})
		},
			"-   region = px(polygon([[1, 2], [3.0, 4], # the roof\n+   region = px(polygon([[1, 2], [2, -3], [3.0, 4], # the roof\n"},
		"at the end": {func(x *edit.Text) ([]byte, error) {
			return x.AddPoint("entity.house", "region", 3, [2]string{"9", "9"})
		},
			"-     [-5, 6], [7, 8]]))\n+     [-5, 6], [7, 8], [9, 9]]))\n"},
		"the first goes": {func(x *edit.Text) ([]byte, error) { return x.RemovePoint("entity.house", "region", 0) },
			"-   region = px(polygon([[1, 2], [3.0, 4], # the roof\n+   region = px(polygon([[3.0, 4], # the roof\n"},
		"the last goes": {func(x *edit.Text) ([]byte, error) { return x.RemovePoint("entity.house", "region", 3) },
			"-     [-5, 6], [7, 8]]))\n+     [-5, 6]]))\n"},
	} {
		out, err := c.do(parsed(t, src))
		if got := lineDiff(src, string(out)); err != nil || got != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, c.want)
		}
	}
	three, err := parsed(t, src).RemovePoint("entity.house", "region", 1)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := parsed(t, string(three)).RemovePoint("entity.house", "region", 1); err == nil {
		t.Errorf("a polygon of two points: %s", out)
	}
	if _, err := parsed(t, src).AddPoint("entity.house", "region", 0, [2]string{"1], [2", "3"}); err == nil {
		t.Error("HCL in a number is taken")
	}
}
