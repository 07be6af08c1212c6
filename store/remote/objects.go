package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"

	"github.com/eligen/eligen"
)

// Objects are what a server or a bucket keeps, each under a name: "cas/<SHA-256>" or "ac/<key>". One that is
// missing is fs.ErrNotExist. Methods may be called concurrently.
type Objects interface {
	// Get opens an object; size is -1 where nobody says it.
	Get(ctx context.Context, name string) (body io.ReadCloser, size int64, err error)
	// Size returns an object's size, -1 where nobody says it.
	Size(ctx context.Context, name string) (int64, error)
	// Put writes an object, which appears whole or not at all. body may be called again, to begin anew.
	Put(ctx context.Context, name string, body func() io.Reader, size int64) error
	// Address returns where an object is, for people: without a password.
	Address(name string) string
}

// A RefusedError is a failure that trying again doesn't mend: credentials, say, or a bucket that isn't there.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// httpServer is the objects of an HTTP server.
type httpServer struct {
	base   *url.URL
	client *http.Client
}

// do sends a request once.
func (s *httpServer) do(ctx context.Context, method, name string, body func() io.Reader, size int64) (*http.Response, error) {
	address := s.base.JoinPath(name)
	req, err := http.NewRequestWithContext(ctx, method, address.String(), nil)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/octet-stream")
		req.Body = http.NoBody
	}
	if size > 0 {
		req.ContentLength = size
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(body()), nil }
		req.Body, _ = req.GetBody()
	}
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	switch {
	case res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusGone:
		err = fs.ErrNotExist
	case res.StatusCode < 200 || res.StatusCode > 299:
		err = &StatusError{method, address.Redacted(), res.StatusCode}
	}
	if err != nil {
		res.Body.Close()
		return nil, err
	}
	return res, nil
}

func (s *httpServer) Get(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	res, err := s.do(ctx, http.MethodGet, name, nil, 0)
	if err != nil {
		return nil, 0, err
	}
	return res.Body, res.ContentLength, nil
}

func (s *httpServer) Size(ctx context.Context, name string) (int64, error) {
	res, err := s.do(ctx, http.MethodHead, name, nil, 0)
	if err != nil {
		return 0, err
	}
	return res.ContentLength, res.Body.Close()
}

func (s *httpServer) Put(ctx context.Context, name string, body func() io.Reader, size int64) error {
	res, err := s.do(ctx, http.MethodPut, name, body, size)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, maxAction)) // so that the connection can be used again
	if closed := res.Body.Close(); err == nil {
		err = closed
	}
	return err
}

func (s *httpServer) Address(name string) string { return s.base.JoinPath(name).Redacted() }

// get opens an object. Its body, and all of the request, fail when nothing comes for too long.
func (s *Store) get(ctx context.Context, kind string, key eligen.Digest) (io.ReadCloser, int64, error) {
	watch := newWatch(ctx, s.stall)
	body, size, err := s.objects.Get(watch.ctx, kind+"/"+string(key))
	if err != nil {
		return nil, 0, watch.failure(err)
	}
	return watch.body(body), size, nil
}

// size returns an object's size.
func (s *Store) size(ctx context.Context, kind string, key eligen.Digest) (int64, error) {
	watch := newWatch(ctx, s.stall)
	n, err := s.objects.Size(watch.ctx, kind+"/"+string(key))
	if err != nil {
		return 0, watch.failure(err)
	}
	watch.stop()
	return n, nil
}

// put writes an object, patiently. It fails when nothing is taken for too long.
func (s *Store) put(ctx context.Context, kind string, key eligen.Digest, body func() io.Reader, size int64) error {
	name := kind + "/" + string(key)
	err := s.patiently(ctx, true, func() error {
		watch := newWatch(ctx, s.stall)
		err := s.objects.Put(watch.ctx, name, func() io.Reader { return watch.reader(body()) }, size)
		if err != nil {
			return watch.failure(err)
		}
		watch.stop()
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) { // no such entry can't be meant
		err = &StatusError{http.MethodPut, s.objects.Address(name), http.StatusNotFound}
	}
	if err != nil {
		return fmt.Errorf("the result can't be uploaded: %w", err)
	}
	return nil
}
