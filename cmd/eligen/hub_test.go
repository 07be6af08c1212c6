package main

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/eligen/eligen/hub/hubtest"
)

// startHub starts a hub that publishes the models of a folder, owner/name/…, and has Hugging Face's and ModelScope's
// variables name it, with empty caches. Files in safetensors are outside git. Further words say how it behaves:
// gated and private models; break=N, which ends each answer of the CDN after N bytes, once.
func startHub(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: hub FOLDER [gated|private|break=N]…")
	}
	models := map[string]*hubtest.Model{}
	root := ts.MkAbs(args[0])
	ts.Check(filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, p)
		parts := strings.SplitN(filepath.ToSlash(rel), "/", 3)
		if err != nil || len(parts) < 3 {
			return err
		}
		name := parts[0] + "/" + parts[1]
		if models[name] == nil {
			models[name] = &hubtest.Model{
				Name: name, Files: map[string][]byte{}, Commit: strings.Repeat("c0ffee5eed", 4), LFS: []string{".safetensors", ".gguf"},
				License: "apache-2.0",
			}
		}
		models[name].Files[parts[2]], err = os.ReadFile(p)
		return err
	}))
	var list []*hubtest.Model
	for _, m := range models {
		m.Gated, m.Private = slices.Contains(args, "gated"), slices.Contains(args, "private")
		list = append(list, m)
	}
	s := hubtest.New(list...)
	ts.Defer(s.Close)
	for _, a := range args[1:] {
		if after, ok := strings.CutPrefix(a, "break="); ok {
			n, err := strconv.Atoi(after)
			ts.Check(err)
			s.Fault = breakOnce(n)
		}
	}
	for name, value := range map[string]string{
		"HF_ENDPOINT": s.URL, "HF_HOME": ts.MkAbs("hf"), "MODELSCOPE_ENDPOINT": s.URL, "MODELSCOPE_CACHE": ts.MkAbs("ms"),
	} {
		ts.Setenv(name, value)
	}
}

// breakOnce has the first answer of the CDN end after n bytes.
func breakOnce(n int) func(http.ResponseWriter, *http.Request, bool) bool {
	var broken atomic.Bool
	return func(w http.ResponseWriter, r *http.Request, cdn bool) bool {
		if !cdn || broken.Swap(true) {
			return false
		}
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write(make([]byte, n))
		panic(http.ErrAbortHandler)
	}
}
