package backend

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/eligen/eligen"
)

// What the caller asks for comes first, then GOMLX_BACKEND, then the user's
// default, then go.
func TestChooseBackend(t *testing.T) {
	t.Setenv("ELIGEN_PLUGIN_DIR", filepath.Join(t.TempDir(), "new"))
	t.Setenv("GOMLX_BACKEND", "")
	choose := func(asked, want string) {
		t.Helper()
		if got, err := Choose(asked); err != nil || got != want {
			t.Errorf("chosen is %q, %v; want %q", got, err, want)
		}
	}
	choose("", "go")
	if err := SetDefault("xla:cpu"); err != nil {
		t.Fatal(err)
	}
	choose("", "xla:cpu")
	t.Setenv("GOMLX_BACKEND", "xla:cuda")
	choose("", "xla:cuda")
	choose("go", "go")
	t.Setenv("GOMLX_BACKEND", "go:ops_sequential")
	choose("", "go")
}

// A backend that can't be opened says why, and what to do.
func TestFindBackendProblems(t *testing.T) {
	if xlaMissing != "" {
		if _, err := Find("xla:cpu"); err == nil || !strings.Contains(err.Error(), "C compiler") {
			t.Errorf("without cgo, xla:cpu gives %v", err)
		}
		return
	}
	dir := t.TempDir()
	t.Setenv("ELIGEN_PLUGIN_DIR", dir)
	t.Setenv("ELIGEN_CACHE_DIR", dir)
	touch := func(name string) string {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte("not a library"), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct{ name, want string }{
		{"metal", "use go, xla:cpu"},
		{"go:parallelism=1", "takes no options"},
		{"xla:", "unknown backend"},
		{"xla:cpu", "eligen backend install xla:cpu"},
		{"xla:cuda", "eligen backend install xla:cuda"},
		{"xla:plugin.so", "must be absolute"},
		{"xla:" + filepath.Join(dir, "nothing.so"), "its plugin is missing"},
		{"xla:" + touch("cuda-12/pjrt_c_api_cpu_plugin.so"), "Move it"},
	} {
		if _, _, err := Open(c.name); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s gives %v, want an error with %q", c.name, err, c.want)
		}
	}
	if _, _, err := Open("xla:" + touch("pjrt_c_api_cpu_plugin.so")); err == nil || strings.Contains(err.Error(), "\n") ||
		!strings.Contains(err.Error(), "can't be used") {
		t.Errorf("a file that is no library gives %v", err)
	}
	for _, s := range List() {
		if ready := s.Name == "go" || s.Name == "xla:cpu"; s.Ready != ready || s.Ready != (s.Problem == "") {
			t.Errorf("%+v, but only go and the touched xla:cpu are there", s)
		}
	}
}

// The ID tells backends, dtypes and plugins apart, and has no spaces to trip over.
func TestIDs(t *testing.T) {
	a := Info{Name: "go", Instructions: "amd64-avx2"}
	b := Info{Name: "xla:cpu", Plugin: "/p/pjrt_c_api_cpu_plugin.so", PluginDigest: eligen.DigestOf([]byte("a")), Instructions: "amd64-avx2"}
	c, d := b, b
	c.PluginDigest = eligen.DigestOf([]byte("b"))
	d.Plugin = "/elsewhere/pjrt_c_api_cpu_plugin.so"
	seen := map[string]bool{}
	for _, id := range []string{a.ID("float32"), b.ID("float32"), b.ID("bfloat16"), c.ID("float32")} {
		if seen[id] || !strings.HasPrefix(id, "eligen "+eligen.Version+" ") {
			t.Errorf("ID %q", id)
		}
		seen[id] = true
	}
	if d.ID("float32") != b.ID("float32") {
		t.Error("where a plugin lies changes the ID")
	}
}

// The flags that XLA compiles by are part of the ID, wherever XLA reads them: another
// file of flags, or another content of it, is another engine.
func TestFlagsInID(t *testing.T) {
	dir := t.TempDir()
	plugin := filepath.Join(dir, "pjrt_c_api_cpu_plugin.so")
	flags := filepath.Join(dir, "flags")
	t.Setenv("ELIGEN_CACHE_DIR", filepath.Join(dir, "cache"))
	if err := os.WriteFile(plugin, []byte("a plugin"), 0o644); err != nil {
		t.Fatal(err)
	}
	id := func(value, content string) string {
		t.Helper()
		t.Setenv("XLA_FLAGS", value)
		if err := os.WriteFile(flags, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		info, err := Find("xla:" + plugin)
		if xlaMissing != "" {
			t.Skip(xlaMissing)
		}
		if err != nil {
			t.Fatal(err)
		}
		return info.ID("float32")
	}
	seen := map[string]string{}
	for name, got := range map[string]string{
		"none":            id("", ""),
		"a flag":          id("--xla_cpu_enable_fast_math=true", ""),
		"a file":          id(flags, "--xla_cpu_enable_fast_math=true"),
		"the file, later": id(flags, "--xla_cpu_enable_fast_math=false"),
	} {
		if other, twice := seen[got]; twice {
			t.Errorf("%s and %s have one ID: %s", name, other, got)
		}
		seen[got] = name
	}
	if a, b := id(flags, "--a --b"), id(flags, "  --a\n--b\n"); a != b {
		t.Errorf("spaces make another engine: %s, %s", a, b)
	}
	if id(flags, "\n") != id("", "") {
		t.Error("an empty file makes another engine")
	}
	t.Setenv("XLA_FLAGS", filepath.Join(dir, "missing"))
	if _, err := Find("xla:" + plugin); err == nil || !strings.Contains(err.Error(), "XLA_FLAGS names a file") {
		t.Errorf("a missing file of flags: %v", err)
	}
}

// The versions in the ID are those that go.mod asks for.
func TestLibraryVersions(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for module, want := range map[string]string{"gomlx": gomlxVersion, "compute": computeVersion, "go-xla": goXLAVersion} {
		m := regexp.MustCompile(`github\.com/gomlx/` + module + ` (v\S+)`).FindSubmatch(mod)
		if m == nil || string(m[1]) != want {
			t.Errorf("go.mod has %s %s, the ID says %s", module, m, want)
		}
	}
}
