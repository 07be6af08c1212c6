package farm

import (
	"sync"

	"github.com/eligen/eligen"
)

// damages remembers results whose copy in the queue is no good, so that a Commit replaces it.
type damages struct {
	mu   sync.Mutex
	keys map[eligen.Digest]bool
}

func (d *damages) note(key eligen.Digest, damaged bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.keys == nil {
		d.keys = map[eligen.Digest]bool{}
	}
	if damaged {
		d.keys[key] = true
	} else {
		delete(d.keys, key)
	}
}

func (d *damages) has(key eligen.Digest) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keys[key]
}
