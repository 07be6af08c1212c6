// Package studio is the editor in the browser: a server over the operations of package app, and a page
// that draws a scene and changes its text.
//
// The file is the only truth. The page sends small intents ("these numbers of entity.duck's box"), the
// server changes the one value in the text and writes the file; it follows what others write.
package studio

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
)

// The page's sources are in web/src, its packages come from npm ci in web.
//go:generate -command esbuild go run github.com/evanw/esbuild/cmd/esbuild@v0.28.2 --bundle --minify --target=es2022 --legal-comments=none
//go:generate esbuild studio=web/src/main.tsx studio=web/src/studio.css --outdir=web/dist --log-level=warning
//go:generate esbuild web/src/pure.ts --global-name=pure --outdir=web/testdata --log-level=warning

// Options say what to edit.
type Options struct {
	App     *app.App
	Request app.PlanRequest // the scene, and what its pictures are made by
	Token   string          // of the page's address; "" is a random one
}

// A Server serves the page of one scene.
type Server struct {
	app     *app.App
	request app.PlanRequest
	token   string
	doc     *document
	hub     *hub
	run     *runner
	parsed  parsed

	background context.Context // ends with the server
	end        context.CancelFunc
	done       <-chan struct{}
	working    sync.WaitGroup
	oneAtATime sync.Mutex // plans
	reading    sync.Mutex // the document, until the pages are told

	mu       sync.Mutex
	good     []Render // of the last text without mistakes
	layouts  []app.Layout
	current  *State
	latest   *PlanState
	planning int // counts calls of plan
	shown    map[eligen.Digest]bool
	past     map[eligen.Digest]app.RunPicture // that the history has listed
}

// New opens a scene. The caller closes the Server.
func New(o Options) (*Server, error) {
	path, err := filepath.Abs(o.Request.Path)
	if err != nil {
		return nil, err
	}
	o.Request.Path = path
	doc, err := openDocument(path)
	if err != nil {
		return nil, err
	}
	s := &Server{app: o.App, request: o.Request, token: o.Token, doc: doc, hub: newHub(), run: &runner{}, shown: map[eligen.Digest]bool{},
		past: map[eligen.Digest]app.RunPicture{},
	}
	if s.token == "" {
		s.token = newToken()
	}
	s.background, s.end = context.WithCancel(context.Background())
	s.done = s.background.Done()
	if s.current, err = s.read(s.background); err != nil {
		s.end()
		return nil, err
	}
	s.plan()
	s.working.Go(s.watch)
	return s, nil
}

// Close stops the run that goes on, and returns when it has ended.
func (s *Server) Close() {
	s.stop()
	s.end()
	s.working.Wait()
}

// URL returns the address of the page at a listener's address.
func (s *Server) URL(addr net.Addr) string {
	host := addr.String()
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		if machine, err := os.Hostname(); err == nil {
			host = net.JoinHostPort(machine, strconv.Itoa(tcp.Port))
		}
	}
	return "http://" + host + "/?token=" + url.QueryEscape(s.token)
}

// Serve answers requests on a listener until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: s.Handler(l.Addr().String()), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, MaxHeaderBytes: 1 << 16,
	}
	stop := context.AfterFunc(ctx, func() {
		s.end() // streams end, so that Shutdown does
		wait, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if server.Shutdown(wait) != nil {
			_ = server.Close()
		}
	})
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Handler answers the page's requests that come to an address, such as 127.0.0.1:8080.
func (s *Server) Handler(addr string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /studio.js", s.asset)
	mux.HandleFunc("GET /studio.css", s.asset)
	mux.HandleFunc("GET /icon.svg", s.asset)
	mux.HandleFunc("GET /api/events", s.stream)
	mux.HandleFunc("GET /api/result/{digest}", s.result)
	mux.HandleFunc("GET /api/preview/{run}/{stage}/{n}", s.stepPicture)
	mux.HandleFunc("GET /api/schema", s.schema)
	mux.HandleFunc("GET /api/poses", s.poses)
	mux.HandleFunc("GET /api/runs", s.history)
	mux.HandleFunc("GET /api/compare", s.compare)
	mux.HandleFunc("GET /api/difference", s.difference)
	mux.HandleFunc("POST /api/edit", s.edit)
	mux.HandleFunc("POST /api/drop", s.drop)
	mux.HandleFunc("POST /api/run", s.control)
	return &guard{token: s.token, ours: hostsOf(addr), next: mux}
}

// beat is how often the files are looked at.
const beat = 200 * time.Millisecond

// watch follows what others write: the scene, and the files that it may read.
func (s *Server) watch() {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	seen := app.StampsOf(s.request.Input)
	own := func(file string) bool { return file == s.doc.path || s.isOutput(file) }
	for n := 0; ; n++ {
		select {
		case <-s.done:
			return
		case <-tick.C:
		}
		changed := s.doc.follow()
		if n%5 == 0 {
			now := app.StampsOf(s.request.Input)
			changed = seen.Differ(now, own) || changed
			seen = now
		}
		if changed {
			_, _ = s.refresh(s.background)
		}
	}
}

// isOutput reports whether a file is one that a run writes.
func (s *Server) isOutput(file string) bool {
	return filepath.Base(filepath.Dir(file)) == "out"
}

// refresh reads the document anew, tells all pages and plans. Of two at once, the one that reads the older
// text is also the first to tell it.
func (s *Server) refresh(ctx context.Context) (*State, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	state, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	state.Serial = s.current.Serial + 1
	s.current = state
	s.mu.Unlock()
	s.hub.send("state", state)
	s.plan()
	return state, nil
}

// state returns the scene as it was read last.
func (s *Server) state() *State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}
