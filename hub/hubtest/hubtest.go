// Package hubtest is a hub on this machine, for tests: it speaks Hugging Face's protocol and ModelScope's as
// their servers do, with a second server for the bytes of large files, and can be made to fail.
package hubtest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Model is a repository.
type Model struct {
	Name    string            // "owner/name"
	Files   map[string][]byte // by name
	LFS     []string          // names that end so are stored outside git
	Xet     bool              // LFS files have the headers of Xet storage
	Gated   bool              // files need Token
	Private bool              // everything needs Token
	License string
	Commit  string // 40 hexadecimal digits
}

// Token is the access token that opens gated and private models.
const Token = "hf_test"

// Blocked is a token of an account that has accepted no licence.
const Blocked = "hf_blocked"

// A Server is a hub and its CDN.
type Server struct {
	URL, CDN string

	// Fault, where it is set, sees each request before the server does, and reports whether it has answered.
	Fault func(w http.ResponseWriter, r *http.Request, cdn bool) bool
	// Page is how many entries a page of a listing has; 0 is 1000.
	Page int
	// NoRanges has the CDN send whole files.
	NoRanges bool

	running  sync.WaitGroup // requests
	mu       sync.Mutex
	models   map[string]*Model
	renamed  map[string]string
	requests []Request
	expired  map[string]bool
	hub, cdn *httptest.Server
}

// A Request is one that the hub or its CDN got.
type Request struct {
	CDN           bool
	Method, Path  string
	Range         string
	Authorization string
	Cookie        string
	Bytes         int64 // of files that were sent
}

// New starts a hub with models. Close it.
func New(models ...*Model) *Server {
	s := &Server{models: map[string]*Model{}, renamed: map[string]string{}, expired: map[string]bool{}}
	for _, m := range models {
		s.models[m.Name] = m
	}
	s.hub = httptest.NewUnstartedServer(s.handler(false))
	s.cdn = httptest.NewUnstartedServer(s.handler(true))
	// Another name of the same machine, so that clients see another host.
	s.URL = "http://" + s.hub.Listener.Addr().String()
	s.CDN = "http://" + strings.Replace(s.cdn.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
	s.hub.Start()
	s.cdn.Start()
	return s
}

// Close stops the servers.
func (s *Server) Close() { s.hub.Close(); s.cdn.Close() }

// Rename has an old name of a model lead to the new one.
func (s *Server) Rename(from, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.renamed[from] = to
}

// Expire ends the validity of all signed addresses that were given out.
func (s *Server) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.expired {
		s.expired[k] = true
	}
}

// Requests returns the requests since the last call, when all have been answered.
func (s *Server) Requests() []Request {
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.requests
	s.requests = nil
	return list
}

// counted counts the bytes of an answer.
type counted struct {
	http.ResponseWriter
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n += int64(n)
	return n, err
}

func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (s *Server) handler(cdn bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &counted{ResponseWriter: w}
		s.running.Add(1)
		defer s.running.Done()
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			q := Request{
				CDN: cdn, Method: r.Method, Path: r.URL.Path, Range: r.Header.Get("Range"),
				Authorization: r.Header.Get("Authorization"), Cookie: r.Header.Get("Cookie"),
			}
			if cdn || strings.Contains(r.URL.Path, "/resolve-cache/") || strings.HasSuffix(r.URL.Path, "/repo") {
				q.Bytes = c.n
			}
			s.requests = append(s.requests, q)
		}()
		if s.Fault != nil && s.Fault(c, r, cdn) {
			return
		}
		s.Answer(c, r, cdn)
	})
}

// Answer answers a request as the server does, for faults that spoil the answer.
func (s *Server) Answer(w http.ResponseWriter, r *http.Request, cdn bool) {
	switch {
	case cdn:
		s.content(w, r)
	case strings.HasPrefix(r.URL.Path, "/api/v1/models/"):
		s.modelScope(w, r)
	default:
		s.huggingFace(w, r)
	}
}

// model finds the model of a path "owner/name/…".
func (s *Server) model(p string) (m *Model, rest, moved string) {
	parts := strings.SplitN(p, "/", 3)
	if len(parts) < 2 {
		return nil, "", ""
	}
	name := parts[0] + "/" + parts[1]
	if len(parts) == 3 {
		rest = parts[2]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.models[name], rest, s.renamed[name]
}

// SHA256 returns a digest in hexadecimal digits.
func SHA256(data []byte) string { h := sha256.Sum256(data); return hex.EncodeToString(h[:]) }

// SHA1 returns git's name of a blob.
func SHA1(data []byte) string {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(data))
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil))
}

// pointer returns what git holds of a file in LFS.
func pointer(data []byte) []byte {
	return fmt.Appendf(nil, "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", SHA256(data), len(data))
}

