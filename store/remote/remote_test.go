package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/store/storetest"
)

func client(t *testing.T, address string) *Store {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{}}
	s, err := New(address, Options{Client: c})
	if err != nil {
		t.Fatal(err)
	}
	s.pause = time.Millisecond
	t.Cleanup(c.CloseIdleConnections)
	return s
}

// subject returns a store at an address, whose server keeps its files in dir.
func subject(t *testing.T, address, dir string) storetest.Opened {
	t.Helper()
	s := client(t, address)
	return storetest.Opened{
		Store: s,
		Again: func(t *testing.T) runtime.Store { return client(t, address) },
		Damage: func(t *testing.T, key eligen.Digest, change func([]byte) []byte) {
			t.Helper()
			info, err := s.Stat(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "cas", string(info.Content))
			data, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, change(data), 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	}
}

func TestContract(t *testing.T) {
	storetest.Run(t, storetest.Subject{Open: func(t *testing.T) storetest.Opened {
		server := newServer(t)
		return subject(t, server.URL, server.dir)
	}})
}

// TestUploadFails: whatever becomes of an upload, the error says so and the result is
// absent. When the server is well again, it is uploaded.
func TestUploadFails(t *testing.T) {
	const large = 4 << 20
	die := func(kind string) func(http.ResponseWriter, *http.Request) bool {
		return func(_ http.ResponseWriter, r *http.Request) bool {
			if !isUpload(r, kind) {
				return false
			}
			_, _ = io.CopyN(io.Discard, r.Body, 40)
			panic(http.ErrAbortHandler)
		}
	}
	answer := func(kind string, code int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if isUpload(r, kind) {
				http.Error(w, "no", code)
				return true
			}
			return false
		}
	}
	for name, fault := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"dies in the content":              die("cas"),
		"dies in the action":               die("ac"),
		"500 for the content":              answer("cas", http.StatusInternalServerError),
		"500 for the action":               answer("ac", http.StatusInternalServerError),
		"no room":                          answer("cas", http.StatusInsufficientStorage),
		"read only":                        answer("cas", http.StatusForbidden),
		"404 for an upload":                answer("cas", http.StatusNotFound),
		"500 for a look at what there is":  func(w http.ResponseWriter, r *http.Request) bool { return isDownload(r, "ac") && refuse(w) },
		"a password is wanted for uploads": answer("ac", http.StatusUnauthorized),
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t)
			s := client(t, server.URL)
			key := storetest.Key("recipe")
			w, err := s.Create(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if _, err := w.Write(make([]byte, large)); err != nil {
				t.Fatal(err)
			}
			server.breakWith(fault)
			if _, err := w.Commit(false); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Commit: %v", err)
			}
			server.breakWith(nil)
			if _, err := s.Open(t.Context(), key); !errors.Is(err, fs.ErrNotExist) || len(server.entries(t, "ac")) > 0 {
				t.Errorf("afterwards: %v", err)
			}
			if info, err := w.Commit(false); err != nil || info.Size != large {
				t.Errorf("again: %+v, %v", info, err)
			}
			if _, err := runtime.Verify(t.Context(), client(t, server.URL), key); err != nil {
				t.Error(err)
			}
		})
	}
}

func refuse(w http.ResponseWriter) bool {
	http.Error(w, "out of order", http.StatusInternalServerError)
	return true
}

// TestDownloadFails: whatever a server sends, nobody reads to a sound end what is not the
// result. What is wrong is a miss, and what is only out of order is an error.
func TestDownloadFails(t *testing.T) {
	content := strings.Repeat("words that matter. ", 10_000)
	sends := func(kind string, send func(http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if isDownload(r, kind) {
				send(w)
				return true
			}
			return false
		}
	}
	text := func(s string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { _, _ = io.WriteString(w, s) }
	}
	other := strings.Replace(content, "matter", "mutter", 1)
	action := encodeAction(eligen.DigestOf([]byte(content)), int64(len(content)))
	corrupt, gone, cut, anything := runtime.ErrCorrupt, fs.ErrNotExist, io.ErrUnexpectedEOF, error(nil)
	for _, c := range []struct {
		name  string
		fault func(http.ResponseWriter, *http.Request) bool
		want  error // nil: any
	}{
		{"another content", sends("cas", text(other)), corrupt},
		{"a part", sends("cas", text(content[:len(content)/2])), corrupt},
		{"a part, as a stream", sends("cas", func(w http.ResponseWriter) {
			w.(http.Flusher).Flush()
			text(content[:1000])(w)
		}), corrupt},
		{"more, as a stream", sends("cas", func(w http.ResponseWriter) {
			w.(http.Flusher).Flush()
			text(content + "!")(w)
		}), corrupt},
		{"nothing", sends("cas", text("")), corrupt},
		{"a page for people", sends("cas", text("<html>Please log in</html>")), corrupt},
		{"a length that is too long", sends("cas", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)+10))
			text(content)(w)
		}), corrupt},
		{"a length that is too short", sends("cas", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)-10))
			text(content[:len(content)-10])(w)
		}), corrupt},
		{"dies in the middle", sends("cas", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			text(content[:1000])(w)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}), cut},
		{"dies in the middle of a stream", sends("cas", func(w http.ResponseWriter) {
			w.(http.Flusher).Flush()
			text(content[:1000])(w)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}), cut},
		{"dies in the action", sends("ac", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", fmt.Sprint(len(action)))
			text(string(action[:5]))(w)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}), cut},
		{"dies before", sends("cas", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }), anything},
		{"500", sends("cas", func(w http.ResponseWriter) { refuse(w) }), anything},
		{"the content is gone", sends("cas", func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) }), gone},
		{"an action that is none", sends("ac", text("<html>")), corrupt},
		{"an empty action", sends("ac", text("")), corrupt},
		{"half an action", sends("ac", text(string(action[:len(action)/2]))), corrupt},
		{"an action without end", sends("ac", text(string(action)+strings.Repeat("x", maxAction))), corrupt},
		{"an action of a terabyte", sends("ac", text(string(encodeAction(eligen.DigestOf(nil), 1<<40)))), corrupt},
		{"an action that names no content", sends("ac", text(string(encodeAction("../../etc/passwd", 5)))), corrupt},
		{"another size", sends("ac", text(string(encodeAction(eligen.DigestOf([]byte(content)), 5)))), corrupt},
		{"500 for the action", sends("ac", func(w http.ResponseWriter) { refuse(w) }), anything},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := newServer(t)
			s := client(t, server.URL)
			key := storetest.Key("recipe")
			if _, err := runtime.Put(t.Context(), s, key, []byte(content)); err != nil {
				t.Fatal(err)
			}
			server.breakWith(c.fault)
			got, err := runtime.Get(t.Context(), s, key)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%d bytes, %v", len(got.Data), err)
			}
			if wrong := errors.Is(err, corrupt) || c.want == gone; s.isDamaged(key) != wrong {
				t.Errorf("noted as damaged: %v, after %v", !wrong, err)
			}
			server.breakWith(nil)
			if _, err := runtime.Put(t.Context(), s, key, []byte(content)); err != nil {
				t.Errorf("made again: %v", err)
			}
			if got, err := runtime.Get(t.Context(), client(t, server.URL), key); err != nil || string(got.Data) != content {
				t.Errorf("afterwards: %d bytes, %v", len(got.Data), err)
			}
		})
	}
}

