// Package fetch downloads files that are known by their digest, from
// https servers and from the npm and PyPI registries, and unpacks them. It is
// the only package that uses the network, and it does so only when asked.
package fetch

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/sha"
)

// DefaultLimit is the most bytes that a download may have if its File has no Limit.
const DefaultLimit = 4 << 30

// A File names a download and what it must turn out to be.
type File struct {
	URL       string        // https
	SHA256    eligen.Digest // of the content; may be empty where Integrity is set
	Integrity string        // npm's form, "sha512-…"; checked too where it is set
	Limit     int64         // most bytes; 0 is DefaultLimit
	Hosts     []string      // hosts that redirects may lead to, apart from the URL's own
}

// A Client downloads. Its zero value is ready to use: it goes through the proxy
// that HTTPS_PROXY names and trusts the system's certificates.
type Client struct {
	Transport http.RoundTripper                 // nil is http.DefaultTransport
	Stall     time.Duration                     // how long a server may stay silent; 0 is a minute
	Progress  func(file string, done, of int64) // called as bytes arrive; of is -1 where the size is unknown. May be nil
	Lookup    func(name string) string          // reads an environment variable; nil is os.Getenv
}

// tries is how many connections in a row may end without a byte of progress.
const tries = 3

// Errors that callers distinguish with errors.Is.
var (
	ErrDigest   = errors.New("the content is not what was expected")
	ErrTooLarge = errors.New("the file is larger than allowed")
	ErrRefused  = errors.New("the address is not allowed")
)

// Download writes a file to path, whole and with the right digest, or not at all. It
// leaves a file alone that is right. What has arrived of an interrupted download stays
// next to it as path.part, and the next call resumes there.
func (c *Client) Download(ctx context.Context, f File, path string) error {
	if f.SHA256 == "" && f.Integrity == "" {
		return fmt.Errorf("%s: eligen downloads nothing without a digest", redact(f.URL))
	}
	if f.Limit <= 0 {
		f.Limit = DefaultLimit
	}
	if check(f, path) == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	part := path + ".part"
	for idle, fresh := 0, false; ; {
		before := size(part)
		err := c.stream(ctx, f, part)
		if err == nil {
			err = check(f, part)
			if err == nil {
				return files.Move(part, path)
			}
			os.Remove(part)
			// A part of something else may have been on disk: once more from the start.
			if before == 0 || fresh {
				return fmt.Errorf("%s: %w", redact(f.URL), err)
			}
			fresh = true
			continue
		}
		var passing passingError
		if !errors.As(err, &passing) || ctx.Err() != nil {
			return fmt.Errorf("%s: %w", redact(f.URL), err)
		}
		if size(part) > before {
			idle = 0
		} else if idle++; idle == tries {
			return fmt.Errorf("%s: %w (%d attempts; the next run resumes at byte %d)", redact(f.URL), err, tries, size(part))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(idle) * 300 * time.Millisecond):
		}
	}
}

// A passingError may be gone when the same is tried again.
type passingError struct{ error }

func (e passingError) Unwrap() error { return e.error }

// stream appends to part what is missing of f.
func (c *Client) stream(ctx context.Context, f File, part string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	have := size(part)
	header := http.Header{}
	if have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	// Compressed transfer would make the byte ranges those of another file.
	header.Set("Accept-Encoding", "identity")
	silent := c.watch(cancel)
	defer silent.Stop()
	resp, err := c.open(ctx, f.URL, header, f.Hosts)
	if err != nil {
		return stalled(ctx, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK: // the server ignores ranges: from the start
		have = 0
	case http.StatusPartialContent:
		if got := resp.Header.Get("Content-Range"); !strings.HasPrefix(got, fmt.Sprintf("bytes %d-", have)) {
			os.Remove(part)
			return passingError{fmt.Errorf("asked for the bytes from %d on, the server sent %q", have, got)}
		}
	case http.StatusRequestedRangeNotSatisfiable:
		if resp.Header.Get("Content-Range") == fmt.Sprintf("bytes */%d", have) {
			return nil // all of it is there; the digest will tell
		}
		os.Remove(part)
		return passingError{errors.New("the rest of an earlier download does not fit the server's file")}
	default:
		return statusError(resp)
	}
	of := int64(-1)
	if resp.ContentLength >= 0 {
		of = have + resp.ContentLength
	}
	if of > f.Limit {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, of, f.Limit)
	}
	n, err := save(resp.Body, part, have, f.Limit, func(n int64) {
		silent.Reset(c.stall())
		if c.Progress != nil {
			c.Progress(filepath.Base(strings.TrimSuffix(part, ".part")), n, of)
		}
	})
	var local *os.PathError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrTooLarge):
		os.Remove(part)
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, f.Limit)
	case errors.As(err, &local): // the disk, not the network
		return err
	}
	return stalled(ctx, fmt.Errorf("the connection broke after %d bytes: %w", n, err))
}

