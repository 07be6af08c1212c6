// Package backend chooses, opens and installs what graphs run on: pure Go, or an XLA plugin.
package backend

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
	"golang.org/x/sys/cpu"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/model/cache"
	"github.com/eligen/eligen/model/panics"
)

// The versions of the libraries that run the graphs. They are part of an
// engine's ID, since another version may round differently; a test holds them
// against go.mod.
const (
	gomlxVersion   = "v0.28.2"
	computeVersion = "v0.1.3"
	goXLAVersion   = "v0.4.2"
)

// goConfig is the only way the pure-Go backend is ever made. With its default
// configuration a graph of many matrix products deadlocks: every product waits
// for workers of the pool that the products themselves fill.
const goConfig = "ops_sequential"

// Info names a backend, and everything about it that can change bits.
type Info struct {
	Name         string        // "go", "xla:cpu", "xla:cuda" or "xla:/path/to/plugin.so"
	Plugin       string        // path of the PJRT plugin; "" for go
	PluginDigest eligen.Digest // SHA-256 of the plugin's file
	Instructions string        // "amd64-avx2", "arm64"; "+simd" where the build uses them from Go
	Flags        string        // XLA_FLAGS, by which XLA compiles; "" for none
	TF32         bool          // products of float32 are rounded to TF32, on CUDA
}

// CUDA reports whether the backend computes on a graphics card of NVIDIA's.
func (i Info) CUDA() bool { return i.Plugin != "" && pluginKind(i.Plugin) == "cuda" }

// Fraction is how much of a card's memory XLA is given. It leaves the rest to the driver and the screen.
const Fraction = 0.92

// ID returns the numeric class of results: two equal IDs give equal bits.
func (i Info) ID(dtype string) string {
	kind, libraries := "go", "gomlx "+gomlxVersion+" compute "+computeVersion
	if i.Plugin != "" {
		kind = "xla-" + pluginKind(i.Plugin) + "-" + i.PluginDigest.Short()
		libraries = "gomlx " + gomlxVersion + " go-xla " + goXLAVersion
	}
	if i.TF32 {
		libraries += " tf32"
	}
	if i.Flags != "" {
		libraries += " XLA_FLAGS " + i.Flags
	}
	return fmt.Sprintf("eligen %s %s %s %s %s %s", eligen.Version, kind, i.Instructions, dtype, libraries, runtime.Version())
}

// maxFlags bounds the size of a file of flags, in bytes.
const maxFlags = 1 << 20

// xlaFlags returns what the environment variable XLA_FLAGS tells XLA: the flags themselves,
// or, where its value doesn't begin with a dash, the digest of those in the file that it
// names. XLA ends the process where it can't read that file.
func xlaFlags() (string, error) {
	value := os.Getenv("XLA_FLAGS")
	words := strings.Fields(value)
	if len(words) == 0 || strings.HasPrefix(words[0], "-") {
		return strings.Join(words, " "), nil
	}
	data, err := files.Read(value, maxFlags)
	if err != nil {
		return "", fmt.Errorf("XLA_FLAGS names a file of flags, since it doesn't begin with a dash, and that can't be read: %w. "+
			"Unset it, or write the flags themselves", err)
	}
	if words = strings.Fields(string(data)); len(words) == 0 {
		return "", nil
	}
	return "from a file, " + eligen.DigestOf([]byte(strings.Join(words, " "))).Short(), nil
}

// instructions names the instruction sets that the machine's arithmetic depends on. Go's own math
// functions, its SIMD kernels and XLA all choose by the processor.
func instructions() string {
	s := runtime.GOARCH
	switch {
	case cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512CD && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL:
		s += "-avx512"
	case cpu.X86.HasAVX2 && cpu.X86.HasFMA:
		s += "-avx2"
	}
	if b, ok := debug.ReadBuildInfo(); ok {
		for _, v := range b.Settings {
			// From v3 on the compiler fuses multiplications and additions.
			if v.Key == "GOAMD64" && v.Value != "v1" {
				s += "-" + v.Value
			}
		}
	}
	if SIMD {
		s += "+simd"
	}
	return s
}