func (m *Model) lfs(name string) bool {
	return slices.ContainsFunc(m.LFS, func(s string) bool { return strings.HasSuffix(name, s) })
}

// Names returns the names of the files, sorted.
func (m *Model) Names() []string {
	names := make([]string, 0, len(m.Files))
	for n := range m.Files {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// fail answers as the hub does.
func fail(w http.ResponseWriter, status int, code, message string) {
	if code != "" {
		w.Header().Set("X-Error-Code", code)
	}
	w.Header().Set("X-Error-Message", message)
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":%q}`, message)
}

func (s *Server) huggingFace(w http.ResponseWriter, r *http.Request) {
	p := strings.TrimPrefix(r.URL.Path, "/")
	api, isAPI := strings.CutPrefix(p, "api/models/")
	cached, isCached := strings.CutPrefix(p, "api/resolve-cache/models/")
	if isAPI {
		p = api
	} else if isCached {
		p = cached
	}
	m, rest, moved := s.model(p)
	if moved != "" {
		old := strings.Join(strings.SplitN(p, "/", 3)[:2], "/")
		w.Header().Set("Location", strings.Replace(r.URL.EscapedPath(), old, moved, 1))
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if token != "" && token != Token && token != Blocked {
		fail(w, http.StatusUnauthorized, "", "Invalid credentials in Authorization header")
		return
	}
	if m == nil || m.Private && token != Token {
		status := http.StatusNotFound
		if token == "" {
			status = http.StatusUnauthorized
		}
		fail(w, status, "RepoNotFound", "Repository not found")
		return
	}
	switch {
	case isCached:
		_, name, _ := strings.Cut(rest, "/")
		s.small(w, r, m, name)
	case isAPI:
		s.api(w, r, m, rest)
	default:
		s.resolve(w, r, m, rest, token)
	}
}

// send sends a document.
func send(w http.ResponseWriter, doc any) { _ = json.NewEncoder(w).Encode(doc) }

// api answers questions about a model.
func (s *Server) api(w http.ResponseWriter, r *http.Request, m *Model, rest string) {
	verb, revision, _ := strings.Cut(rest, "/")
	revision, _ = url.PathUnescape(revision)
	if rest != "" && revision != "main" && revision != m.Commit {
		fail(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if verb == "tree" {
		s.tree(w, r, m)
		return
	}
	doc := map[string]any{
		"id": m.Name, "modelId": m.Name, "sha": m.Commit, "private": m.Private, "gated": false, "tags": []string{},
		"siblings": []any{}, "cardData": map[string]any{"license": m.License},
	}
	if m.Gated {
		doc["gated"] = "auto"
	}
	send(w, doc)
}

// tree answers a page of a listing.
func (s *Server) tree(w http.ResponseWriter, r *http.Request, m *Model) {
	names := m.Names()
	page := s.Page
	if page == 0 {
		page = 1000
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	if from+page < len(names) {
		q := r.URL.Query()
		q.Set("cursor", strconv.Itoa(from+page))
		w.Header().Set("Link", fmt.Sprintf("<%s%s?%s>; rel=\"next\"", s.URL, r.URL.EscapedPath(), q.Encode()))
	}
	list := []any{map[string]any{"type": "directory", "path": "folder", "size": 0, "oid": SHA1(nil)}}
	for _, n := range names[min(from, len(names)):min(from+page, len(names))] {
		data := m.Files[n]
		e := map[string]any{"type": "file", "path": n, "size": len(data), "oid": SHA1(data)}
		if m.lfs(n) {
			p := pointer(data)
			e["oid"] = SHA1(p)
			e["lfs"] = map[string]any{"oid": SHA256(data), "size": len(data), "pointerSize": len(p)}
			if m.Xet {
				e["xetHash"] = SHA256(p)
			}
		}
		list = append(list, e)
	}
	send(w, list)
}

// resolve leads to the bytes of a file.
func (s *Server) resolve(w http.ResponseWriter, r *http.Request, m *Model, rest, token string) {
	_, rest, _ = strings.Cut(rest, "/") // "resolve"
	revision, name, _ := strings.Cut(rest, "/")
	if revision != "main" && revision != m.Commit {
		fail(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id: "+revision)
		return
	}
	if m.Gated && token != Token {
		status, why := http.StatusUnauthorized, "Access to model "+m.Name+" is restricted. You must have access to it and be authenticated to "+
			"access it. Please log in."
		if token != "" {
			status, why = http.StatusForbidden, "Access to model "+m.Name+" is restricted and you are not in the authorized list."
		}
		fail(w, status, "GatedRepo", why)
		return
	}
	h := w.Header()
	h.Set("X-Repo-Commit", m.Commit)
	data, ok := m.Files[name]
	if !ok {
		fail(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return
	}
	h.Set("Accept-Ranges", "bytes")
	if !m.lfs(name) {
		h.Set("Location", "/api/resolve-cache/models/"+m.Name+"/"+m.Commit+"/"+escape(name))
		h.Set("X-Linked-Size", strconv.Itoa(len(data)))
		h.Set("ETag", `"`+SHA1(data)+`"`)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	h.Set("X-Linked-Size", strconv.Itoa(len(data)))
	h.Set("X-Linked-ETag", `"`+SHA256(data)+`"`)
	h.Set("ETag", `"`+SHA1(pointer(data))+`"`)
	if m.Xet {
		h.Set("X-Xet-Hash", SHA256(pointer(data)))
		auth := s.URL + "/api/models/" + m.Name + "/xet-read-token/" + m.Commit
		h.Set("Link", "<"+auth+`>; rel="xet-auth", <`+s.URL+`/xet>; rel="xet-reconstruction-info"`)
	}
	h.Set("Location", s.sign(m, name))
	w.WriteHeader(http.StatusFound)
	fmt.Fprint(w, "Found. Redirecting to the CDN")
}

func escape(name string) string { return strings.ReplaceAll(url.PathEscape(name), "%2F", "/") }

// sign returns the address of a file at the CDN, valid until Expire.
func (s *Server) sign(m *Model, name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strconv.Itoa(len(s.expired) + 1)
	s.expired[key] = false
	q := url.Values{"File": {name}, "Expires": {"1"}, "Signature": {key}}
	return s.CDN + "/" + m.Name + "/" + SHA256(m.Files[name]) + "?" + q.Encode()
}

// small sends a file that is in git itself.
func (s *Server) small(w http.ResponseWriter, r *http.Request, m *Model, name string) {
	data, ok := m.Files[name]
	if !ok {
		fail(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
		return
	}
	w.Header().Set("X-Repo-Commit", m.Commit)
	w.Header().Set("ETag", `"`+SHA1(data)+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// content sends the bytes of a large file.
func (s *Server) content(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	expired, known := s.expired[r.URL.Query().Get("Signature")]
	s.mu.Unlock()
	if !known || expired {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
		return
	}
	m, digest, _ := s.model(strings.TrimPrefix(r.URL.Path, "/"))
	if m != nil {
		for name, data := range m.Files {
			if name != r.URL.Query().Get("File") || !m.lfs(name) {
				continue
			}
			w.Header().Set("ETag", `"`+digest[:32]+`"`)
			w.Header().Set("Content-Type", "application/octet-stream")
			if s.NoRanges {
				r.Header.Del("Range")
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
			return
		}
	}
	http.NotFound(w, r)
}

// modelScope answers as ModelScope does.
func (s *Server) modelScope(w http.ResponseWriter, r *http.Request) {
	m, rest, _ := s.model(strings.TrimPrefix(r.URL.Path, "/api/v1/models/"))
	q := r.URL.Query()
	if m == nil || m.Private && !strings.Contains(r.Header.Get("Cookie"), "m_session_id="+Token) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"Code":10010205001,"Message":"the model does not exist","Success":false}`)
		return
	}
	switch rest {
	case "repo/files":
		files := m.modelScopeList(q.Get("Root"), q.Get("Recursive") == "True")
		files = files[:min(len(files), 1000)]
		send(w, map[string]any{"Code": 200, "Success": true, "Message": "success", "Data": map[string]any{"Files": files}})
	case "repo":
		data, ok := m.Files[q.Get("FilePath")]
		switch {
		case !ok:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"Code":10010205001,"Message":"file not found","Success":false}`)
		case m.lfs(q.Get("FilePath")):
			http.Redirect(w, r, s.sign(m, q.Get("FilePath")), http.StatusFound)
		default:
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
		}
	default:
		http.NotFound(w, r)
	}
}

// modelScopeList lists what is below a folder, or in it.
func (m *Model) modelScopeList(root string, recursive bool) (list []map[string]any) {
	folders := map[string]bool{}
	for _, n := range m.Names() {
		rest := n
		if root != "" {
			var ok bool
			if rest, ok = strings.CutPrefix(n, root+"/"); !ok {
				continue
			}
		}
		if folder, _, deep := strings.Cut(rest, "/"); deep && !recursive {
			at := strings.TrimSuffix(n, rest) + folder
			if !folders[at] {
				list = append(list, map[string]any{"Name": folder, "Path": at, "Type": "tree", "Size": 0, "Sha256": ""})
			}
			folders[at] = true
			continue
		}
		data := m.Files[n]
		list = append(list, map[string]any{
			"Name": n[strings.LastIndex(n, "/")+1:], "Path": n, "Type": "blob", "Size": len(data), "Sha256": SHA256(data), "Revision": m.Commit,
			"IsLFS": m.lfs(n),
		})
	}
	return list
}
