// Package fetch downloads files that are known by their digest, from
// https servers and from the npm and PyPI registries, and unpacks them. It is
// the only package that uses the network, and it does so only when asked.
package fetch

import (
	"context"
	"crypto/sha256"
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
)

// DefaultLimit is the most bytes that a download may have where its File names
// no limit.
const DefaultLimit = 4 << 30

// A File is what to download, and what it must turn out to be.
type File struct {
	URL       string        // https
	SHA256    eligen.Digest // of the content; may be empty where Integrity is set
	Integrity string        // npm's form, "sha512-…"; checked too where it is set
	Limit     int64         // most bytes; 0 is DefaultLimit
	Hosts     []string      // hosts that redirects may lead to, beside the URL's own
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

// Errors that callers tell apart with errors.Is.
var (
	ErrDigest   = errors.New("the content is not what was expected")
	ErrTooLarge = errors.New("the file is larger than allowed")
	ErrRefused  = errors.New("the address is not allowed")
)

// Download puts a file at path: whole and with the right digest, or not at all.
// A file that is there already and right is left alone. What arrived of an
// interrupted download stays beside it as path.part, and the next call goes on
// from there.
func (c *Client) Download(ctx context.Context, f File, path string) error {
	if f.SHA256 == "" && f.Integrity == "" {
		return fmt.Errorf("%s: without a digest nothing is downloaded", redact(f.URL))
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
			return fmt.Errorf("%s: %w (%d attempts; the next run goes on from byte %d)", redact(f.URL), err, tries, size(part))
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
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	switch resp.StatusCode {
	case http.StatusOK: // the server ignores ranges: from the start
		flags, have = os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0
	case http.StatusPartialContent:
		if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)) {
			os.Remove(part)
			return passingError{fmt.Errorf("asked for the bytes from %d on, the server sent %q", have, resp.Header.Get("Content-Range"))}
		}
	case http.StatusRequestedRangeNotSatisfiable:
		if resp.Header.Get("Content-Range") == fmt.Sprintf("bytes */%d", have) {
			return nil // all of it was there; the digest will tell
		}
		os.Remove(part)
		return passingError{errors.New("what was left of an earlier download does not fit the server's file")}
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
	out, err := os.OpenFile(part, flags, 0o644)
	if err != nil {
		return err
	}
	w := &meter{w: out, n: have, max: f.Limit, tick: func(n int64) {
		silent.Reset(c.stall())
		if c.Progress != nil {
			c.Progress(filepath.Base(strings.TrimSuffix(part, ".part")), n, of)
		}
	}}
	_, err = io.Copy(w, resp.Body)
	if err == nil {
		err = out.Sync()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
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
	return stalled(ctx, fmt.Errorf("the connection broke after %d bytes: %w", w.n, err))
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

// stalled says that the server fell silent where that is why err came about.
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

// statusError is a refusal by the server, in words.
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
	h256 := sha256.New()
	if f.SHA256 != "" {
		sums = append(sums, h256)
	}
	var h512 hash.Hash
	if f.Integrity != "" {
		if !strings.HasPrefix(f.Integrity, "sha512-") {
			return fmt.Errorf("%w: the registry gives the digest %q, only sha512 is understood", ErrDigest, f.Integrity)
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

// redact is an address without the password that it may hold.
func redact(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the address"
	}
	return u.Redacted()
}