// PluginDir returns the folder that `eligen backend install` puts PJRT plugins into: the
// environment variable ELIGEN_PLUGIN_DIR, else plugins in the folder that
// ELIGEN_CACHE_DIR names, else eligen/plugins in the user's cache folder.
func PluginDir() (string, error) {
	if d := os.Getenv("ELIGEN_PLUGIN_DIR"); d != "" {
		return filepath.Abs(d)
	}
	d, err := cache.Dir()
	return filepath.Join(d, "plugins"), err
}

// PluginFile returns the path of a backend's plugin, installed or not. name is
// "xla:cpu" or "xla:cuda". The CUDA plugin looks for NVIDIA's libraries in the
// folder nvidia next to its own parent, so it lies in that folder itself.
func PluginFile(name string) (string, error) {
	dir, err := PluginDir()
	if err != nil {
		return "", err
	}
	ext := ".so"
	switch runtime.GOOS {
	case "windows":
		ext = ".dll"
	case "darwin":
		ext = ".dylib"
	}
	switch name {
	case "xla:cpu":
		return filepath.Join(dir, "pjrt_c_api_cpu_plugin"+ext), nil
	case "xla:cuda":
		return filepath.Join(dir, "nvidia", "pjrt_c_api_cuda_plugin"+ext), nil
	}
	return "", fmt.Errorf("no plugin runs a backend %q: use xla:cpu or xla:cuda", name)
}

// Default returns the backend that `eligen backend install` made the default, or "" where
// there is none.
func Default() (string, error) {
	dir, err := PluginDir()
	if err != nil {
		return "", nil // no home folder: nothing was installed either
	}
	b, err := files.Read(filepath.Join(dir, "default"), 1<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(b)), err
}

// SetDefault makes a backend this user's default.
func SetDefault(name string) error {
	dir, err := PluginDir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return files.WriteBytes(filepath.Join(dir, "default"), []byte(name+"\n"))
}

// Choose returns a backend's name by order of precedence: the caller's, the environment
// variable GOMLX_BACKEND, the user's default, "go".
func Choose(asked string) (string, error) {
	if asked != "" {
		return asked, nil
	}
	// GoMLX's own spellings of the same two backends.
	switch env := os.Getenv("GOMLX_BACKEND"); env {
	case "":
	case "go:" + goConfig:
		return "go", nil
	case "xla":
		return "xla:cpu", nil
	default:
		return env, nil
	}
	name, err := Default()
	return cmp.Or(name, "go"), err
}

// Find describes the backend that Open would open, without opening it. name is as for Open.
func Find(name string) (Info, error) {
	name, err := Choose(name)
	if err != nil {
		return Info{}, err
	}
	info := Info{Name: name, Instructions: instructions()}
	kind, plugin, _ := strings.Cut(name, ":")
	switch {
	case name == "go":
		return info, nil
	case kind == "go":
		return info, fmt.Errorf("backend %q: eligen makes the Go backend itself, and takes no options for it. Use the name go; "+
			"GOMAXPROCS limits its threads", name)
	case kind != "xla" || plugin == "":
		return info, fmt.Errorf("unknown backend %q: use go, xla:cpu, xla:cuda or xla:/path/to/plugin.so", name)
	case xlaMissing != "":
		return info, fmt.Errorf("backend %q: %s. Use the backend go", name, xlaMissing)
	}
	switch plugin {
	case "cpu", "cuda":
		info.Plugin, err = PluginFile(name)
		if err != nil {
			return info, err
		}
		if _, err := os.Stat(info.Plugin); err != nil {
			return info, fmt.Errorf("backend %q is not installed: there is no %s. Install it with\n  eligen backend install %s\nor "+
				"use the backend go", name, info.Plugin, name)
		}
	default:
		if !filepath.IsAbs(plugin) {
			return info, fmt.Errorf("backend %q: the path of a plugin must be absolute", name)
		}
		info.Plugin = filepath.Clean(plugin)
		if _, err := os.Stat(info.Plugin); err != nil {
			return info, fmt.Errorf("backend %q: its plugin is missing: %w", name, err)
		}
	}
	// go-xla takes a plugin for CUDA's or for the CPU's by words anywhere in its
	// path; the wrong guess changes how memory is handled.
	upper, kind := strings.ToUpper(info.Plugin), pluginKind(info.Plugin)
	cuda := strings.Contains(upper, "CUDA") || strings.Contains(upper, "NVIDIA")
	if cuda != (kind == "cuda") || kind == "cpu" && !strings.Contains(upper, "CPU") {
		return info, fmt.Errorf("the plugin %s seems to be for %s by its own name and for another device by its folder's. Move it "+
			"to a folder whose path has none of the words cpu, cuda and nvidia in it (ELIGEN_PLUGIN_DIR names the folder of installed plugins)",
			info.Plugin, kind)
	}
	if info.Flags, err = xlaFlags(); err != nil {
		return info, err
	}
	if info.TF32, err = tf32(info); err != nil {
		return info, err
	}
	info.PluginDigest, err = cache.Digest(info.Plugin)
	return info, err
}

