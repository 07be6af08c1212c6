package remote

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
)

// A server speaks Bazel's HTTP cache protocol, over a folder.
type server struct {
	*httptest.Server
	dir string
	// fault, where it is set, may answer in place of the server: it returns true then.
	fault atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

var entry = regexp.MustCompile(`^/(cas|ac)/[0-9a-f]{64}$`)

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{dir: t.TempDir()}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

// breakWith has every request go to fault first; nil ends that.
func (s *server) breakWith(fault func(http.ResponseWriter, *http.Request) bool) {
	if fault == nil {
		s.fault.Store(nil)
		return
	}
	s.fault.Store(&fault)
}

func (s *server) path(r *http.Request) string {
	return filepath.Join(s.dir, filepath.FromSlash(r.URL.Path))
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	if fault := s.fault.Load(); fault != nil && (*fault)(w, r) {
		return
	}
	if !entry.MatchString(r.URL.Path) {
		http.Error(w, "no such address", http.StatusBadRequest)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		http.ServeFile(w, r, s.path(r))
	case http.MethodPut:
		if err := s.store(r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	default:
		http.Error(w, "GET, HEAD and PUT only", http.StatusMethodNotAllowed)
	}
}

// store writes an upload, whole or not at all.
func (s *server) store(r *http.Request) error {
	if err := os.MkdirAll(filepath.Dir(s.path(r)), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(s.dir, "upload-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, r.Body)
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), s.path(r))
}

// entries returns the names of what the server holds of a kind.
func (s *server) entries(t *testing.T, kind string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(s.dir, kind, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		list[i] = filepath.Base(list[i])
	}
	return list
}

func isUpload(r *http.Request, kind string) bool {
	return r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/"+kind+"/")
}

func isDownload(r *http.Request, kind string) bool {
	return r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/"+kind+"/")
}