// TestStall: a server that stops moving is left, while it sends, takes, or thinks.
func TestStall(t *testing.T) {
	for name, fault := range map[string]func(http.ResponseWriter, *http.Request){
		"thinks": func(http.ResponseWriter, *http.Request) {},
		"sends": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "a beginning")
			w.(http.Flusher).Flush()
		},
	} {
		for _, upload := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, upload %v", name, upload), func(t *testing.T) {
				server := newServer(t)
				s := client(t, server.URL)
				key := storetest.Key("recipe")
				if !upload {
					if _, err := runtime.Put(t.Context(), s, key, make([]byte, 1000)); err != nil {
						t.Fatal(err)
					}
				}
				ended := make(chan struct{})
				defer close(ended)
				server.breakWith(func(w http.ResponseWriter, r *http.Request) bool {
					if upload && !isUpload(r, "cas") {
						return false
					}
					fault(w, r)
					select {
					case <-r.Context().Done():
					case <-ended:
					}
					return true
				})
				s.stall = 50 * time.Millisecond
				var err error
				if upload {
					_, err = runtime.Put(t.Context(), s, key, bytes.Repeat([]byte("x"), 8<<20))
				} else {
					_, err = runtime.Get(t.Context(), s, key)
				}
				if !errors.Is(err, errStalled) && (!upload || name != "sends" || err == nil) {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// TestInterrupted: who is interrupted doesn't wait for the server.
func TestInterrupted(t *testing.T) {
	server := newServer(t)
	s := client(t, server.URL)
	ctx, cancel := context.WithCancel(t.Context())
	server.breakWith(func(_ http.ResponseWriter, r *http.Request) bool {
		cancel()
		<-r.Context().Done()
		return true
	})
	if _, err := s.Open(ctx, storetest.Key("a")); !errors.Is(err, context.Canceled) {
		t.Errorf("Open: %v", err)
	}
}

// TestNew: an address that no server can have is refused, and a password is not printed.
func TestNew(t *testing.T) {
	for _, address := range []string{"", "cache.example.org", "ftp://cache.example.org", "http://", "https://%zz"} {
		if _, err := New(address, Options{}); err == nil {
			t.Errorf("%q is taken", address)
		}
	}
	server := newServer(t)
	server.breakWith(func(w http.ResponseWriter, _ *http.Request) bool { return refuse(w) })
	s := client(t, strings.Replace(server.URL, "http://", "http://somebody:secret@", 1))
	_, err := s.Stat(t.Context(), storetest.Key("a"))
	var status *StatusError
	if !errors.As(err, &status) || status.Code != 500 || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

// FuzzAction: what a server sends as an action is a digest and a size, or nothing.
func FuzzAction(f *testing.F) {
	f.Add(encodeAction(eligen.DigestOf([]byte("content")), 7))
	f.Add(encodeAction(eligen.DigestOf(nil), 0))
	f.Add([]byte("<html>Please log in</html>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		content, size, ok := parseAction(data)
		if !ok {
			return
		}
		if !runtime.IsKey(content) || size < 0 || size > runtime.MaxResult {
			t.Fatalf("%q of %d bytes", content, size)
		}
		again, n, ok := parseAction(encodeAction(content, size))
		if !ok || again != content || n != size {
			t.Errorf("%q of %d bytes becomes %q of %d", content, size, again, n)
		}
	})
}
