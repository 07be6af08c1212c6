package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eligen/eligen/model/backend"
)

// A card is a graphics card at hand, or, to test all this without one, XLA's plugin for processors:
// the same parts, with sizes that it can do.
type card struct {
	plugin string // path
	kit    string // folder of the files beside the program
	python string
	small  bool
	counts []int     // of entities
	out    io.Writer // of rows
}

// A row is a line of the table that the parts make.
type row struct {
	Part   string `json:"part"`
	What   string `json:"what"`
	Result string `json:"result"`
}

func (c *card) tell(part, what, format string, args ...any) {
	// A part that can't write has nobody to tell.
	_ = json.NewEncoder(c.out).Encode(row{part, what, fmt.Sprintf(format, args...)})
}

// cardParts are what is measured on a card, in order, each in a process of its own: one that
// crashes or hangs takes nothing with it.
var cardParts = []struct {
	name  string
	limit time.Duration
	do    func(c *card, ctx context.Context) error
}{
	{"peak", 60 * time.Second, (*card).peak},
	{"attention", 60 * time.Second, (*card).attention},
	{"goldens", 2 * time.Minute, (*card).goldens},
	{"FLUX.1", 4 * time.Minute, (*card).flux},
	{"nano", 90 * time.Second, (*card).nano},
	{"PyTorch", 3 * time.Minute, (*card).pytorch},
}

// measureCard measures all parts within a time, and prints the table; what has no time left is said.
func measureCard(ctx context.Context, out io.Writer, c *card, limit time.Duration, only []string) error {
	if err := c.find(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	t := table{head: []string{"part", "what", "result"}}
	for _, r := range c.about() {
		t.add(r.Part, r.What, r.Result)
	}
	for _, p := range cardParts {
		if len(only) > 0 && !slices.Contains(only, p.name) {
			continue
		}
		began := time.Now()
		rows, err := c.part(ctx, self, p.name, p.limit)
		for _, r := range rows {
			t.add(r.Part, r.What, r.Result)
		}
		if err != nil {
			t.add(p.name, "failed", firstLine(err))
		}
		fmt.Fprintf(os.Stderr, "%s %s: %.0f s\n", time.Now().Format("15:04:05"), p.name, time.Since(began).Seconds())
	}
	_, err = fmt.Fprintln(out, t.String())
	return err
}

// part runs one part in a process of its own, and reads its rows.
func (c *card) part(ctx context.Context, self, name string, limit time.Duration) (rows []row, err error) {
	if ctx.Err() != nil {
		return nil, errors.New("no time was left")
	}
	all := ctx
	deadline, _ := all.Deadline()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	p := exec.CommandContext(ctx, self, "-card-part", name, "-card-plugin", c.plugin, "-card-kit", c.kit, "-python", c.python,
		fmt.Sprintf("-quick=%t", c.small), "-card-limit", min(limit, time.Until(deadline)).String())
	p.WaitDelay = time.Second
	var said tail
	p.Stderr = io.MultiWriter(&said, os.Stderr)
	out, err := p.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var r row
		if json.Unmarshal(lines.Bytes(), &r) == nil {
			rows = append(rows, r)
			fmt.Fprintf(os.Stderr, "%s | %s | %s\n", r.Part, r.What, r.Result)
		}
	}
	err = p.Wait()
	switch {
	case all.Err() != nil:
		err = errors.New("stopped, since the time for all parts is up")
	case ctx.Err() != nil:
		err = fmt.Errorf("stopped after %s", limit)
	case err != nil && said.last() != "":
		err = errors.New(said.last())
	}
	return rows, err
}

// runPart is the process that part starts. What it starts itself ends before it does, with time to
// tell what came of it.
func runPart(ctx context.Context, c *card, name string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit-limit/20)
	defer cancel()
	for _, p := range cardParts {
		if p.name == name {
			return p.do(c, ctx)
		}
	}
	return fmt.Errorf("there is no part %q", name)
}

// find looks for a plugin where nobody named one: the one that eligen installed, then that of JAX,
// in the folders that the Python at hand imports from. NVIDIA's tools lie beside the latter.
func (c *card) find() error {
	var looked []string
	candidates := []string{c.plugin}
	if c.plugin == "" {
		candidates = candidates[:0]
		if path, err := backend.PluginFile("xla:cuda"); err == nil {
			candidates = append(candidates, path)
		}
		for _, site := range sitePackages(c.python) {
			candidates = append(candidates, jaxPlugins(site)...)
			looked = append(looked, site)
		}
	}
	for _, path := range candidates {
		if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() {
			c.plugin = path
			return nil
		}
	}
	if c.plugin != "" {
		return fmt.Errorf("there is no plugin %s", c.plugin)
	}
	return fmt.Errorf("there is no CUDA plugin: neither eligen's, nor JAX's in %s. Install one with\n  pip install \"jax[cuda12]\"\n"+
		"or name it with -card-plugin", strings.Join(looked, ", "))
}

// sitePackages returns the folders that a Python imports from.
func sitePackages(python string) (list []string) {
	out, err := exec.Command(python, "-c", `import sys; print("\n".join(p for p in sys.path if p))`).Output()
	if err == nil {
		list = strings.Fields(string(out))
	}
	return list
}

// jaxPlugins returns the paths of JAX's CUDA plugins in a folder of Python's packages, the newest CUDA first.
func jaxPlugins(site string) []string {
	found, err := filepath.Glob(filepath.Join(site, "jax_plugins", "xla_cuda*", "xla_cuda_plugin.so"))
	if err != nil {
		return nil // the pattern is well formed
	}
	slices.Sort(found)
	slices.Reverse(found)
	return found
}

// open opens the card, and tells XLA where NVIDIA's compiler lies.
func (c *card) open() (*backendEngine, error) {
	nvcc := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(c.plugin))), "nvidia", "cuda_nvcc")
	if _, err := os.Stat(nvcc); err == nil {
		flags := strings.TrimSpace(os.Getenv("XLA_FLAGS") + " --xla_gpu_cuda_data_dir=" + nvcc)
		if err := os.Setenv("XLA_FLAGS", flags); err != nil {
			return nil, err
		}
	}
	return openEngine(c.backend())
}

func (c *card) backend() string { return "xla:" + c.plugin }

// about describes the machine, as its driver does.
func (c *card) about() []row {
	out, err := exec.Command("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader").Output()
	said := strings.TrimSpace(string(out))
	if err != nil {
		said = "no answer from nvidia-smi: " + firstLine(err)
	}
	return []row{{"machine", "processors", machine()}, {"machine", "card", said}, {"machine", "plugin", c.plugin}}
}

// memory returns what the card's memory holds, as its driver says.
func (c *card) memory() string {
	out, err := exec.Command("nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader").Output()
	if err != nil {
		return fmt.Sprintf("%s MiB of the processors'", mebibytes(peakMemory()))
	}
	return strings.TrimSpace(string(out))
}
