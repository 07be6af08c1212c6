//go:build cgo && linux

package cuda

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/eligen/eligen/model/backend"
	run "github.com/eligen/eligen/model/exec"
)

var update = flag.Bool("update", false, "write testdata/table.json")

// Variables of the test, and of the process that it starts for each card.
const (
	envCUDA = "ELIGEN_CUDA_PLUGIN" // xla_cuda_plugin.so of jax-cuda12-pjrt
	envNVCC = "ELIGEN_CUDA_NVCC"   // the folder nvidia/cuda_nvcc of nvidia-cuda-nvcc-cu12
	envCPU  = "ELIGEN_XLA_CPU"
	envAll  = "ELIGEN_CUDA_ALL" // all cards and graphs; else those that CI has time for
	envJob  = "ELIGEN_CUDA_JOB"
)

// quick are the cards and graphs that CI compiles.
var quick = []string{"rtx4090/step 512 4 entities", "h100/step 1024 8 entities", "rtx4090/text 256", "a100/nano step 3 entities"}

// TestCUDA compiles eligen's graphs for cards that aren't here, and holds what comes of it to testdata/table.txt.
func TestCUDA(t *testing.T) {
	if name := os.Getenv(envJob); name != "" {
		compileJob(t, name)
		return
	}
	for _, name := range []string{envCUDA, envNVCC, envCPU} {
		if os.Getenv(name) == "" {
			t.Skipf("%s is not set; see docs/cuda.md", name)
		}
	}
	proxy := buildProxy(t)
	table := readTable(t)
	seen := map[string]string{}
	for _, card := range []string{"rtx4090", "h100", "a100"} {
		for _, j := range jobs() {
			key := card + "/" + j.name
			if os.Getenv(envAll) == "" && !slices.Contains(quick, key) {
				continue
			}
			t.Run(key, func(t *testing.T) {
				for _, p := range compileFor(t, proxy, card, j.name) {
					line := fmt.Sprintf("%d MiB, %d kernels, %d fused", p.Temp>>20, p.Kernels, p.Fused)
					row := key + "/" + p.Name
					seen[row] = line
					t.Logf("%-12s %s", p.Name, line)
					for _, problem := range judge(j, p, table[row]) {
						if !*update || !strings.HasPrefix(problem, "the table") {
							t.Errorf("%s: %s", p.Name, problem)
						}
					}
				}
			})
		}
	}
	t.Run("broken", func(t *testing.T) {
		var problems []string
		for _, p := range compileFor(t, proxy, "rtx4090", broken.name) {
			problems = append(problems, judge(broken, p, "100000 MiB, 100000 kernels, 0 fused")...)
		}
		t.Log(strings.Join(problems, "\n"))
		for _, want := range []string{"its attention is not " + fmha, "holds attention's scores"} {
			if !strings.Contains(strings.Join(problems, "\n"), want) {
				t.Errorf("graphs without fused attention pass: %q is not said", want)
			}
		}
	})
	if *update {
		writeTable(t, table, seen)
	}
}

// TestJudge: a program that isn't as it should be is told, whatever the compiler says of it.
func TestJudge(t *testing.T) {
	const head = "HloModule m\n\nENTRY %main (p: bf16[3072,12288]) -> f32[1] {\n  %p = bf16[3072,12288]{1,0} parameter(0)\n"
	for want, line := range map[string]string{
		"copy of a weight in float32": "  %c = f32[3072,12288]{1,0} convert(%p)",
		"holds attention's scores":    "  %s = f32[24,578,4608]{2,1,0} fusion(%p), kind=kLoop",
		"its attention is not":        "  %d = bf16[4096,3072]{1,0} fusion(%p), kind=kLoop",
		"the table has 5 MiB": "  %a = (bf16[1,24,4096,128]{3,1,2,0}, f32[1,24,4096]{2,1,0}) " +
			`custom-call(%p), custom_call_target="__cudnn$fmhaSoftmax"`,
		"it doesn't compile: no space": "",
	} {
		p := Program{Name: "double", Temp: 9 << 20}
		if line == "" {
			p.Problem = "no space"
		} else if err := p.read(head + line + "\n}\n"); err != nil {
			t.Fatal(err)
		}
		said := strings.Join(judge(job{fused: true}, p, "5 MiB, 1 kernels, 1 fused"), "\n")
		if !strings.Contains(said, want) {
			t.Errorf("%q is not said of %s, but %q", want, line, said)
		}
	}
}

