package hub

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/words"
)

// A place is where a file is fetched to, by names below one folder.
type place struct {
	dir     string
	partial string // while it isn't whole
	final   string
	lockDir string
	lock    string // below lockDir
}

// A download fetches one file.
type download struct {
	c     *Client
	info  *Info
	file  File
	meter *meter

	folder files.Folder
	to     place
	out    *os.File
	hash   hash.Hash
	have   int64 // bytes of the file that are in out, from its start

	mu     sync.Mutex
	remote string // where the bytes come from; "" before a hub was asked
}

// fetch gets a file into its place, whole and with the hub's digest, or not at all. The bytes of an
// interrupted download stay, and the next one resumes there. have says whether what another process has
// put there meanwhile will do.
func (c *Client) fetch(ctx context.Context, i *Info, f File, to place, m *meter, have func() bool) (err error) {
	if err := os.MkdirAll(to.dir, 0o755); err != nil {
		return err
	}
	d := &download{c: c, info: i, file: f, meter: m, to: to}
	unlock, err := d.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if have() {
		m.had(f.Name, f.Size)
		return nil
	}
	if d.folder, err = files.OpenDir(to.dir); err != nil {
		return err
	}
	defer d.folder.Close()
	if err := d.folder.MkdirAll(filepath.Dir(to.partial)); err != nil {
		return err
	}
	if err := d.folder.MkdirAll(filepath.Dir(to.final)); err != nil {
		return err
	}
	if d.out, err = d.folder.Append(to.partial); err != nil {
		return err
	}
	defer func() {
		if d.out != nil {
			d.out.Close()
		}
	}()
	if err := d.resume(); err != nil {
		return err
	}
	return d.finish(ctx)
}

// lock waits until no other process fetches the same file. Where there are no locks, the digest still
// tells whether two have written into one file.
func (d *download) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(d.to.lockDir, 0o755); err != nil {
		return nil, err
	}
	folder, err := files.OpenDir(d.to.lockDir)
	if err != nil {
		return nil, err
	}
	for {
		l, err := folder.Lock(d.to.lock, true)
		switch {
		case err == nil:
			return func() { _ = l.Unlock(); folder.Close() }, nil
		case errors.Is(err, errors.ErrUnsupported):
			return func() { folder.Close() }, nil
		case !errors.Is(err, files.ErrLocked):
			folder.Close()
			return nil, err
		}
		d.meter.wait("another process is fetching " + d.file.Name)
		if err := d.c.sleep(ctx, time.Second); err != nil {
			folder.Close()
			return nil, err
		}
	}
}

// resume takes the bytes of an earlier download into account.
func (d *download) resume() error {
	d.hash = d.file.newHash()
	info, err := d.out.Stat()
	if err != nil {
		return err
	}
	if info.Size() > d.file.Size {
		return d.restart()
	}
	n, err := io.CopyBuffer(d.hash, struct{ io.Reader }{io.NewSectionReader(d.out, 0, info.Size())}, make([]byte, 1<<20))
	d.have = n
	if err == nil && n > 0 {
		d.meter.had(d.file.Name, n)
	}
	return err
}

// restart throws away what there is.
func (d *download) restart() error {
	d.meter.lost(d.file.Name)
	d.hash, d.have = d.file.newHash(), 0
	return d.out.Truncate(0)
}

// finish fetches what is missing, checks the digest, and puts the file in place. Where there were bytes of
// an earlier download and the digest is another, it starts once more without them.
func (d *download) finish(ctx context.Context) error {
	for again := false; ; again = true {
		old := d.have > 0
		if err := d.stream(ctx); err != nil {
			return d.failed(err)
		}
		got := sum(d.hash)
		if got == d.file.digest() {
			break
		}
		if err := d.restart(); err != nil {
			return err
		}
		if again || !old {
			d.out.Close()
			d.out = nil
			_ = d.folder.Remove(d.to.partial)
			return &DigestError{d.info.Repo, d.file.Name, d.file.digest(), got}
		}
	}
	if err := d.folder.Sync(d.out, d.to.partial); err != nil {
		return d.failed(err)
	}
	err := d.out.Close()
	d.out = nil
	if err != nil {
		return err
	}
	return d.folder.Rename(d.to.partial, d.to.final)
}

// failed says of a full disk how to go on.
func (d *download) failed(err error) error {
	var at *fs.PathError
	path := errors.As(err, &at)
	if path && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) {
		return fmt.Errorf("%s is full after %s of %s of %s. Free %s and run the same command again; it resumes there: %w", d.to.dir,
			words.Bytes(d.have), words.Bytes(d.file.Size), d.file.Name, words.Bytes(d.file.Size-d.have), at.Err)
	}
	if path {
		return err
	}
	return fmt.Errorf("%s: %w", d.file.Name, d.c.explain(err, d.info.Repo, d.info.Revision, d.file.Name))
}

// stream fetches from d.have to the end.
func (d *download) stream(ctx context.Context) error {
	wait := func(why error, s time.Duration) {
		d.meter.wait(fmt.Sprintf("%v; trying again in %s", why, s.Round(100*time.Millisecond)))
	}
	if d.file.Size-d.have > 2*d.c.partSize() {
		err := d.ranged(ctx, wait)
		if !errors.Is(err, errNoRanges) {
			return err
		}
	}
	best := d.have // a server that always starts at 0 makes progress only beyond it
	return d.c.persist(ctx, wait, func() (bool, error) {
		err := d.single(ctx)
		moved := d.have > best
		best = max(best, d.have)
		return moved, err
	})
}