// save appends a body to part, which keeps its first have bytes, up to a limit. It returns
// the file's size, and calls tick with it as bytes arrive.
func save(body io.Reader, part string, have, limit int64, tick func(int64)) (int64, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if have == 0 {
		flags = os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	}
	out, err := os.OpenFile(part, flags, 0o644)
	if err != nil {
		return have, err
	}
	w := &meter{w: out, n: have, max: limit, tick: tick}
	_, err = io.Copy(w, body)
	if err == nil {
		err = out.Sync()
	}
	if closing := out.Close(); err == nil {
		err = closing
	}
	return w.n, err
}

// meter counts what passes through, and stops at its limit.
type meter struct {
	w      io.Writer
	n, max int64
	tick   func(int64)
}

func (m *meter) Write(p []byte) (int, error) {
	if m.n+int64(len(p)) > m.max {
		return 0, ErrTooLarge
	}
	n, err := m.w.Write(p)
	m.n += int64(n)
	m.tick(m.n)
	return n, err
}

var errStalled = errors.New("the server stopped sending")

func (c *Client) stall() time.Duration {
	if c.Stall > 0 {
		return c.Stall
	}
	return time.Minute
}

func (c *Client) watch(cancel context.CancelCauseFunc) *time.Timer {
	return time.AfterFunc(c.stall(), func() { cancel(errStalled) })
}

// stalled returns errStalled where the server's silence is why err came about.
func stalled(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errStalled) {
		return passingError{errStalled}
	}
	if errors.Is(err, ErrRefused) {
		return err
	}
	return passingError{err}
}

// open sends a GET request, to https and to allowed hosts only.
func (c *Client) open(ctx context.Context, address string, header http.Header, hosts []string) (*http.Response, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%w: not a URL", ErrRefused)
	}
	if err := allowed(u, append([]string{u.Host}, hosts...)); err != nil {
		return nil, err
	}
	client := &http.Client{
		Transport: c.Transport,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > 10 {
				return fmt.Errorf("%w: more than ten redirects", ErrRefused)
			}
			return allowed(req.URL, append([]string{u.Host}, hosts...))
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	req.Header = header
	req.Header.Set("User-Agent", "eligen/"+eligen.Version)
	resp, err := client.Do(req)
	if err != nil {
		// url.Error repeats the address; the caller says it already.
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, err
	}
	return resp, nil
}

// allowed reports why a request to u must not be made.
func allowed(u *url.URL, hosts []string) error {
	if u.Scheme != "https" {
		return fmt.Errorf("%w: %s is not https", ErrRefused, u.Redacted())
	}
	if !slices.Contains(hosts, u.Host) {
		return fmt.Errorf("%w: a redirect to the host %q", ErrRefused, u.Host)
	}
	return nil
}

// statusError returns a refusal by the server, in words.
func statusError(resp *http.Response) error {
	err := fmt.Errorf("the server answered %s", resp.Status)
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout {
		return passingError{err}
	}
	return err
}

// get reads a small document.
func (c *Client) get(ctx context.Context, address, accept string, hosts []string) (body []byte, contentType string, err error) {
	const limit = 64 << 20
	for n := 0; ; {
		body, contentType, err = c.getOnce(ctx, address, accept, hosts, limit)
		var passing passingError
		if n++; err == nil || !errors.As(err, &passing) || n == tries || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", redact(address), err)
	}
	return body, contentType, nil
}

func (c *Client) getOnce(ctx context.Context, address, accept string, hosts []string, limit int64) ([]byte, string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := c.watch(cancel)
	defer silent.Stop()
	resp, err := c.open(ctx, address, http.Header{"Accept": {accept}}, hosts)
	if err != nil {
		return nil, "", stalled(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, "", statusError(resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, "", stalled(ctx, err)
	}
	if int64(len(body)) > limit {
		return nil, "", fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return body, resp.Header.Get("Content-Type"), nil
}

// check reads the file at path and reports how it differs from f.
func check(f File, path string) error {
	in, err := files.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	sums := []io.Writer{}
	h256 := sha.New()
	if f.SHA256 != "" {
		sums = append(sums, h256)
	}
	var h512 hash.Hash
	if f.Integrity != "" {
		if !strings.HasPrefix(f.Integrity, "sha512-") {
			return fmt.Errorf("%w: the registry gives the digest %q; eligen reads sha512 only", ErrDigest, f.Integrity)
		}
		h512 = sha512.New()
		sums = append(sums, h512)
	}
	if _, err := io.Copy(io.MultiWriter(sums...), in); err != nil {
		return err
	}
	if got := hex.EncodeToString(h256.Sum(nil)); f.SHA256 != "" && got != string(f.SHA256) {
		return fmt.Errorf("%w: its SHA-256 is %s, expected %s", ErrDigest, got, f.SHA256)
	}
	if h512 != nil {
		if got := "sha512-" + base64.StdEncoding.EncodeToString(h512.Sum(nil)); got != f.Integrity {
			return fmt.Errorf("%w: its SHA-512 is %s, the registry says %s", ErrDigest, got, f.Integrity)
		}
	}
	return nil
}

func size(path string) int64 {
	fi, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return fi.Size()
}

// redact returns an address without its password.
func redact(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the address"
	}
	return u.Redacted()
}
