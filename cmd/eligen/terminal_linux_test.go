package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

func init() {
	commands["terminal"] = onTerminal
	commands["typing"] = typing
}

// terminal COLUMNS COMMAND… runs a command on a terminal that is so wide and answers no
// question; what it writes there is standard output afterwards. A command that waits for
// an answer ends with an error.
func onTerminal(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: terminal COLUMNS COMMAND…")
	}
	columns, err := strconv.ParseUint(args[0], 10, 16)
	ts.Check(err)
	runShown(ts, neg, args[1:], uint16(columns), nil)
}

// typing KEYS COMMAND… is terminal 80 COMMAND…, where somebody types: a line of the file
// KEYS whenever the prompt "> " is shown, with \x1b and the like for keys that files
// don't show, and with the enter key unless it ends in \c.
func typing(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: typing KEYS COMMAND…")
	}
	var keys []string
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		line = strings.TrimSuffix(line, "\n") + "\n"
		keys = append(keys, strings.NewReplacer(`\c`+"\n", "", `\x1b`, "\x1b", `\x7f`, "\x7f", `\x03`, "\x03", `\x04`, "\x04", "\n",
			"\r").Replace(line))
	}
	runShown(ts, neg, args[1:], 80, keys)
}

// runShown runs a command of a script on a terminal.
func runShown(ts *testscript.TestScript, neg bool, args []string, columns uint16, keys []string) {
	var path string
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if p, err := exec.LookPath(filepath.Join(dir, args[0])); err == nil {
			path = p
			break
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, path, args[1:]...)
	c.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "ELIGEN_CACHE_DIR", "ELIGEN_PLUGIN_DIR", "NO_COLOR", "CI", "TERM", "COLORTERM", "LANG"} {
		c.Env = append(c.Env, name+"="+ts.Getenv(name))
	}
	out, err := runOnTerminal(c, columns, keys)
	_, _ = ts.Stdout().Write(bytes.ReplaceAll(out, []byte("\r\n"), []byte("\n")))
	if ctx.Err() != nil {
		ts.Fatalf("it waits for the terminal: %q", out)
	}
	if (err != nil) != neg {
		ts.Fatalf("%v", err)
	}
}

// runOnTerminal runs a command on a new terminal, and gives what it wrote. A prompt is
// answered with the next keys.
func runOnTerminal(c *exec.Cmd, columns uint16, keys []string) ([]byte, error) {
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
	var out []byte
	buf := make([]byte, 4096)
	for prompts := 0; err == nil; { // until nobody has the terminal any more
		n, err = master.Read(buf)
		out = append(out, buf[:n]...)
		if now := bytes.Count(out, []byte("> ")); now > prompts && bytes.HasSuffix(out, []byte("> ")) && len(keys) > 0 {
			prompts = now
			if _, err := master.WriteString(keys[0]); err != nil {
				return out, err
			}
			keys = keys[1:]
		}
	}
	return out, c.Wait()
}
