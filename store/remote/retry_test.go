package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/store/storetest"
)

// faults are the ways of a server to be out of order.
var faults = map[string]func(http.ResponseWriter){
	"503":       func(w http.ResponseWriter) { http.Error(w, "starting", http.StatusServiceUnavailable) },
	"breaks up": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
}

// failing answers a number of requests to a path with a fault, and counts them all.
func failing(server *server, path string, failures int32, fault func(http.ResponseWriter)) (count *atomic.Int32) {
	count = &atomic.Int32{}
	server.breakWith(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.Method+" "+r.URL.Path, path) {
			return false
		}
		if count.Add(1) > failures {
			return false
		}
		fault(w)
		return true
	})
	return count
}

// TestFailsOnce: a server that is out of order for a moment costs no result, small or
// large, and no look.
func TestFailsOnce(t *testing.T) {
	for name, fault := range faults {
		for _, path := range []string{"PUT /cas", "PUT /ac", "GET /ac", "GET /cas"} {
			for _, size := range []int{10, small + 10, 4 << 20} {
				t.Run(fmt.Sprint(name, ", ", path, ", ", size), func(t *testing.T) {
					server := newServer(t)
					key, content := storetest.Key("recipe"), []byte(strings.Repeat("a", size))
					count := failing(server, path, 2, fault)
					if _, err := runtime.Put(t.Context(), client(t, server.URL), key, content); err != nil {
						t.Errorf("Commit: %v", err)
					}
					got, err := runtime.Get(t.Context(), client(t, server.URL), key)
					if err != nil || string(got.Data) != string(content) {
						t.Errorf("%d bytes, %v", len(got.Data), err)
					}
					if count.Load() < 3 {
						t.Errorf("%d requests", count.Load())
					}
				})
			}
		}
	}
}

// TestStaysDown: a server that stays out of order is an error after some tries. From then
// on, looks are not tried again, but a Commit is.
func TestStaysDown(t *testing.T) {
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			server := newServer(t)
			s, key := client(t, server.URL), storetest.Key("recipe")
			count := failing(server, "", 1000, fault)
			for i, want := range []int32{tries, 1, 1} {
				count.Store(0)
				if _, err := s.Open(t.Context(), key); err == nil || errors.Is(err, fs.ErrNotExist) || count.Load() != want {
					t.Errorf("look %d: %d requests, %v", i, count.Load(), err)
				}
			}
			count.Store(0)
			w, err := s.Create(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if _, err := w.Commit(false); err == nil || count.Load() != tries {
				t.Errorf("Commit: %d requests, %v", count.Load(), err)
			}
			server.breakWith(nil)
			if _, err := w.Commit(false); err != nil {
				t.Error(err)
			}
			if s.down.Load() {
				t.Error("the server is well, and counts as down")
			}
		})
	}
}

// TestRefused: what the server refuses for good is not sent again.
func TestRefused(t *testing.T) {
	server := newServer(t)
	count := failing(server, "PUT", 1000, func(w http.ResponseWriter) { http.Error(w, "no", http.StatusForbidden) })
	if _, err := runtime.Put(t.Context(), client(t, server.URL), storetest.Key("a"), nil); err == nil || count.Load() != 1 {
		t.Errorf("%d requests, %v", count.Load(), err)
	}
}

// TestInterruptedPause: who is interrupted doesn't wait for the next try.
func TestInterruptedPause(t *testing.T) {
	server := newServer(t)
	s := client(t, server.URL)
	s.pause = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	failing(server, "", 1000, func(w http.ResponseWriter) {
		refuse(w)
		time.AfterFunc(20*time.Millisecond, cancel)
	})
	if _, err := s.Open(ctx, storetest.Key("a")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestCommitCompares: what the server has is not downloaded to be compared, and what it
// has lost is uploaded again.
func TestCommitCompares(t *testing.T) {
	server := newServer(t)
	key := storetest.Key("recipe")
	uploads := failing(server, "PUT /cas", 0, nil)
	put := func(wantUploads int32) {
		t.Helper()
		uploads.Store(0)
		if _, err := runtime.Put(t.Context(), client(t, server.URL), key, []byte("content")); err != nil || uploads.Load() != wantUploads {
			t.Errorf("%d uploads, %v", uploads.Load(), err)
		}
	}
	put(1)
	put(0)
	path := filepath.Join(server.dir, "cas", string(eligen.DigestOf([]byte("content"))))
	if err := os.WriteFile(path, []byte("cont"), 0o644); err != nil {
		t.Fatal(err)
	}
	put(1)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	put(1)
	downloads := failing(server, "GET /cas", 0, nil)
	if _, err := runtime.Put(t.Context(), client(t, server.URL), key, []byte("content")); err != nil || downloads.Load() != 0 {
		t.Errorf("%d downloads, %v", downloads.Load(), err)
	}
}
