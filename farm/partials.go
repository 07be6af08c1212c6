package farm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
)

// Partials keep what interrupted stages resume from on this machine and in the queue, so that another worker
// goes on where one has died. They are uploaded in the background, the latest of each stage; one that isn't
// there costs time.
type Partials struct {
	near runtime.Partials
	far  *Store

	mu      sync.Mutex
	latest  map[eligen.Digest][]byte // to be uploaded
	running map[eligen.Digest]bool
}

var _ runtime.Partials = (*Partials)(nil)

// Partials returns those of a machine together with the queue's.
func (q *Queue) Partials(ctx context.Context, near runtime.Partials) (*Partials, error) {
	far, err := q.objects(ctx, partial)
	if err != nil {
		return nil, err
	}
	return &Partials{near: near, far: far, latest: map[eligen.Digest][]byte{}, running: map[eligen.Digest]bool{}}, nil
}

// maxPartial is how many bytes of a partial result are shared: latents of large pictures have some.
const maxPartial = 64 << 20

// Partial returns what this machine saved last, or else what another worker did.
func (p *Partials) Partial(ctx context.Context, key eligen.Digest) ([]byte, int, error) {
	content, step, err := p.near.Partial(ctx, key)
	if step > 0 || err != nil {
		return content, step, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if info, err := p.far.Stat(ctx, key); err != nil || info.Size > maxPartial {
		return nil, 0, nil
	}
	a, err := runtime.Get(ctx, p.far, key)
	if err != nil {
		return nil, 0, nil // it begins again
	}
	line, content, ok := bytes.Cut(a.Data, []byte("\n"))
	if step, err = strconv.Atoi(string(line)); !ok || err != nil || step < 1 {
		return nil, 0, nil
	}
	return content, step, nil
}

// SavePartial saves on this machine, and has the upload follow.
func (p *Partials) SavePartial(ctx context.Context, key eligen.Digest, content []byte, step int) error {
	if len(content) < maxPartial {
		p.mu.Lock()
		p.latest[key] = fmt.Appendf(nil, "%d\n%s", step, content)
		if !p.running[key] {
			p.running[key] = true
			go p.upload(key)
		}
		p.mu.Unlock()
	}
	return p.near.SavePartial(ctx, key, content, step)
}

// upload uploads the latest of a stage, until there is none that is newer.
func (p *Partials) upload(key eligen.Digest) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		p.mu.Lock()
		content := p.latest[key]
		delete(p.latest, key)
		if content == nil {
			delete(p.running, key)
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		w, err := p.far.Create(ctx, key)
		if err != nil {
			continue
		}
		if _, err := w.Write(content); err == nil {
			_, _ = w.Commit(true) // without it, another worker begins again
		}
		w.Close()
	}
}

// DropPartial forgets what was saved.
func (p *Partials) DropPartial(ctx context.Context, key eligen.Digest) {
	p.mu.Lock()
	delete(p.latest, key)
	p.mu.Unlock()
	p.near.DropPartial(ctx, key)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := p.far.objects.Delete(ctx, string(key)); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return // it runs out
	}
}
