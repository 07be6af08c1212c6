package file

import (
	"bufio"
	"os"
	"os/exec"
	"testing"

	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/store/storetest"
)

// childStore is the store's folder in which TestHolder takes a lease.
const childStore = "ELIGEN_TEST_STORE"

// TestHolder runs in the process that TestLeaseOfTheDead starts, and kills.
func TestHolder(t *testing.T) {
	dir := os.Getenv(childStore)
	if dir == "" {
		t.Skip("another test starts this")
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lease(t.Context(), storetest.Key("a"), func() {}); err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("held\n")
	select {}
}

// TestLeaseOfTheDead: the lease of a process that is killed goes to who waits for it.
func TestLeaseOfTheDead(t *testing.T) {
	s, _ := fill(t)
	if lock, err := s.files.Lock("probe", true); err != nil {
		t.Skip("files can't be locked here: ", err)
	} else if err := lock.Remove(); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestHolder$")
	child.Env = append(os.Environ(), childStore+"="+s.Dir())
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "held\n" {
		t.Fatalf("the child says %q, %v", line, err)
	}
	waited := false
	lease, err := s.Lease(t.Context(), storetest.Key("a"), func() {
		waited = true
		if err := child.Process.Kill(); err != nil {
			t.Error(err)
		}
	})
	if err != nil || !waited {
		t.Fatalf("waited %v: %v", waited, err)
	}
	lease.Release()
	_ = child.Wait() // it was killed
	if names, err := s.files.List("leases"); err != nil || len(names) != 0 {
		t.Errorf("leases are left: %v, %v", names, err)
	}
	if _, err := s.files.Lock("leases/none", false); !files.Missing(err) {
		t.Errorf("a file that must exist: %v", err)
	}
}
