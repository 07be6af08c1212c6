package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/words"
)

// A Client speaks to the hubs. Settings are needed; the rest has defaults.
type Client struct {
	Settings
	Transport   http.RoundTripper                                // nil goes through the proxy that HTTPS_PROXY names
	Connections int                                              // of a large file, at a time; 0 is 8
	Stall       time.Duration                                    // how long a server may stay silent; 0 is a minute
	Sleep       func(ctx context.Context, d time.Duration) error // waits between tries; nil sleeps

	part   int64 // bytes that one request of a large file asks for; 0 is partSize
	once   sync.Once
	client *http.Client
}

const (
	partSize = 8 << 20
	tries    = 5                // connections in a row that may end without a byte
	longest  = 10 * time.Minute // that a hub may ask to wait
)

// http returns the client of all requests, which follows no redirect by itself. It speaks HTTP/1.1: over
// HTTP/2, all ranges of a file would share one connection, and its rate.
func (c *Client) http() *http.Client {
	c.once.Do(func() {
		transport := c.Transport
		if d, ok := http.DefaultTransport.(*http.Transport); ok && transport == nil {
			own := d.Clone()
			own.Protocols = new(http.Protocols)
			own.Protocols.SetHTTP1(true)
			own.ForceAttemptHTTP2, own.MaxIdleConnsPerHost = false, 2*c.connections()
			transport = own
		}
		c.client = &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	})
	return c.client
}

func (c *Client) connections() int {
	if c.Connections > 0 {
		return c.Connections
	}
	return 8
}

func (c *Client) partSize() int64 {
	if c.part > 0 {
		return c.part
	}
	return partSize
}

func (c *Client) stall() time.Duration {
	if c.Stall > 0 {
		return c.Stall
	}
	return time.Minute
}

func (c *Client) sleep(ctx context.Context, d time.Duration) error {
	if c.Sleep != nil {
		return c.Sleep(ctx, d)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// A call is a request to a hub, or to a server that it leads to.
type call struct {
	method, url string
	header      http.Header
	source      Source
	away        bool // follow redirects that lead away from the hub, without the token
}

// send sends a call, and follows redirects as far as it may. The token goes to the hub alone. What a
// server's silence ends is a passing error.
func (c *Client) send(ctx context.Context, q call) (*http.Response, error) {
	if c.Offline {
		return nil, errOffline
	}
	at := q.url
	for range 10 {
		req, err := http.NewRequestWithContext(ctx, q.method, at, nil)
		if err != nil {
			return nil, fmt.Errorf("%q is no address", redact(at))
		}
		for k, v := range q.header {
			req.Header[k] = v
		}
		req.Header.Set("User-Agent", "eligen/"+eligen.Version)
		// Compressed transfer would make ranges and lengths those of another file.
		req.Header.Set("Accept-Encoding", "identity")
		ours := sameOrigin(at, c.endpoint(q.source))
		if ours {
			c.authorize(req, q.source)
		}
		resp, err := c.http().Do(req)
		if err != nil {
			return nil, c.unreachable(ctx, q.source, at, err)
		}
		to, err := redirect(resp)
		if err != nil {
			resp.Body.Close()
			return nil, err
		}
		if to == "" || ours && !q.away && !sameOrigin(to, at) {
			return resp, nil
		}
		resp.Body.Close()
		at = to
	}
	return nil, fmt.Errorf("%s: more than ten redirects", host(q.url))
}

// redirect returns where a response leads to, "" where it is no redirect.
func redirect(resp *http.Response) (string, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return "", nil
	}
	to, err := resp.Location()
	if err != nil {
		return "", fmt.Errorf("%s redirects to no address", resp.Request.URL.Host)
	}
	if to.Scheme != "https" && (to.Scheme != "http" || resp.Request.URL.Scheme == "https") {
		return "", fmt.Errorf("%s redirects to %s, which is not https", resp.Request.URL.Host, to.Redacted())
	}
	return to.String(), nil
}

func (s Settings) endpoint(of Source) string {
	if of == ModelScope {
		return s.ModelScopeEndpoint
	}
	return s.Endpoint
}

// authorize adds the token of a hub to a request to it.
func (c *Client) authorize(req *http.Request, s Source) {
	switch {
	case s == HuggingFace && c.Token != "":
		req.Header.Set("Authorization", "Bearer "+c.Token)
	case s == ModelScope && c.ModelScopeToken != "":
		req.Header.Set("Authorization", "Bearer "+c.ModelScopeToken)
		req.AddCookie(&http.Cookie{Name: "m_session_id", Value: c.ModelScopeToken})
	}
}

// sameOrigin reports whether two addresses are of one server.
func sameOrigin(a, b string) bool {
	u, err := url.Parse(a)
	v, err2 := url.Parse(b)
	return err == nil && err2 == nil && u.Scheme == v.Scheme && strings.EqualFold(u.Hostname(), v.Hostname()) && port(u) == port(v)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" || u.Scheme != "https" && u.Scheme != "http" {
		return p
	}
	return map[string]string{"https": "443", "http": "80"}[u.Scheme]
}

