package fetch_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/fetch"
	"github.com/eligen/eligen/internal/files"
)

var content = bytes.Repeat([]byte("every entity in its region\n"), 4000)

func sum(b []byte) eligen.Digest {
	h := sha256.Sum256(b)
	return eligen.Digest(hex.EncodeToString(h[:]))
}

// A server that logs the ranges it was asked for.
func serve(t *testing.T, handler func(w http.ResponseWriter, r *http.Request)) (*httptest.Server, *fetch.Client, *[]string) {
	t.Helper()
	var ranges []string
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range"))
		handler(w, r)
	}))
	t.Cleanup(s.Close)
	return s, &fetch.Client{Transport: s.Client().Transport}, &ranges
}

func whole(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "file", time.Time{}, bytes.NewReader(content))
}

// downloaded fails unless the file is whole and nothing else lies beside it.
func downloaded(t *testing.T, path string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, content) {
		t.Errorf("%d bytes came, not the %d that were sent", len(got), len(content))
	}
	onlyFile(t, path)
}

func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, _ := os.ReadDir(filepath.Dir(path))
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestDownload(t *testing.T) {
	s, c, ranges := serve(t, whole)
	var seen, of int64
	c.Progress = func(name string, n, total int64) { seen, of = n, total }
	path := filepath.Join(t.TempDir(), "new", "file")
	f := fetch.File{URL: s.URL + "/file", SHA256: sum(content)}
	for range 2 { // the second time the file is there, and the server isn't asked
		if err := c.Download(t.Context(), f, path); err != nil {
			t.Fatal(err)
		}
	}
	downloaded(t, path)
	if len(*ranges) != 1 {
		t.Errorf("the server was asked %d times", len(*ranges))
	}
	if seen != int64(len(content)) || of != seen {
		t.Errorf("progress ended at %d of %d", seen, of)
	}
}

// A connection that breaks is taken up again where it broke.
func TestTruncated(t *testing.T) {
	n := 0
	s, c, ranges := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			fmt.Fprintf(w, "%s", content[:1000])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		whole(w, r)
	})
	path := filepath.Join(t.TempDir(), "file")
	if err := c.Download(t.Context(), fetch.File{URL: s.URL, SHA256: sum(content)}, path); err != nil {
		t.Fatal(err)
	}
	downloaded(t, path)
	if diff := cmp.Diff([]string{"", "bytes=1000-"}, *ranges); diff != "" {
		t.Error(diff)
	}
}

