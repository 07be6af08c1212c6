package mcp_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/eligen/eligen/mcp"
)

// cups is a layout.
const cups = `{"caption": "cups", "width": 512, "height": 512, "annos": [{"bbox": [0, 0, 200, 200], "mask": [], "caption": "a cup"}]}`

// secret is in every file outside the folder: no answer may have it.
const secret = "the-word-that-nobody-may-read"

// outside makes a folder next to the client's, and links to it in the client's.
func (c *client) outside() string {
	c.t.Helper()
	dir := c.t.TempDir()
	for name, text := range map[string]string{
		"scene.hcl": strings.Replace(rain, "a frog in a meadow", secret, 1), "secret.txt": secret,
		"names.json": `{"images": [{"id": 1, "file_name": "` + secret + `", "width": 64, "height": 64}],
			"categories": [{"id": 3, "name": "` + secret + `"}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"link.hcl": "scene.hcl", "link": ".", "names.json": "names.json", "link.png": "secret.txt"} {
		if err := os.Symlink(filepath.Join(dir, to), filepath.Join(c.folder, name)); err != nil {
			c.t.Skip("this system makes no links: ", err)
		}
	}
	return dir
}

// state lists a folder's files and what is in them.
func state(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s: %s\n", path, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// withModel is a scene whose picture is made by weights.
func withModel(source string) string {
	return fmt.Sprintf("model \"flux\" \"m\" {\n  source = %q\n}\n", source) +
		strings.Replace(rain, "  size ", "  model  = model.flux.m\n  size ", 1)
}

// withPrompt is a scene whose prompt is worked out.
func withPrompt(expression string) string {
	return strings.Replace(rain, `"a frog in a meadow"`, expression, 1)
}

// A request is one that must be refused.
type request struct {
	tool string
	in   args
}

func hostile(dir string) (list []request) {
	names := []string{
		"../" + filepath.Base(dir) + "/scene.hcl", filepath.Join(dir, "scene.hcl"), "a/../../scene.hcl", `..\scene.hcl`, "link.hcl",
		"link/scene.hcl", "./../scene.hcl", "/etc/passwd", "~/scene.hcl", ".git/config.hcl", "a/.hidden.hcl", "a\x00.hcl", "", ".", "..",
		"link", "pipe.hcl", "nowhere/x.hcl",
		"file:///etc/passwd", strings.Repeat("a/", 5000) + "x.hcl", "con\nsole.hcl/../../x.hcl",
	}
	for _, name := range names {
		for _, tool := range []string{"validate", "plan", "preview", "apply", "keys"} {
			list = append(list, request{tool, args{"scene": name}})
		}
		list = append(list, request{"read_scene", args{"path": name}}, request{"read_picture", args{"path": name}},
			request{"import_layout", args{"path": name}},
			request{"import_layout", args{"path": "detections.json", "images": name}})
		if name != "nowhere/x.hcl" {
			list = append(list, request{"write_scene", args{"path": name, "text": rain}})
		}
		if name != "nowhere/x.hcl" && name != "" { // without out, nothing is written
			list = append(list, request{"import_layout", args{"path": "cat.json", "out": name}})
		}
	}
	texts := []string{
		withPrompt(`file("../` + filepath.Base(dir) + `/secret.txt")`), withPrompt(fmt.Sprintf("file(%q)", filepath.Join(dir, "secret.txt"))),
		withPrompt(`file("link/secret.txt")`), withPrompt(`file(".hidden/../../secret.txt")`), withPrompt(`templatefile("link/secret.txt", {})`),
		withModel(filepath.Join(dir, "w")), withModel("../w"), withModel("~/w"), withModel("./link/../../w"),
		strings.Replace(rain, "xywh(0.25, 0.25, 0.5, 0.5)", `image("link/secret.txt")`, 1),
		strings.Replace(rain, "box    = xywh(0.25, 0.25, 0.5, 0.5)", fmt.Sprintf("mask = image(%q)", filepath.Join(dir, "m.png")), 1),
		strings.Replace(rain, "  size ", "  output {\n    path = \"../x.png\"\n  }\n  size ", 1),
		strings.Replace(rain, "  size ", fmt.Sprintf("  output {\n    path = %q\n  }\n  size ", filepath.Join(dir, "x.png")), 1),
		strings.Replace(rain, "  size ", "  output {\n    path = \"link/x.png\"\n  }\n  size ", 1),
		rain + "module \"m\" {\n  source = \"../\"\n}\n", rain + "module \"m\" {\n  source = \"./link\"\n}\n",
		strings.Repeat("a = [", 100_000), strings.Repeat("x", 2<<20), "\x00\xff", withPrompt(`"${` + strings.Repeat("(", 10_000) + `}"`),
	}
	for _, text := range texts {
		list = append(list, request{"plan", args{"text": text}}, request{"apply", args{"text": text}},
			request{"write_scene", args{"path": "new.hcl", "text": text}})
	}
	return append(list,
		request{"write_scene", args{"path": "eligen.lock.hcl", "text": rain}}, request{"write_scene", args{"path": "x.png", "text": rain}},
		request{"write_scene", args{"path": "rain.hcl/x.hcl", "text": rain}}, request{"write_scene", args{"path": "folder.hcl", "text": rain}},
		request{"read_picture", args{"path": "link.png"}}, request{"read_picture", args{"path": "rain.hcl"}},
		request{"import_layout", args{"path": "names-outside.json"}}, request{"import_layout", args{"path": "edit.json", "picture": "link.png"}},
		request{"apply", args{"scene": "rain.hcl", "engine": "oils"}},
		request{"apply", args{"scene": "rain.hcl", "targets": []string{"render.sun"}}},
		request{"apply", args{"scene": "rain.hcl", "frames": [][2]int{{5, 1}}, "text": walk}},
		request{"plan", args{"scene": "rain.hcl", "seeds": make([]uint64, 1000)}}, request{"plan", args{"scene": "rain.hcl", "extra": 1}},
		request{"plan", args{"scene": 7}}, request{"plan", args{}}, request{"explain", args{"code": "\x1b[2J"}},
		request{"run_status", args{"run": "../1"}}, request{"cancel", args{"run": "nobody"}}, request{"nothing", args{}},
	)
}

// Whatever a client sends: nothing outside the folder is read or written, hidden files stay unread, and an
// answer has neither the machine's folders nor anything of their contents.
func TestHostileRequests(t *testing.T) {
	c := connect(t, map[string]string{
		"rain.hcl": rain, ".git/config.hcl": rain, ".hidden/x": secret, "folder.hcl/x.txt": "",
		"cat.json":        cups,
		"detections.json": `[{"image_id": 1, "category_id": 3, "bbox": [16, 16, 32, 32], "score": 0.9}]`,
		"names-outside.json": `[{"idx": 0, "width": 64, "height": 64, "prompt": "p", "entities": [{"prompt": "a", "mask": "../` + secret +
			`.png"}]}]`,
	}, func(o *mcp.Options) { o.Engine = "model" })
	dir := c.outside()
	if err := makePipe(filepath.Join(c.folder, "pipe.hcl")); err != nil {
		t.Log("this system makes no pipes: ", err)
	}
	before, refused := state(t, dir), 0
	for _, r := range hostile(dir) {
		got, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: r.tool, Arguments: r.in})
		answer := fmt.Sprint(err)
		if err == nil {
			data, _ := json.Marshal(got)
			answer = string(data)
		}
		sent := fmt.Sprint(r.in)
		found := r.tool == "validate" && strings.Contains(answer, `"valid":false`)
		if err == nil && !got.IsError && !found {
			t.Errorf("%s %.200s was answered: %.500s", r.tool, sent, answer)
			continue
		}
		if strings.Contains(answer, secret) && !strings.Contains(sent, secret) {
			t.Errorf("%s %.200s tells the secret: %.500s", r.tool, sent, answer)
		}
		if strings.Contains(answer, c.folder) {
			t.Errorf("%s %.200s tells the folder: %.500s", r.tool, sent, answer)
		}
		refused++
	}
	for _, uri := range []string{
		"eligen://scene/../scene.hcl", "eligen://scene/..%2f" + filepath.Base(dir) + "%2fscene.hcl",
		"eligen://scene/" + filepath.Join(dir, "scene.hcl"), "eligen://scene/link.hcl", "eligen://scene/link/scene.hcl",
		"eligen://scene/.git/config.hcl", "eligen://scene/%00.hcl", "eligen://scene/cat.json",
		"eligen://picture/link.png", "eligen://picture/rain.hcl", "eligen://picture/..%2f..%2fetc%2fpasswd", "eligen://example/../mcp.go",
		"eligen://nothing", "file:///etc/passwd", "eligen://scene/%zz",
	} {
		got, err := c.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: uri})
		if err == nil {
			t.Errorf("%s was read: %+v", uri, got.Contents[0])
			continue
		}
		refused++
	}
	if after := state(t, dir); after != before {
		t.Errorf("outside the folder is now\n%s", after)
	}
	if _, err := os.Stat(filepath.Join(c.folder, "new.hcl")); err == nil {
		t.Error("a scene that is refused was written")
	}
	t.Logf("%d requests were refused", refused)
}

