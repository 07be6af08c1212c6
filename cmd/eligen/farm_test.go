package main

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() { commands["queue"] = queueOf }

// queue FLAG… runs eligen queue start, until the script ends. $QUEUE is its address.
func queueOf(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: queue FLAG…")
	}
	c := exec.Command(lookPath(ts, "eligen"), append([]string{"queue", "start", "--listen", "127.0.0.1:0"}, args...)...)
	c.Dir = ts.MkAbs(".")
	c.Env = append(c.Environ(), "ELIGEN_CACHE_DIR="+ts.MkAbs(".queue"))
	out, err := c.StdoutPipe()
	ts.Check(err)
	ts.Check(c.Start())
	ts.Defer(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		ts.Fatalf("the queue doesn't start: %v", err)
	}
	ts.Setenv("QUEUE", strings.TrimSpace(line))
}

// lookPath finds a program of a script.
func lookPath(ts *testscript.TestScript, name string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p
		}
	}
	ts.Fatalf("there is no %s", name)
	return ""
}
