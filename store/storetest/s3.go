package storetest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// s3Key and s3Secret are the credentials of S3's server.
const s3Key, s3Secret = "eligen", "a-secret-of-tests"

// S3 starts a real server of S3's protocol, versitygw over a folder, with a bucket. It returns the bucket's address
// and the folder of its objects, and sets the variables of the credentials. A test is skipped where none is installed.
func S3(t *testing.T) (address, files string) {
	t.Helper()
	program := os.Getenv("ELIGEN_VERSITYGW")
	if program == "" {
		var err error
		if program, err = exec.LookPath("versitygw"); err != nil {
			t.Skip("versitygw is not installed: go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")
		}
	}
	dir := t.TempDir()
	files = filepath.Join(dir, "store", "results")
	for _, folder := range []string{files, filepath.Join(dir, "about")} {
		if err := os.MkdirAll(folder, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	startS3(t, program, at, dir)
	t.Setenv("AWS_ACCESS_KEY_ID", s3Key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3Secret)
	// Nothing that this machine's user has set plays a part.
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "none"))
	return "s3://results/eligen?endpoint=" + url.QueryEscape("http://"+at), filepath.Join(files, "eligen")
}

// startS3 starts versitygw, which ends with the test, and waits until it answers.
func startS3(t *testing.T, program, at, dir string) {
	t.Helper()
	var output strings.Builder
	c := exec.Command(program, "--access", s3Key, "--secret", s3Secret, "--port", at, "--quiet",
		"posix", "--sidecar", filepath.Join(dir, "about"), filepath.Join(dir, "store"))
	c.Dir, c.Stdout, c.Stderr = dir, &output, &output
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt)
		if err := <-ended; err != nil {
			t.Log("versitygw: ", err)
		}
	})
	for {
		conn, err := net.Dial("tcp", at)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatal(fmt.Errorf("versitygw has ended: %w\n%s", err, output.String()))
		case <-time.After(10 * time.Millisecond):
		}
	}
}
