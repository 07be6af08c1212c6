package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/eligen/eligen/hub/hubtest"
	"github.com/eligen/eligen/internal/tensor"
)

// Commands of scripts about published weights.
func init() {
	commands["publish"] = publish
	commands["rehouse"] = rehouse
}

// published holds the models that scripts' hubs publish, by their working folders.
var published sync.Map

// publish FOLDER OWNER/NAME COMMIT [gated] has a hub on this machine publish a folder as a
// repository, and points the script's variables of Hugging Face and ModelScope at the hub. COMMIT is one hexadecimal
// digit, which is repeated. What was published under the name before is replaced.
func publish(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: publish FOLDER OWNER/NAME COMMIT [gated]")
	}
	m := &hubtest.Model{
		Name: args[1], Files: map[string][]byte{}, LFS: []string{".safetensors", ".gguf"}, Commit: strings.Repeat(args[2], 40),
		Gated: slices.Contains(args[3:], "gated"), License: "other",
	}
	root := ts.MkAbs(args[0])
	ts.Check(filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		m.Files[filepath.ToSlash(name)], err = os.ReadFile(p)
		return err
	}))
	models := map[string]*hubtest.Model{m.Name: m}
	if old, ok := published.Load(ts.Getenv("WORK")); ok {
		for name, other := range old.(map[string]*hubtest.Model) {
			if name != m.Name {
				models[name] = other
			}
		}
	}
	published.Store(ts.Getenv("WORK"), models)
	var list []*hubtest.Model
	for _, m := range models {
		list = append(list, m)
	}
	s := hubtest.New(list...)
	ts.Defer(s.Close)
	ts.Setenv("HF_ENDPOINT", s.URL)
	ts.Setenv("HF_HOME", filepath.Join(ts.Getenv("WORK"), ".hf"))
	ts.Setenv("MODELSCOPE_ENDPOINT", s.URL)
	ts.Setenv("MODELSCOPE_CACHE", filepath.Join(ts.Getenv("WORK"), ".ms"))
	ts.Setenv("HOME", filepath.Join(ts.Getenv("WORK"), "home"))
}

// rehouse FOLDER LAYOUT writes nano's weights as FLUX.1 users have theirs: LAYOUT is "repository",
// as Black Forest Labs publish it, or "comfyui", in ComfyUI's folders.
func rehouse(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 || args[1] != "repository" && args[1] != "comfyui" {
		ts.Fatalf("usage: rehouse FOLDER repository|comfyui")
	}
	root, from := ts.MkAbs(args[0]), ts.Getenv("NANO")
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(from, name))
		ts.Check(err)
		return data
	}
	write := func(name string, data []byte) {
		to := filepath.Join(root, filepath.FromSlash(name))
		ts.Check(os.MkdirAll(filepath.Dir(to), 0o755))
		ts.Check(os.WriteFile(to, data, 0o644))
	}
	text := read("text.safetensors")
	clip, err := part(text, "clip.")
	ts.Check(err)
	t5, err := part(text, "t5.")
	ts.Check(err)
	transformer := "flux1-dev.safetensors"
	places := []string{transformer, "ae.safetensors", "text_encoder/", "text_encoder_2/", "tokenizer_2/tokenizer.json", "tokenizer/"}
	if args[1] == "comfyui" {
		// ComfyUI has no tokenizers beside the weights: FLUX.1's are part of the program.
		places = []string{"models/unet/" + transformer, "models/vae/ae.safetensors", "models/clip/clip_l.safetensors",
			"models/text_encoders/t5xxl_fp16.safetensors", "models/unet/tokenizer_2/tokenizer.json", "models/unet/tokenizer/"}
	}
	write(places[0], read("dit.safetensors"))
	write(places[1], read("ae.safetensors"))
	for i, encoder := range [][]byte{clip, t5} {
		at := places[2+i]
		if strings.HasSuffix(at, "/") {
			write(at+"config.json", []byte(`{"num_attention_heads": `+strconv.Itoa(2+i)+`, "num_heads": 3, "d_kv": 64}`))
			at += "model.safetensors"
		}
		write(at, encoder)
	}
	write(places[4], read("tokenizer.json"))
	write(places[5]+"vocab.json", read("vocab.json"))
	write(places[5]+"merges.txt", read("merges.txt"))
}

// part returns the tensors of a safetensors file whose names begin so, without that beginning.
func part(data []byte, prefix string) ([]byte, error) {
	all, _, err := tensor.ReadHeader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	var infos []tensor.Info
	var body []byte
	for _, t := range all {
		if name, ok := strings.CutPrefix(t.Name, prefix); ok {
			bytes := data[t.Offset : t.Offset+t.Size]
			t.Name = name
			infos, body = append(infos, t), append(body, bytes...)
		}
	}
	if len(infos) == 0 {
		return nil, fmt.Errorf("no tensor begins with %s", prefix)
	}
	head, err := tensor.Header(nil, infos)
	return append(head, body...), err
}