// unreachable returns the error of a request that got no answer.
func (c *Client) unreachable(ctx context.Context, s Source, at string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, errStalled) {
			return &passing{error: fmt.Errorf("%s: %w", host(at), errStalled)}
		}
		return cause
	}
	var ue *url.Error // repeats the address, which may be signed
	if errors.As(err, &ue) {
		err = ue.Err
	}
	var lookup *net.DNSError
	if errors.As(err, &lookup) && lookup.IsNotFound {
		return fmt.Errorf("%s can't be reached: %w. Check the connection, the proxy in HTTPS_PROXY and the address in %s",
			host(at), lookup, s.words().endpoint)
	}
	return &passing{error: fmt.Errorf("%s can't be reached: %w", host(at), err)}
}

var errStalled = errors.New("the server stopped sending")

// watched returns a context that ends where nothing has happened for a while; alive says that something has.
func (c *Client) watched(ctx context.Context) (watched context.Context, alive, stop func()) {
	watched, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(c.stall(), func() { cancel(errStalled) })
	return watched, func() { timer.Reset(c.stall()) }, func() { timer.Stop(); cancel(nil) }
}

// persist tries something until it succeeds, or fails for good, or has failed a number of times in a row
// without progress. wait, which may be nil, hears why it waits, and how long.
func (c *Client) persist(ctx context.Context, wait func(why error, d time.Duration), try func() (moved bool, err error)) error {
	for idle := 0; ; {
		moved, err := try()
		var p *passing
		if err == nil || !errors.As(err, &p) || ctx.Err() != nil {
			if cause := context.Cause(ctx); err != nil && cause != nil {
				return cause
			}
			return err
		}
		if moved {
			idle = 0
		}
		if idle++; idle >= tries {
			return err
		}
		d := p.after
		if d > longest {
			return fmt.Errorf("%w, and asks to wait %s. Run the same command again then; it resumes", err, d.Round(time.Second))
		}
		if d <= 0 {
			d = time.Second << (idle - 1)
			d = d/2 + rand.N(d/2)
		}
		if wait != nil {
			wait(err, d)
		}
		if err := c.sleep(ctx, d); err != nil {
			return err
		}
	}
}

// get reads a document, at most limit bytes.
func (c *Client) get(ctx context.Context, q call, limit int64) (body []byte, header http.Header, err error) {
	q.method = http.MethodGet
	err = c.persist(ctx, nil, func() (bool, error) {
		ctx, alive, stop := c.watched(ctx)
		defer stop()
		resp, err := c.send(ctx, q)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return false, answer(resp)
		}
		body, err = io.ReadAll(&ticking{io.LimitReader(resp.Body, limit+1), alive})
		if err != nil {
			return false, &passing{error: fmt.Errorf("%s: the connection broke: %w", host(q.url), err)}
		}
		if int64(len(body)) > limit {
			return false, fmt.Errorf("%s sent more than %s", host(q.url), words.Bytes(limit))
		}
		header = resp.Header
		return true, nil
	})
	return body, header, err
}

// ticking calls tick as bytes arrive.
type ticking struct {
	io.Reader
	tick func()
}

func (t *ticking) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	if n > 0 {
		t.tick()
	}
	return n, err
}

// A refusal is an answer that isn't what was asked for.
type refusal struct {
	host    string
	status  int
	code    string // of Hugging Face: RepoNotFound, GatedRepo, RevisionNotFound, EntryNotFound
	message string // the server's own
	commit  string // that the answer is about
}

func (e *refusal) Error() string {
	s := fmt.Sprintf("%s answered %d %s", e.host, e.status, http.StatusText(e.status))
	if e.message != "" {
		s += ": " + e.message
	}
	return s
}

// answer returns the error of a response that isn't a success.
func answer(resp *http.Response) error {
	e := &refusal{
		host: resp.Request.URL.Host, status: resp.StatusCode, code: resp.Header.Get("X-Error-Code"),
		message: plain(resp.Header.Get("X-Error-Message")), commit: resp.Header.Get("X-Repo-Commit"),
	}
	switch {
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout, resp.StatusCode >= 500:
		return &passing{e, retryAfter(resp.Header, time.Now())}
	}
	return e
}

// plain returns a server's message as it can be shown: one line of printable characters.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
	if len(s) > 300 {
		s = s[:300]
	}
	return strings.TrimSpace(strings.ToValidUTF8(s, ""))
}

// remaining finds the seconds until a rate limit is reset, in the header RateLimit.
var remaining = regexp.MustCompile(`(?:^|[;, ])t=(\d+)`)

// retryAfter returns how long a server asks to wait; 0 where it doesn't.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.ParseFloat(v, 64); err == nil && n >= 0 && n < 1e6 {
		return time.Duration(n * float64(time.Second))
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(t.Sub(now), 0)
	}
	if m := remaining.FindStringSubmatch(h.Get("RateLimit")); m != nil && v == "" {
		if n, err := strconv.Atoi(m[1]); err == nil {
			return time.Duration(n) * time.Second
		}
	}
	return 0
}

// host returns the server of an address, without its path and its signature.
func host(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return "the server"
	}
	return u.Host
}

// redact returns an address without a signature and a password.
func redact(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return "the address"
	}
	u.RawQuery = ""
	return u.Redacted()
}