// judge returns what is wrong with a program. was is its line of the table.
func judge(j job, p Program, was string) (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if p.Problem != "" {
		add("it doesn't compile: %s", p.Problem)
		return problems
	}
	block := p.Name == "double" || p.Name == "single"
	if j.fused && block && p.Fused == 0 {
		add("its attention is not %s", fmha)
	}
	if s := p.Scores(heads); j.fused && s != "" {
		add("%s holds attention's scores", s)
	}
	if s := p.Widened(); s != "" {
		add("%s is a copy of a weight in float32", s)
	}
	var temp, kernels, fused int64
	if _, err := fmt.Sscanf(was, "%d MiB, %d kernels, %d fused", &temp, &kernels, &fused); err != nil {
		add("the table has no line for it: go test ./bench/cuda -update")
		return problems
	}
	if now := p.Temp >> 20; now > temp+temp/50+1 {
		add("the table has %d MiB of temporaries, and it takes %d", temp, now)
	}
	if int64(p.Kernels) > kernels+kernels/50 {
		add("the table has %d kernels, and it has %d", kernels, p.Kernels)
	}
	return problems
}

// buildProxy builds the proxy plugin with the C compiler that cgo uses.
func buildProxy(t *testing.T) string {
	t.Helper()
	list, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gomlx/go-xla").Output()
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "pjrt_c_api_cuda_plugin.so")
	headers := filepath.Join(strings.TrimSpace(string(list)), "pjrt")
	c := exec.Command(cmp.Or(os.Getenv("CC"), "cc"), "-O1", "-Wall", "-shared", "-fPIC", "-I", headers,
		"-o", out, filepath.Join("proxy", "proxy.c"), "-ldl")
	if said, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return out
}

// compileFor compiles a job's graphs for a card, in a process of its own.
func compileFor(t *testing.T, proxy, card, name string) (list []Program) {
	t.Helper()
	dir := t.TempDir()
	here, err := filepath.Abs(filepath.Join("cards", card+".pbtxt"))
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "log")
	c := exec.Command(os.Args[0], "-test.run=^TestCUDA$", "-test.timeout=30m")
	c.Env = append(os.Environ(), envJob+"="+name, "PROXY_PLUGIN="+proxy, "PROXY_CPU="+os.Getenv(envCPU), "PROXY_CUDA="+os.Getenv(envCUDA),
		"PROXY_CARD="+here, "PROXY_LOG="+log, "GOPJRT_CUDA_CHECKS=0", "TF_CPP_MIN_LOG_LEVEL=3",
		"XLA_FLAGS=--xla_gpu_autotune_level=0 --xla_gpu_cuda_data_dir="+os.Getenv(envNVCC)+" --xla_dump_to="+dir+" --xla_dump_hlo_as_text")
	if said, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		p := Program{Name: strings.TrimPrefix(f[0], "main_")}
		if f[1] == "failed" {
			p.Problem = f[2]
		} else {
			p.Temp, _ = strconv.ParseInt(f[4], 10, 64)
		}
		list = append(list, p)
	}
	dumps, err := filepath.Glob(filepath.Join(dir, "*after_optimizations.txt"))
	if err != nil || len(dumps) != len(list) {
		t.Fatalf("%d programs and %d dumps, %v", len(list), len(dumps), err)
	}
	number := func(dump string) (n int) {
		_, text, _ := strings.Cut(filepath.Base(dump), "_")
		_, _ = fmt.Sscanf(text, "%d", &n) // of "module_0001.begin", or "module_10627.single"
		return n
	}
	slices.SortFunc(dumps, func(a, b string) int { return cmp.Compare(number(a), number(b)) }) // the order of the log
	for i := range list {
		text, err := os.ReadFile(dumps[i])
		if err == nil {
			err = list[i].read(string(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// compileJob is the process that compileFor starts: it has all graphs of a job compiled, none of which can be run.
func compileJob(t *testing.T, name string) {
	jobs := append(jobs(), broken)
	i := slices.IndexFunc(jobs, func(j job) bool { return j.name == name })
	if i < 0 {
		t.Fatalf("there is no job %q", name)
	}
	b, _, err := backend.Open("xla:" + os.Getenv("PROXY_PLUGIN"))
	if err != nil {
		t.Fatal(err)
	}
	requests, err := jobs[i].requests(b)
	if err != nil {
		t.Fatal(err)
	}
	r := run.NewRunner(b)
	for _, q := range requests {
		if err := r.CompileAll(q); err != nil && strings.Contains(err.Error(), "panic") {
			t.Fatal(err) // it wasn't built; that it isn't compiled for the CPU is as it should be
		}
	}
}

const tableFile = "testdata/table.json"

func readTable(t *testing.T) map[string]string {
	t.Helper()
	table := map[string]string{}
	data, err := os.ReadFile(tableFile)
	if err == nil {
		err = json.Unmarshal(data, &table)
	}
	if err != nil && (!os.IsNotExist(err) || !*update) {
		t.Fatal(err)
	}
	return table
}

func writeTable(t *testing.T, table, seen map[string]string) {
	t.Helper()
	for k, v := range seen {
		table[k] = v
	}
	data, err := json.MarshalIndent(table, "", "  ")
	if err == nil {
		err = os.MkdirAll("testdata", 0o755)
	}
	if err == nil {
		err = os.WriteFile(tableFile, append(data, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
