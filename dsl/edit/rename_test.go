package edit_test

import (
	"strings"
	"testing"
)

// TestRename: an entity's name changes with all that refers to it, and nothing else does.
func TestRename(t *testing.T) {
	const src = `# The ball is an entity.
entity "ball" {
  prompt = "a ball, as in entity.ball"
  box    = xywh(0.1, 0.1, 0.2, 0.2) # entity.ball stands here
}

entity "ball_2" {
  prompt = "a ball"
  box    = translate(entity.ball.box, 0.4, 0)
}

render "a" {
  prompt   = "balls, ${entity.ball.prompt}"
  entities = concat([entity.ball], [for e in [entity.ball_2, entity.ball] : e if e.z < entity.ball.z])
}

timeline "t" {
  track {
    target = entity.ball.center
    keys   = [{ at = 0, value = [0.2, 0.2] }]
  }
}
`
	out, err := parsed(t, src).Rename("entity.ball", "sphere")
	want := strings.NewReplacer(`entity "ball" {`, `entity "sphere" {`, "translate(entity.ball.", "translate(entity.sphere.",
		"${entity.ball.", "${entity.sphere.", "[entity.ball]", "[entity.sphere]", ", entity.ball]", ", entity.sphere]",
		"< entity.ball.", "< entity.sphere.", "target = entity.ball.", "target = entity.sphere.").Replace(src)
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s", err, lineDiff(want, string(out)))
	}
	for _, name := range []string{"ball_2", "", "a b", `x" {`, "2nd", "${x}"} {
		if out, err := parsed(t, src).Rename("entity.ball", name); err == nil {
			t.Errorf("%q: %s", name, out)
		}
	}
	if _, err := parsed(t, src).Rename("entity.none", "x"); err == nil {
		t.Error("what isn't there is renamed")
	}
}
