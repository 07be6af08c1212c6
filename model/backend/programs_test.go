package backend

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// A program is found by the text, options and backend that it was compiled from and by, and is
// compiled anew where its file was damaged.
func TestProgramsAreFound(t *testing.T) {
	t.Setenv("ELIGEN_CACHE_DIR", t.TempDir())
	of := func(i Info) *programs {
		p, err := newPrograms(i)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := of(Info{PluginDigest: "sha256:1"})
	k := p.key([]byte("program"), []byte("options"))
	if p.find(k) != nil {
		t.Error("found in an empty folder")
	}
	p.keep(k, []byte("compiled"))
	if got := p.find(k); string(got) != "compiled" {
		t.Errorf("found %q", got)
	}
	for what, other := range map[string]programKey{
		"another text": p.key([]byte("programo"), []byte("ptions")), "other options": p.key([]byte("program"), nil),
		"another plugin": of(Info{PluginDigest: "sha256:2"}).key([]byte("program"), []byte("options")),
		"other flags":    of(Info{PluginDigest: "sha256:1", Flags: "--xla"}).key([]byte("program"), []byte("options")),
	} {
		if p.find(other) != nil {
			t.Errorf("%s finds the program too", what)
		}
	}
	b, err := os.ReadFile(p.path(k))
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range [][]byte{b[:len(b)-1], append(bytes.Clone(b[:len(b)-1]), 'D'), b[:10], nil} {
		if err := os.WriteFile(p.path(k), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := p.find(k); got != nil {
			t.Errorf("a damaged file gives %q", got)
		}
	}
	t.Setenv("ELIGEN_PROGRAMS", "false")
	if p := of(Info{}); p != nil {
		t.Error("programs are kept in spite of ELIGEN_PROGRAMS")
	}
	t.Setenv("ELIGEN_PROGRAMS", "perhaps")
	if _, err := newPrograms(Info{}); err == nil || !strings.Contains(err.Error(), "true or false") {
		t.Errorf("ELIGEN_PROGRAMS=perhaps gives %v", err)
	}
}

// Programs that were not used for longest make room.
func TestProgramsMakeRoom(t *testing.T) {
	p := &programs{dir: t.TempDir()}
	var keys []programKey
	for i := range 4 {
		k := p.key(fmt.Append(nil, i), nil)
		keys = append(keys, k)
		p.keep(k, make([]byte, 68)) // 100 bytes in the file
		old := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(p.path(k), old, old); err != nil {
			t.Fatal(err)
		}
	}
	p.find(keys[0])
	p.trim(250)
	for i, want := range []bool{true, false, false, true} {
		if got := p.find(keys[i]) != nil; got != want {
			t.Errorf("program %d is there: %t, want %t", i, got, want)
		}
	}
}

// A graph that was compiled before is loaded, and gives the same bits.
func TestProgramsRun(t *testing.T) {
	plugin := os.Getenv("ELIGEN_XLA_CPU")
	if plugin == "" {
		t.Skip("ELIGEN_XLA_CPU is not set: it should name a PJRT CPU plugin, pjrt_c_api_cpu_plugin.so")
	}
	t.Setenv("ELIGEN_CACHE_DIR", t.TempDir())
	numbers := make([]float32, 64*64)
	for i := range numbers {
		numbers[i] = float32(i%97) / 31
	}
	run := func() []float32 {
		t.Helper()
		b, _, err := Open("xla:" + plugin)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Finalize()
		e, err := graph.NewExec(b, func(x *graph.Node) *graph.Node {
			return graph.Softmax(graph.Sin(graph.Dot(x, graph.Exp(x)).Product()), -1)
		})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Finalize()
		out, err := e.Call(tensors.FromFlatDataAndDimensions(numbers, 64, 64))
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[float32](out[0])
	}
	expect := func(found, made int64) {
		t.Helper()
		if f, m := Programs(); f != found || m != made {
			t.Errorf("%d programs found and %d compiled, want %d and %d", f, m, found, made)
		}
	}
	first := run()
	if kept.Load() == nil {
		t.Fatal("the plugin keeps no programs")
	}
	expect(0, 1)
	again := run()
	expect(1, 0)
	for i := range first {
		if first[i] != again[i] {
			t.Fatalf("number %d is %v compiled and %v loaded", i, first[i], again[i])
		}
	}
	files, err := filepath.Glob(filepath.Join(kept.Load().dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("no program, though long enough to have been one"), 0o600); err != nil {
		t.Fatal(err)
	}
	run()
	expect(0, 1)
	t.Setenv("ELIGEN_PROGRAMS", "false")
	run()
	expect(0, 0)
}

// programs_linux.c describes the parts of PJRT's table that it uses as go-xla's header does.
func TestProgramsHeader(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("there is no C compiler in PATH")
	}
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gomlx/go-xla").Output()
	if err != nil {
		t.Fatal(err)
	}
	own, err := filepath.Abs("programs_linux.c")
	if err != nil {
		t.Fatal(err)
	}
	scratch := t.TempDir()
	export := "char *eligenFindProgram(char *, size_t, char *, size_t, char *, size_t *);\nvoid eligenKeepProgram(char *, char *, size_t);\n"
	var check strings.Builder
	fmt.Fprintf(&check, "#include <stddef.h>\n#include %q\n#include \"pjrt_c_api.h\"\n", own)
	for index, name := range map[string]string{"ERROR_DESTROY": "Error_Destroy", "CLIENT_COMPILE": "Client_Compile",
		"EXECUTABLE_DESTROY": "Executable_Destroy", "SERIALIZE": "Executable_Serialize", "GET_EXECUTABLE": "LoadedExecutable_GetExecutable",
		"LOAD": "Executable_DeserializeAndLoad"} {
		fmt.Fprintf(&check, "_Static_assert(offsetof(table, call) + %s * sizeof(call *) == offsetof(PJRT_Api, PJRT_%s), %q);\n",
			index, name, name)
	}
	same := func(own, theirs string, fields ...string) {
		fmt.Fprintf(&check, "_Static_assert(sizeof(%s) == PJRT_%s_STRUCT_SIZE, %q);\n", own, theirs, theirs)
		for i := 0; i < len(fields); i += 2 {
			fmt.Fprintf(&check, "_Static_assert(offsetof(%s, %s) == offsetof(PJRT_%s, %s), %q);\n", own, fields[i], theirs, fields[i+1],
				theirs+" "+fields[i+1])
		}
	}
	same("program", "Program", "code", "code", "code_size", "code_size")
	same("compile_args", "Client_Compile_Args", "program", "program", "options", "compile_options", "loaded", "executable")
	same("get_args", "LoadedExecutable_GetExecutable_Args", "executable", "executable")
	same("serialize_args", "Executable_Serialize_Args", "bytes", "serialized_bytes", "free_backing", "serialized_executable_deleter")
	same("load_args", "Executable_DeserializeAndLoad_Args", "bytes", "serialized_executable", "loaded", "loaded_executable")
	same("destroy_args", "Executable_Destroy_Args", "which", "executable")
	for name, text := range map[string]string{"_cgo_export.h": export, "check.c": check.String()} {
		if err := os.WriteFile(filepath.Join(scratch, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(cc, "-fsyntax-only", "-I", scratch, "-I", filepath.Join(strings.TrimSpace(string(dir)), "pjrt"),
		filepath.Join(scratch, "check.c")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
