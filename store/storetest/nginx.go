package storetest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// nginxConfig has nginx keep what is PUT, by WebDAV, below the folder %[1]s and listen on
// the socket at %[2]s.
const nginxConfig = `
daemon off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr;
events { worker_connections 64; }
http {
	access_log off;
	client_max_body_size 0;
	client_body_temp_path %[1]s/temp;
	proxy_temp_path %[1]s/temp-proxy;
	fastcgi_temp_path %[1]s/temp-fastcgi;
	uwsgi_temp_path %[1]s/temp-uwsgi;
	scgi_temp_path %[1]s/temp-scgi;
	server {
		listen %[2]s;
		root %[1]s/files;
		location ~ ^/(cas|ac)/[0-9a-f]+$ {
			dav_methods PUT;
			create_full_put_path on;
		}
	}
}
`

// Nginx starts a real nginx that keeps what is PUT, and returns its address and the folder of its
// files. A test is skipped where none is installed.
func Nginx(t *testing.T) (address, files string) {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed")
	}
	if about, err := exec.Command(nginx, "-V").CombinedOutput(); err != nil || !strings.Contains(string(about), "http_dav_module") {
		t.Skipf("this nginx has no WebDAV: %v", err)
	}
	// A folder that nginx's worker, which is another user's where root runs it, can reach.
	dir, err := os.MkdirTemp("", "eligen-nginx-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	files = filepath.Join(dir, "files")
	for _, folder := range []string{dir, files, filepath.Join(dir, "temp")} {
		if err := os.MkdirAll(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(folder, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return "http://" + startNginx(t, nginx, dir), files
}

// startNginx starts nginx over a folder, and returns its address when it answers.
func startNginx(t *testing.T, nginx, dir string) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, address), 0o600); err != nil {
		t.Fatal(err)
	}
	var output strings.Builder
	c := exec.Command(nginx, "-e", "stderr", "-p", dir, "-c", config)
	c.Stderr = &output
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt)
		if err := <-ended; err != nil {
			t.Log("nginx: ", err)
		}
	})
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return address
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("nginx has ended: %v\n%s", err, output.String())
		default:
		}
	}
}