// tf32 reads ELIGEN_TF32, which has a card round products of float32 to TF32. It is off by default: float32 is
// what was asked for.
func tf32(i Info) (bool, error) {
	value := os.Getenv("ELIGEN_TF32")
	if value == "" || !i.CUDA() {
		return false, nil
	}
	on, err := strconv.ParseBool(value)
	if err != nil {
		return false, fmt.Errorf("ELIGEN_TF32 is %q; it can be true or false", value)
	}
	return on, nil
}

// pluginKind returns a plugin's device, by its file's name: "cpu", "cuda", or the
// name itself.
func pluginKind(path string) string {
	base := strings.ToLower(filepath.Base(path))
	switch {
	case strings.Contains(base, "cuda"):
		return "cuda"
	case strings.Contains(base, "cpu"):
		return "cpu"
	}
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// Open opens a backend by name: "go", "xla:cpu", "xla:cuda", "xla:/path/to/plugin.so", or
// "" for the one that Choose returns. It downloads nothing.
func Open(name string) (compute.Backend, Info, error) {
	info, err := Find(name)
	if err != nil {
		return nil, info, err
	}
	b, err := info.Open()
	return b, info, err
}

func (i Info) Open() (b compute.Backend, err error) {
	defer panics.Catch("opening the backend "+i.Name, &err)
	if i.Plugin == "" {
		collectOften()
		return gobackend.New(goConfig)
	}
	plugin := i.Plugin
	if i.CUDA() {
		// go-xla's own defaults are TF32, and three quarters of the memory.
		plugin += fmt.Sprintf(",tf32=%t,memory_fraction=%g", i.TF32, Fraction)
	}
	var p *programs
	if pluginKind(i.Plugin) == "cpu" { // what a card's program depends on is more than we know
		if p, err = newPrograms(i); err != nil {
			return nil, err
		}
	}
	b, err = openXLA(plugin)
	if err != nil {
		return nil, fmt.Errorf("backend %s: the plugin %s can't be used: %s", i.Name, i.Plugin, panics.FirstLine(err))
	}
	if p != nil && !keepPrograms(i.Plugin) {
		p = nil
	}
	kept.Store(p)
	return b, nil
}

// A State is one line of `eligen backend list`.
type State struct {
	Name    string `json:"name"`
	Ready   bool   `json:"ready"`
	Chosen  bool   `json:"chosen"`            // the one that is used where none is asked for
	Plugin  string `json:"plugin,omitempty"`  // path of the plugin, installed or not; "" for go
	Problem string `json:"problem,omitempty"` // why it isn't ready, and what to do about it
}

// List returns every backend that has a name of its own, ready or not, and the one that the
// environment chooses where that is another.
func List() []State {
	chosen, err := Choose("")
	names := []string{"go", "xla:cpu", "xla:cuda"}
	if err == nil && strings.HasPrefix(chosen, "xla:/") {
		names = append(names, chosen)
	}
	var out []State
	for _, n := range names {
		info, err := Find(n)
		s := State{Name: n, Ready: err == nil, Chosen: n == chosen, Plugin: info.Plugin}
		if err != nil {
			s.Problem = strings.Join(strings.Fields(err.Error()), " ")
		}
		out = append(out, s)
	}
	return out
}
