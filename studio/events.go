package studio

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// A hub hands messages to all pages that listen.
type hub struct {
	mu    sync.Mutex
	pages map[chan message]bool
}

// A message is an event of the page's stream.
type message struct {
	name string
	data []byte
}

// waiting is how many messages a page may be behind. One that is further behind is cut off, and begins anew.
const waiting = 256

func newHub() *hub { return &hub{pages: map[chan message]bool{}} }

// send hands a message to all pages.
func (h *hub) send(name string, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		return // all that is sent can be marshalled
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for page := range h.pages {
		select {
		case page <- message{name, data}:
		default:
			delete(h.pages, page)
			close(page)
		}
	}
}

func (h *hub) join() chan message {
	page := make(chan message, waiting)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pages[page] = true
	return page
}

func (h *hub) leave(page chan message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pages[page] {
		delete(h.pages, page)
		close(page)
	}
}

// stream writes messages as server-sent events, until the page goes.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	page := s.hub.join()
	defer s.hub.leave(page)
	for _, m := range s.greeting() {
		_, _ = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", m.name, m.data)
	}
	beat := time.NewTicker(15 * time.Second)
	defer beat.Stop()
	for {
		if out.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		case <-beat.C:
			_, _ = fmt.Fprint(w, ": still there\n\n")
		case m, ok := <-page:
			if !ok {
				return
			}
			_, _ = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", m.name, m.data)
		}
	}
}

// greeting is what a new page is told first.
func (s *Server) greeting() []message {
	var out []message
	add := func(name string, value any) {
		if data, err := json.Marshal(value); err == nil {
			out = append(out, message{name, data})
		}
	}
	add("state", s.state())
	if p := s.planned(); p != nil {
		add("plan", p)
	}
	add("run", s.run.snapshot())
	return out
}
