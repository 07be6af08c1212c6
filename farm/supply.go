package farm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/runtime"
)

// A supply is content that a task's worker needs in the shared store: a result of an earlier stage, a picture
// file, or a long list of stages.
type supply struct {
	key  eligen.Digest
	what string // for people
	open func(context.Context) (io.ReadCloser, error)
}

// input is a result that the applying side has.
func (r *Submitted) input(key eligen.Digest) supply {
	return supply{key, "the input " + key.Short(), func(ctx context.Context) (io.ReadCloser, error) { return r.o.Store.Open(ctx, key) }}
}

// picturefile is a picture file under the digest of its bytes.
func picturefile(digest eligen.Digest, path string) supply {
	return supply{digest, "the picture " + path, func(context.Context) (io.ReadCloser, error) {
		data, err := files.Read(path, maxPicture)
		if err == nil && eligen.DigestOf(data) != digest {
			err = errors.New("it has changed since the scene was planned")
		}
		return io.NopCloser(bytes.NewReader(data)), err
	}}
}

// content is content at hand.
func content(digest eligen.Digest, what string, data []byte) supply {
	return supply{digest, what, func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }}
}

// supply puts what a task's worker needs into the shared store. While the store doesn't answer, it waits. To be
// sure is to read what is there, and to replace what is damaged.
func (r *Submitted) supply(ctx context.Context, p *pending, sure bool) error {
	for _, s := range p.supplies {
		for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
			final, err := r.deliver(ctx, s, sure)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if final {
				return err
			}
			r.once("supply", "Shared cache", fmt.Errorf("%w. The run waits for it", err))
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pause):
			}
		}
	}
	return nil
}

// deliver puts content into the shared store, unless it is there. Its error is final where waiting doesn't help.
func (r *Submitted) deliver(ctx context.Context, s supply, sure bool) (final bool, err error) {
	r.mu.Lock()
	there := r.sent[s.key]
	r.mu.Unlock()
	if there {
		return false, nil
	}
	if sure {
		_, err = runtime.Verify(ctx, r.o.Far, s.key)
	} else {
		_, err = r.o.Far.Stat(ctx, s.key)
	}
	if err != nil {
		if final, err = r.send(ctx, s, sure); err != nil {
			return final, err
		}
	}
	r.mu.Lock()
	r.sent[s.key] = true
	r.mu.Unlock()
	return false, nil
}

// send copies content to the shared store.
func (r *Submitted) send(ctx context.Context, s supply, replace bool) (final bool, err error) {
	from, err := s.open(ctx)
	if err != nil {
		return true, fmt.Errorf("%s can't be read: %w", s.what, err)
	}
	defer from.Close()
	to, err := r.o.Far.Create(ctx, s.key)
	if err != nil {
		return false, fmt.Errorf("%s can't be sent to the workers: %w", s.what, err)
	}
	defer to.Close()
	if _, err = io.Copy(to, from); err == nil {
		_, err = to.Commit(replace)
	}
	if err != nil {
		final = slices.ContainsFunc([]error{runtime.ErrNotDeterministic, runtime.ErrTooLarge, runtime.ErrCorrupt},
			func(of error) bool { return errors.Is(err, of) })
		return final, fmt.Errorf("%s can't be sent to the workers: %w", s.what, err)
	}
	return false, nil
}

// forgetSent has what was sent be looked for again.
func (r *Submitted) forgetSent() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.sent)
}
