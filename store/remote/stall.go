package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// errStalled is the cause of a request's end where nothing moved for too long.
var errStalled = errors.New("the cache has stalled")

// A watch ends a request when nothing has moved for a while. A limit for all of it would
// be wrong for somebody: results have megabytes, and lines are slow.
type watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	stall  time.Duration
}

func newWatch(ctx context.Context, stall time.Duration) *watch {
	w := &watch{stall: stall}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(stall, func() { w.cancel(fmt.Errorf("%w: nothing came or went for %v", errStalled, stall)) })
	return w
}

func (w *watch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// failure ends the watch, and returns why a request has failed.
func (w *watch) failure(err error) error {
	if cause := context.Cause(w.ctx); errors.Is(cause, errStalled) {
		err = cause
	}
	w.stop()
	return err
}

// moved notes that bytes came or went.
func (w *watch) moved() { w.timer.Reset(w.stall) }

// reader watches what is sent.
func (w *watch) reader(r io.Reader) io.Reader { return watched{r, w} }

type watched struct {
	io.Reader
	w *watch
}

func (r watched) Read(p []byte) (int, error) {
	r.w.moved()
	return r.Reader.Read(p)
}

// body watches what is received. Its Close ends the watch.
func (w *watch) body(r io.ReadCloser) io.ReadCloser { return watchedBody{r, w} }

type watchedBody struct {
	io.ReadCloser
	w *watch
}

func (b watchedBody) Read(p []byte) (int, error) {
	b.w.moved()
	n, err := b.ReadCloser.Read(p)
	if cause := context.Cause(b.w.ctx); err != nil && errors.Is(cause, errStalled) {
		err = cause
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("the cache's answer was cut off: %w", err)
	}
	return n, err
}

func (b watchedBody) Close() error {
	err := b.ReadCloser.Close()
	b.w.stop()
	return err
}