// What an interrupted run left is used by the next, unless it is damaged or the
// server knows no ranges.
func TestResume(t *testing.T) {
	damaged := bytes.Clone(content[:5000])
	damaged[17] ^= 1
	plain := func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s", content) }
	for _, test := range []struct {
		name   string
		part   []byte
		serve  func(http.ResponseWriter, *http.Request)
		ranges []string
	}{
		{"half", content[:5000], whole, []string{"bytes=5000-"}},
		{"all", content, whole, []string{fmt.Sprintf("bytes=%d-", len(content))}},
		{"too much", append(bytes.Clone(content), 'x'), whole, []string{fmt.Sprintf("bytes=%d-", len(content)+1), ""}},
		{"damaged", damaged, whole, []string{"bytes=5000-", ""}},
		{"no ranges", content[:5000], plain, []string{"bytes=5000-"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, c, ranges := serve(t, test.serve)
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path+".part", test.part, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := c.Download(t.Context(), fetch.File{URL: s.URL, SHA256: sum(content)}, path); err != nil {
				t.Fatal(err)
			}
			downloaded(t, path)
			if diff := cmp.Diff(test.ranges, *ranges); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An interrupt keeps what came, and the next call goes on from there.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, c, ranges := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			whole(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		fmt.Fprintf(w, "%s", content[:3000])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	c.Progress = func(string, int64, int64) { cancel() }
	path := filepath.Join(t.TempDir(), "file")
	f := fetch.File{URL: s.URL, SHA256: sum(content)}
	if err := c.Download(ctx, f, path); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("half a file is at the path")
	}
	part, err := os.Stat(path + ".part")
	if err != nil {
		t.Fatal(err)
	}
	c.Progress = nil
	if err := c.Download(t.Context(), f, path); err != nil {
		t.Fatal(err)
	}
	downloaded(t, path)
	if last := (*ranges)[len(*ranges)-1]; last != fmt.Sprintf("bytes=%d-", part.Size()) {
		t.Errorf("the second call asked for the range %q", last)
	}
}

// A refused download leaves nothing behind.
func TestRefused(t *testing.T) {
	other := httptest.NewTLSServer(http.HandlerFunc(whole))
	defer other.Close()
	s, c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/elsewhere":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/plain":
			http.Redirect(w, r, "http://"+r.Host+"/file", http.StatusFound)
		case "/missing":
			http.NotFound(w, r)
		case "/broken":
			http.Error(w, "", http.StatusBadGateway)
		case "/stream": // no Content-Length
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			fmt.Fprintf(w, "%s", content)
		default:
			whole(w, r)
		}
	})
	good := sum(content)
	for _, test := range []struct {
		name string
		file fetch.File
		is   error
		says string
	}{
		{"wrong digest", fetch.File{URL: s.URL, SHA256: sum(nil)}, fetch.ErrDigest, "expected " + string(sum(nil))},
		{"wrong integrity", fetch.File{URL: s.URL, SHA256: good, Integrity: "sha512-AAAA"}, fetch.ErrDigest, "the registry says sha512-AAAA"},
		{"weak integrity", fetch.File{URL: s.URL, Integrity: "sha1-AAAA"}, fetch.ErrDigest, "reads sha512 only"},
		{"no digest", fetch.File{URL: s.URL}, nil, "without a digest"},
		{"announced size", fetch.File{URL: s.URL, SHA256: good, Limit: 100}, fetch.ErrTooLarge, "the limit is 100"},
		{"size found out", fetch.File{URL: s.URL + "/stream", SHA256: good, Limit: 100}, fetch.ErrTooLarge, "more than 100 bytes"},
		{"other host", fetch.File{URL: s.URL + "/elsewhere", SHA256: good}, fetch.ErrRefused, "redirect to the host"},
		{"redirect to http", fetch.File{URL: s.URL + "/plain", SHA256: good}, fetch.ErrRefused, "is not https"},
		{"http", fetch.File{URL: "http://127.0.0.1/file", SHA256: good}, fetch.ErrRefused, "is not https"},
		{"no file", fetch.File{URL: s.URL + "/missing", SHA256: good}, nil, "404"},
		{"server trouble", fetch.File{URL: s.URL + "/broken", SHA256: good}, nil, "502"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			err := c.Download(t.Context(), test.file, path)
			if err == nil {
				t.Fatal("no error")
			}
			if test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %q, want it to say %q", err, test.says)
			}
			onlyFile(t, path)
		})
	}
	t.Run("other host, allowed", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		host := strings.TrimPrefix(other.URL, "https://")
		if err := c.Download(t.Context(), fetch.File{URL: s.URL + "/elsewhere", SHA256: good, Hosts: []string{host}}, path); err != nil {
			t.Fatal(err)
		}
		downloaded(t, path)
	})
}

// A server that falls silent is given up on, not waited for.
func TestStall(t *testing.T) {
	s, c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c.Stall = 20 * time.Millisecond
	err := c.Download(t.Context(), fetch.File{URL: s.URL, SHA256: sum(content)}, filepath.Join(t.TempDir(), "file"))
	if err == nil || !strings.Contains(err.Error(), "stopped sending") {
		t.Errorf("got %v", err)
	}
}

