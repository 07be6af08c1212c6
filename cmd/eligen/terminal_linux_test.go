package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

func init() { commands["terminal"] = onTerminal }

// terminal COLUMNS COMMAND… runs a command on a terminal that is so wide and answers no
// question; what it writes there is standard output afterwards. A command that waits for
// an answer ends with an error.
func onTerminal(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: terminal COLUMNS COMMAND…")
	}
	columns, err := strconv.ParseUint(args[0], 10, 16)
	ts.Check(err)
	var path string
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if p, err := exec.LookPath(filepath.Join(dir, args[1])); err == nil {
			path = p
			break
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, path, args[2:]...)
	c.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "ELIGEN_CACHE_DIR", "ELIGEN_PLUGIN_DIR", "NO_COLOR", "CI", "TERM"} {
		c.Env = append(c.Env, name+"="+ts.Getenv(name))
	}
	out, err := runOnTerminal(c, uint16(columns))
	_, _ = ts.Stdout().Write(bytes.ReplaceAll(out, []byte("\r\n"), []byte("\n")))
	if ctx.Err() != nil {
		ts.Fatalf("it waits for the terminal: %q", out)
	}
	if (err != nil) != neg {
		ts.Fatalf("%v", err)
	}
}

// runOnTerminal runs a command on a new terminal, and gives what it wrote.
func runOnTerminal(c *exec.Cmd, columns uint16) ([]byte, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer master.Close()
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, err
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		return nil, err
	}
	c.Stdin, c.Stdout, c.Stderr = slave, slave, slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = c.Start()
	slave.Close()
	if err != nil {
		return nil, err
	}
	out, _ := io.ReadAll(master) // ends with an error when nobody has the terminal any more
	return out, c.Wait()
}