// Whether a file outside is there can't be told from an answer.
func TestOutsideIsUnknown(t *testing.T) {
	c := connect(t, nil, func(o *mcp.Options) { o.Engine = "model" })
	dir := c.outside()
	answer := func(name string) string {
		r := c.call("plan", args{"text": withModel(filepath.Join(dir, name))}, nil)
		return strings.ReplaceAll(words(r), name, "NAME")
	}
	there, missing := answer("secret.txt"), answer("nobody.txt")
	if strings.ReplaceAll(there, "^", "") != strings.ReplaceAll(missing, "^", "") || !strings.Contains(there, "E0618") {
		t.Errorf("%s\n%s", there, missing)
	}
}

// A server that writes nothing has no tool that does.
func TestReadOnly(t *testing.T) {
	c := connect(t, map[string]string{"rain.hcl": rain, "cat.json": cups}, func(o *mcp.Options) { o.ReadOnly = true })
	before := state(t, c.folder)
	for tool, err := range c.Tools(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if !tool.Annotations.ReadOnlyHint {
			t.Errorf("%s writes", tool.Name)
		}
	}
	for _, name := range []string{"apply", "cancel", "write_scene"} {
		if _, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: name, Arguments: args{"scene": "rain.hcl"}}); err == nil {
			t.Errorf("%s is there", name)
		}
	}
	if r := c.call("import_layout", args{"path": "cat.json", "out": "cat.hcl"}, nil); !r.IsError {
		t.Error("an import was written")
	}
	if r := c.call("import_layout", args{"path": "cat.json"}, nil); r.IsError || !strings.Contains(words(r), "render") {
		t.Errorf("%s", words(r))
	}
	if r := c.call("preview", args{"scene": "rain.hcl"}, nil); len(c.pictures(r)) != 1 {
		t.Errorf("%s", words(r))
	}
	if after := state(t, c.folder); after != before {
		t.Errorf("the folder is now\n%s", after)
	}
}