// write appends bytes to the file. The meter has counted them.
func (d *download) write(p []byte) error {
	if d.have+int64(len(p)) > d.file.Size {
		return fmt.Errorf("%s sent more than the %d bytes of the file", d.server(), d.file.Size)
	}
	if err := d.folder.WriteTo(d.out, d.to.partial, p); err != nil {
		return err
	}
	d.hash.Write(p)
	d.have += int64(len(p))
	return nil
}

// single fetches the rest of the file by one request.
func (d *download) single(ctx context.Context) error {
	if d.have == d.file.Size {
		return nil
	}
	ctx, alive, stop := d.c.watched(ctx)
	defer stop()
	header := http.Header{}
	if d.have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.have))
	}
	resp, err := d.open(ctx, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK: // the server ignores ranges
		if d.have > 0 {
			if err := d.restart(); err != nil {
				return err
			}
		}
	case http.StatusPartialContent:
		if err := d.rangeIs(resp, d.have); err != nil {
			return err
		}
	case http.StatusRequestedRangeNotSatisfiable: // its file is another one
		if err := d.restart(); err != nil {
			return err
		}
		return &passing{error: answer(resp)}
	default:
		return d.refused(resp)
	}
	return d.copy(resp.Body, alive)
}

// copy writes a body to the file.
func (d *download) copy(body io.Reader, alive func()) error {
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			alive()
			if err := d.write(buf[:n]); err != nil {
				return err
			}
			d.meter.got(d.file.Name, int64(n))
		}
		switch {
		case errors.Is(err, io.EOF) && d.have == d.file.Size:
			return nil
		case errors.Is(err, io.EOF):
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return d.broke(err, d.have)
		}
	}
}

// server returns the name of the server that the bytes come from.
func (d *download) server() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return host(d.remote)
}

// broke returns the error of a connection that ended too early.
func (d *download) broke(err error, after int64) error {
	return &passing{error: fmt.Errorf("the connection to %s broke after %d of %d bytes: %w", d.server(), after, d.file.Size, err)}
}

// rangeIs checks that a response holds the bytes from a position on, of a file of the right size.
func (d *download) rangeIs(resp *http.Response, from int64) error {
	got := resp.Header.Get("Content-Range")
	rest, ok := strings.CutPrefix(got, fmt.Sprintf("bytes %d-", from))
	_, total, _ := strings.Cut(rest, "/")
	if size, err := strconv.ParseInt(total, 10, 64); !ok || total != "*" && (err != nil || size != d.file.Size) {
		return &passing{error: fmt.Errorf("%s was asked for the bytes from %d of %d on, and sent %q",
			host(resp.Request.URL.String()), from, d.file.Size, plain(got))}
	}
	return nil
}

// open sends a request for bytes of the file.
func (d *download) open(ctx context.Context, header http.Header) (*http.Response, error) {
	at, err := d.resolve(ctx)
	if err != nil {
		return nil, err
	}
	return d.c.send(ctx, call{method: http.MethodGet, url: at, header: header, source: d.info.Repo.Source, away: true})
}

// refused returns the error of an answer that holds no bytes. A signed address expires:
// then the hub is asked for another one.
func (d *download) refused(resp *http.Response) error {
	err := answer(resp)
	var p *passing
	if errors.As(err, &p) || sameOrigin(resp.Request.URL.String(), d.c.endpoint(d.info.Repo.Source)) {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remote = ""
	return &passing{error: err}
}

// resolve asks the hub where a file's bytes are, and holds its digest to that of the listing.
func (d *download) resolve(ctx context.Context) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.remote != "" {
		return d.remote, nil
	}
	r := d.info.Repo
	if r.Source == ModelScope {
		query := url.Values{"Revision": {d.info.Revision}, "FilePath": {d.file.Name}}
		d.remote = d.c.ModelScopeEndpoint + "/api/v1/models/" + r.Name + "/repo?" + query.Encode()
		return d.remote, nil
	}
	at := d.c.Endpoint + "/" + r.Name + "/resolve/" + d.info.Commit + "/" + escapePath(d.file.Name)
	resp, err := d.c.send(ctx, call{method: http.MethodHead, url: at})
	if err != nil {
		return "", err
	}
	resp.Body.Close()
	if resp.StatusCode >= 400 {
		return "", answer(resp)
	}
	if err := d.sameFile(resp.Header); err != nil {
		return "", err
	}
	to, err := redirect(resp)
	if err != nil {
		return "", err
	}
	d.remote = first(to, resp.Request.URL.String())
	return d.remote, nil
}

// sameFile holds what a hub says of a file to its listing.
func (d *download) sameFile(h http.Header) error {
	if commit := h.Get("X-Repo-Commit"); commit != "" && commit != d.info.Commit {
		return fmt.Errorf("%s gives the file of commit %s, not of %s", host(d.c.Endpoint), plain(commit), d.info.Commit)
	}
	etag := strings.Trim(strings.TrimPrefix(first(h.Get("X-Linked-Etag"), h.Get("ETag")), "W/"), `"`)
	if (sha256Of.MatchString(etag) || sha1Of.MatchString(etag)) && etag != d.file.digest() {
		return fmt.Errorf("%s lists the file with the digest %s, and gives it with %s", host(d.c.Endpoint), d.file.digest(), etag)
	}
	return nil
}

// escapePath escapes a file's name, but for its slashes.
func escapePath(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}
