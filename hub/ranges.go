package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// errNoRanges says that a server gives whole files only.
var errNoRanges = errors.New("the server ignores ranges")

// A part is a range of a file on its way: some connections fetch parts at the same time, and they are
// written in their order. So what is on the disk is always the file's beginning, and its length says all
// that the next run must know.
type part struct {
	from int64
	data []byte // as much as has arrived
	err  error
	done chan struct{}
}

// ranged fetches the rest of the file by several connections at a time. It holds two parts a connection in
// memory.
func (d *download) ranged(ctx context.Context, wait func(error, time.Duration)) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	n := d.c.connections()
	queue := make(chan *part, 2*n)
	spare := make(chan []byte, 2*n+2)
	ranges := make(chan struct{}) // closed when the server has shown that it serves them
	running.Go(func() {
		defer close(queue)
		turns := make(chan struct{}, n)
		var first sync.Once
		for from, size := d.have, d.c.partSize(); from < d.file.Size; from += size {
			p := &part{from: from, data: buffer(spare, min(size, d.file.Size-from)), done: make(chan struct{})}
			select {
			case queue <- p:
			case <-ctx.Done():
				return
			}
			turns <- struct{}{}
			running.Go(func() {
				defer func() { <-turns }()
				defer close(p.done)
				p.err = d.c.persist(ctx, wait, func() (bool, error) {
					return d.part(ctx, p, func() { first.Do(func() { close(ranges) }) })
				})
			})
			select { // the first part alone finds out whether there are ranges
			case <-ranges:
			case <-p.done:
			case <-ctx.Done():
			}
		}
	})
	for p := range queue {
		<-p.done
		if err := d.write(p.data); err != nil {
			return err
		}
		if p.err != nil {
			return p.err
		}
		select {
		case spare <- p.data[:0]:
		default:
		}
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	return nil
}

// buffer returns an empty slice for n bytes, a used one if there is one.
func buffer(spare chan []byte, n int64) []byte {
	select {
	case b := <-spare:
		if int64(cap(b)) >= n {
			return b[:0:n]
		}
	default:
	}
	return make([]byte, 0, n)
}

// part fetches the rest of a part, and reports whether bytes have arrived.
func (d *download) part(ctx context.Context, p *part, serves func()) (moved bool, err error) {
	ctx, alive, stop := d.c.watched(ctx)
	defer stop()
	from := p.from + int64(len(p.data))
	want := cap(p.data) - len(p.data)
	header := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", from, from+int64(want)-1)}}
	resp, err := d.open(ctx, header)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusPartialContent:
	case http.StatusOK:
		return false, errNoRanges
	case http.StatusRequestedRangeNotSatisfiable:
		return false, fmt.Errorf("%s has a shorter file than the listing says: %w", d.server(), answer(resp))
	default:
		return false, d.refused(resp)
	}
	if err := d.rangeIs(resp, from); err != nil {
		return false, err
	}
	serves()
	for err == nil && len(p.data) < cap(p.data) {
		var n int
		n, err = resp.Body.Read(p.data[len(p.data):cap(p.data)])
		if n > 0 {
			p.data, moved = p.data[:len(p.data)+n], true
			alive()
			d.meter.got(d.file.Name, int64(n))
		}
	}
	if len(p.data) == cap(p.data) {
		return moved, nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if cause := context.Cause(ctx); errors.Is(cause, errStalled) {
		err = cause
	}
	return moved, d.broke(err, p.from+int64(len(p.data)))
}
