package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eligen/eligen/stage/still"
)

const watchedScene = `
render "one" {
  prompt = "a park"
  size   = [64, 64]

  output {
    path = "one.png"
  }
}
`

// TestApplyWatch: a scene is rendered again whenever it is saved, mistakes are said and
// mended, and an interrupt ends it.
func TestApplyWatch(t *testing.T) {
	dir := t.TempDir()
	scene := filepath.Join(dir, "scene.hcl")
	save := func(text string) {
		t.Helper()
		if err := os.WriteFile(scene, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	save(watchedScene)
	c := exec.Command("eligen", "apply", "--watch", "--engine", "paint", scene)
	c.Env = append(os.Environ(), "ELIGEN_CACHE_DIR="+t.TempDir())
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Process.Kill() }()
	paths, said := bufio.NewScanner(out), bufio.NewScanner(errs)
	wrote := func() still.Resolved {
		t.Helper()
		if !paths.Scan() || paths.Text() != filepath.Join(dir, "one.png") {
			t.Fatalf("wrote %q", paths.Text())
		}
		f, err := os.Open(paths.Text())
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := still.Metadata(f)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	says := func(want string) {
		t.Helper()
		for said.Scan() {
			if strings.Contains(said.Text(), want) {
				return
			}
		}
		t.Fatalf("never said %q", want)
	}
	if got := wrote().Prompt; got != "a park" {
		t.Errorf("at first %q", got)
	}
	save(strings.Replace(watchedScene, "a park", "a beach", 1))
	if got := wrote().Prompt; got != "a beach" {
		t.Errorf("saved, %q", got)
	}
	save(strings.Replace(watchedScene, "prompt", "promt", 1))
	says("the scene has mistakes; the last pictures stay")
	says("Unsupported argument")
	save(strings.Replace(watchedScene, "a park", "a hill", 1))
	if got := wrote().Prompt; got != "a hill" {
		t.Errorf("mended, %q", got)
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	go func() {
		for said.Scan() { // so that nothing waits for it
		}
	}()
	_ = c.Wait()
	if got := c.ProcessState.ExitCode(); got != exitInterrupted {
		t.Errorf("ended with %d", got)
	}
}