// Packages are found through whatever registry npm and pip are set up to use.
func TestRegistries(t *testing.T) {
	integrity := func() string {
		h := sha512.Sum512(content)
		return "sha512-" + base64.StdEncoding.EncodeToString(h[:])
	}()
	var s *httptest.Server
	s, c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.EscapedPath() {
		case "/npm/@cats%2fpictures/1.2.3":
			fmt.Fprintf(w, `{"name":"@cats/pictures","dist":{"tarball":"%s/files/x.tgz","integrity":%q}}`, s.URL, integrity)
		case "/npm/bare/1.0.0":
			fmt.Fprintf(w, `{"dist":{"tarball":"%s/files/x.tgz"}}`, s.URL)
		case "/json/cat-plugin/":
			w.Header().Set("Content-Type", "application/vnd.pypi.simple.v1+json")
			fmt.Fprintf(w,
				`{"files":[{"filename":"other.whl","url":"x"},{"filename":"cat_plugin-1.whl","url":"%s/files/x.whl","hashes":{"sha256":"%s"}}]}`,
				s.URL, sum(content))
		case "/html/cat-plugin/":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w,
				`<html><a href="../../files/o.whl">other.whl</a> `+
					`<a data-requires-python="&gt;=3" href="../../files/x.whl#sha256=%s"> cat_plugin-1.whl </a>`,
				sum(content))
		case "/files/x.tgz", "/files/x.whl":
			whole(w, r)
		default:
			http.NotFound(w, r)
		}
	})
	npm := fetch.Package{Registry: "npm", Name: "@cats/pictures", Version: "1.2.3"}
	pypi := fetch.Package{Registry: "pypi", Name: "Cat_Plugin", Version: "1", File: "cat_plugin-1.whl"}
	with := func(p fetch.Package, change func(*fetch.Package)) fetch.Package { change(&p); return p }
	viaNPM := map[string]string{"npm_config_registry": s.URL + "/npm"}
	viaPyPI := map[string]string{"PIP_INDEX_URL": s.URL + "/json"}
	for _, test := range []struct {
		name  string
		pkg   fetch.Package
		env   map[string]string
		files map[string]string // in the home folder
		says  string            // of the error; "" is success
	}{
		{name: "npm, variable", pkg: npm, env: map[string]string{"npm_config_registry": s.URL + "/npm/"}},
		{name: "npm, variable in capitals", pkg: npm, env: map[string]string{"NPM_CONFIG_REGISTRY": s.URL + "/npm"}},
		{name: "npm, file", pkg: npm, files: map[string]string{".npmrc": "; mine\nregistry=" + s.URL + "/npm/\n"}},
		{name: "npm, scope", pkg: npm, files: map[string]string{".npmrc": "registry=https://127.0.0.1:1\n@cats:registry = " + s.URL + "/npm/\n"}},
		{name: "npm, pinned", pkg: with(npm, func(p *fetch.Package) { p.SHA256 = sum(content) }), env: viaNPM},
		{name: "npm, pinned to something else", pkg: with(npm, func(p *fetch.Package) { p.SHA256 = sum(nil) }), env: viaNPM, says: "expected"},
		{name: "npm, no digest", pkg: with(npm, func(p *fetch.Package) { p.Name, p.Version = "bare", "1.0.0" }), env: viaNPM,
			says: "names no digest"},
		{name: "npm, no such version", pkg: with(npm, func(p *fetch.Package) { p.Version = "9" }), env: viaNPM, says: "404"},
		{name: "pypi, JSON", pkg: pypi, env: viaPyPI},
		{name: "pypi, HTML", pkg: pypi, env: map[string]string{"PIP_INDEX_URL": s.URL + "/html/"}},
		{name: "pypi, file", pkg: pypi, files: map[string]string{
			".config/pip/pip.conf": "[install]\nindex-url = nonsense\n[global]\nindex-url = " + s.URL + "/json\n",
		}},
		{name: "pypi, pinned to something else", pkg: with(pypi, func(p *fetch.Package) { p.SHA256 = sum(nil) }), env: viaPyPI,
			says: "the registry's file has SHA-256"},
		{name: "pypi, no such file", pkg: with(pypi, func(p *fetch.Package) { p.File = "cat_plugin-2.whl" }), env: viaPyPI,
			says: "the index has no file cat_plugin-2.whl"},
		{name: "unknown", pkg: fetch.Package{Registry: "crates"}, says: `no registry "crates"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			home := t.TempDir()
			for name, text := range test.files {
				path := filepath.Join(home, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			c := &fetch.Client{Transport: c.Transport, Lookup: func(name string) string {
				if name == "HOME" {
					return home
				}
				return test.env[name]
			}}
			path := filepath.Join(t.TempDir(), "package")
			err := test.pkg.Download(t.Context(), c, path)
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("got %v, want it to say %q", err, test.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			downloaded(t, path)
		})
	}
}

// A registry's address may hold a password. It stays out of messages.
func TestPasswordIsNotShown(t *testing.T) {
	s, c, _ := serve(t, http.NotFound)
	c.Lookup = func(name string) string {
		if name == "PIP_INDEX_URL" {
			return strings.Replace(s.URL, "https://", "https://me:secret@", 1)
		}
		return ""
	}
	_, err := c.Locate(t.Context(), fetch.Package{Registry: "pypi", Name: "x", Version: "1", File: "x.whl"})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

// archives makes the same three members as .tgz and as .zip.
func archives(t *testing.T, names ...string) []string {
	t.Helper()
	dir := t.TempDir()
	var tgz, zipped bytes.Buffer
	g := gzip.NewWriter(&tgz)
	tw := tar.NewWriter(g)
	zw := zip.NewWriter(&zipped)
	for _, name := range names {
		text := "this is " + name
		err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(tw, text)
		w, err := zw.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, text)
	}
	link := tw.WriteHeader(&tar.Header{Name: "link", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink})
	if err := errors.Join(link, tw.Close(), g.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"a.tgz": tgz.Bytes(), "a.zip": zipped.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return []string{filepath.Join(dir, "a.tgz"), filepath.Join(dir, "a.zip")}
}

func TestUnpack(t *testing.T) {
	below := func(name string) string {
		rest, _ := strings.CutPrefix(name, "package/")
		if rest == name {
			return ""
		}
		return rest
	}
	for _, archive := range archives(t, "package/a.txt", "package/deep/b.txt", "readme") {
		dir := t.TempDir()
		n, err := fetch.Unpack(archive, dir, 1000, below)
		if err != nil || n != 2 {
			t.Fatalf("%s: wrote %d files, %v", archive, n, err)
		}
		if got, _ := os.ReadFile(filepath.Join(dir, "deep", "b.txt")); string(got) != "this is package/deep/b.txt" {
			t.Errorf("%s: deep/b.txt holds %q", archive, got)
		}
		if _, err := fetch.Unpack(archive, t.TempDir(), 30, below); !errors.Is(err, fetch.ErrTooLarge) {
			t.Errorf("%s: over the limit: %v", archive, err)
		}
		to := filepath.Join(t.TempDir(), "new", "a.txt")
		text := []byte("this is package/a.txt")
		if err := fetch.Member(archive, "package/a.txt", to, sum(nil)); !errors.Is(err, fetch.ErrDigest) {
			t.Errorf("%s: a member with another digest: %v", archive, err)
		}
		onlyFile(t, to)
		if err := fetch.Member(archive, "package/a.txt", to, sum(text)); err != nil {
			t.Error(err)
		}
		if got, err := files.DigestOf(to); err != nil || got != sum(text) {
			t.Errorf("%s: the member's digest is %s, %v", archive, got, err)
		}
		if err := fetch.Member(archive, "none", to, ""); err == nil || !strings.Contains(err.Error(), `no member "none"`) {
			t.Errorf("%s: %v", archive, err)
		}
	}
}

// An archive can't write outside of the folder it is unpacked into.
func TestUnpackStaysInside(t *testing.T) {
	same := func(name string) string { return name }
	for _, name := range []string{"../out", "/etc/out", "a/../../out"} {
		for _, archive := range archives(t, name) {
			dir := filepath.Join(t.TempDir(), "in")
			if _, err := fetch.Unpack(archive, dir, 1000, same); err == nil || !strings.Contains(err.Error(), "leads out of the folder") {
				t.Errorf("%s in %s: %v", name, filepath.Base(archive), err)
			}
		}
	}
	// Nor through a link that lies in the folder already.
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "exit")); err != nil {
		t.Skip("this system has no symbolic links: ", err)
	}
	for _, archive := range archives(t, "exit/out") {
		if _, err := fetch.Unpack(archive, dir, 1000, same); err == nil {
			t.Errorf("%s was unpacked through a link", filepath.Base(archive))
		}
	}
}

func TestBrokenArchives(t *testing.T) {
	same := func(name string) string { return name }
	for _, whole := range archives(t, "a", "b") {
		b, err := os.ReadFile(whole)
		if err != nil {
			t.Fatal(err)
		}
		for _, cut := range []int{0, 5, len(b) / 2, len(b) - 5} {
			path := filepath.Join(t.TempDir(), "cut"+filepath.Ext(whole))
			if err := os.WriteFile(path, b[:cut], 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := fetch.Unpack(path, t.TempDir(), 1000, same); err == nil {
				t.Errorf("%s cut after %d of %d bytes was unpacked", filepath.Base(whole), cut, len(b))
			}
		}
	}
	if _, err := fetch.Unpack("notes.txt", t.TempDir(), 1000, same); err == nil {
		t.Error("a text file was unpacked")
	}
}
