package dsl

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen"
)

// Of many instances the bad ones are named, each by its key; what is wrong with all of
// them is said once.
func TestWhichInstance(t *testing.T) {
	const rows = "\nrender \"r\" {\n  prompt = \"r\"\n  size = [256, 256]\n}\n"
	for name, c := range map[string]struct {
		scene string
		want  []string
		not   string
	}{
		"two of four": {`entity "e" {
  for_each = { a = 0.1, b = 2, c = 0.3, d = 2 }
  prompt   = each.key
  box      = xywh(each.value, 0, 0.5, 0.5)
}`, []string{`In entity.e["b"] and entity.e["d"].`}, `["a"]`},
		"by number": {`entity "e" {
  count  = 3
  prompt = count.index == 1 ? "" : "x"
  box    = xywh(0, 0, 0.5, 0.5)
}`, []string{`In entity.e[1].`}, `[0]`},
		"different texts": {`entity "e" {
  for_each = { a = "1", b = "x", c = "y" }
  prompt   = "p"
  box      = xywh(0, 0, 0.5, each.value)
}`, []string{`In entity.e["b"].` + "\n\n" + `Note: each.value is "x"`, `In entity.e["c"].` + "\n\n" + `Note: each.value is "y"`}, `["a"]`},
		"all of them": {`entity "e" {
  for_each = { a = 1, b = 2 }
  prompt   = ""
  box      = xywh(0, 0, 0.5, 0.5)
}`, []string{"Empty value"}, `["a"]`},
		"a warning": {`entity "e" {
  for_each = { a = 0.1, b = 0.9 }
  prompt   = "p"
  box      = xywh(each.value, 0, 0.5, 0.5)
}`, []string{"partly outside", `In entity.e["b"].`}, `["a"]`},
		"on the canvas": {`entity "e" {
  for_each = { a = 10, b = 300 }
  prompt   = "p"
  box      = px(xywh(each.value, 10, 50, 50))
}`, []string{"Region outside the canvas", `In entity.e["b"].`}, `["a"]`},
		"elements of a dynamic block": {`render "d" {
  prompt = "d"
  dynamic "output" {
    for_each = ["a.png", "b.jpg", "c.png"]
    content {
      path    = output.value
      quality = 90
    }
  }
}`, []string{`a.png: "quality" applies to a JPEG`, `c.png: "quality" applies to a JPEG`}, `b.jpg:`},
	} {
		t.Run(name, func(t *testing.T) {
			ds := judgedText(t, c.scene+rows)
			ds = slices.DeleteFunc(ds, func(d eligen.Diagnostic) bool { return d.Summary == "Regions overlap" })
			text := ds.Error()
			for _, want := range c.want {
				if strings.Count(text, want) != 1 {
					t.Errorf("no %q, or more than one, in\n%s", want, text)
				}
			}
			if strings.Contains(text, c.not) {
				t.Errorf("%q is blamed in\n%s", c.not, text)
			}
		})
	}
}

// A scene, with all that lies beside it, may be a stranger's. What is read without being
// named, or is named in it, lies in its folder: no link out of it is followed, and nothing
// of another file is quoted.
func TestFilesBesideAScene(t *testing.T) {
	outside := filepath.Join(write(t, map[string]string{"secret": "password = hunter2 !\n"}), "secret")
	scene := "render \"r\" {\n  prompt = \"r\"\n}\n"
	for _, name := range []string{autoFile, "eligen.lock.hcl"} {
		read := func(dir string) string {
			_, ds := Load(t.Context(), filepath.Join(dir, "scene.hcl"), Vars{})
			if name != autoFile {
				_, ds = LoadLock(dir)
			}
			return ds.Error()
		}
		linked := write(t, map[string]string{"scene.hcl": scene})
		if err := os.Symlink(outside, filepath.Join(linked, name)); err != nil {
			t.Skip(err)
		}
		if got := read(linked); !strings.Contains(got, "link that leads out of the scene's folder") || strings.Contains(got, "hunter2") {
			t.Errorf("%s, a link out of the folder: %s", name, got)
		}
		within := write(t, map[string]string{"scene.hcl": scene, "other": "bad !\n"})
		if err := os.Symlink("other", filepath.Join(within, name)); err != nil {
			t.Fatal(err)
		}
		if got := read(within); !strings.Contains(got, name+":1") {
			t.Errorf("%s, a link in the folder: %s", name, got)
		}
		pipe := write(t, map[string]string{"scene.hcl": scene})
		if err := makePipe(filepath.Join(pipe, name)); err != nil {
			t.Skip(err)
		}
		if got := read(pipe); !strings.Contains(got, "no regular file") {
			t.Errorf("%s, a pipe: %s", name, got)
		}
	}
}

// TestMisspeltPath: the guess at a misspelt path is a path, from the same folder.
func TestMisspeltPath(t *testing.T) {
	t.Chdir(write(t, map[string]string{"rain.hcl": "", "scenes/rain.hcl": ""}))
	for path, want := range map[string]string{"rian.hcl": "rain.hcl", "./rian.hcl": "./rain.hcl", "scenes/rian.hcl": "scenes/rain.hcl"} {
		if _, ds := Load(t.Context(), path, Vars{}); !strings.Contains(ds.Error(), `Did you mean "`+want+`"?`) {
			t.Errorf("%s: %s", path, ds.Error())
		}
	}
}
