package studio

import (
	"bytes"
	"compress/gzip"
	"embed"
	"html/template"
	"net/http"
	"path"
	"strings"
	"sync"
)

// built is the page as web's sources give it.
//
//go:embed web/dist
var built embed.FS

// index has the frame of the page, which its script draws over: there is something to see before that runs.
var index = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="nonce" content="{{.Nonce}}">
<title>{{.Name}} – eligen studio</title>
<link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/studio.css">
<script src="/studio.js" defer></script>
<body><div id="app"><div class="app scene">
<header class="top"><div class="row"><h1 class="file">{{.Name}}</h1></div></header>
<div class="left"></div><main class="mid"></main><div class="right"></div>
</div></div></body>
</html>
`))

// page sends the page. Its own files are all that it may load; the editor's styles have a nonce.
func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	nonce := newToken()
	w.Header().Set("Content-Security-Policy", strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self' 'nonce-" + nonce + "'", "img-src 'self' blob: data:", "media-src 'self'",
		"connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
	}, "; "))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = index.Execute(w, struct{ Nonce, Name string }{nonce, s.state().Name})
}

// An asset is a file of the page, compressed.
type asset struct {
	gzip []byte
	tag  string // that names its content, as ETag has it
}

// packed are the assets, made once.
var packed = sync.OnceValue(func() map[string]asset {
	out := map[string]asset{}
	entries, err := built.ReadDir("web/dist")
	if err != nil {
		panic(err) // it is embedded
	}
	for _, e := range entries {
		data, err := built.ReadFile("web/dist/" + e.Name())
		if err != nil {
			panic(err)
		}
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
		_, _ = z.Write(data)
		_ = z.Close()
		out[e.Name()] = asset{b.Bytes(), `"` + versionOf(data) + `"`}
	}
	return out
})

var kinds = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
}

// asset sends a file of the page.
func (s *Server) asset(w http.ResponseWriter, r *http.Request) {
	name := path.Base(r.URL.Path)
	a, ok := packed()[name]
	if !ok {
		refuse(w, http.StatusNotFound, "The page has no such file.")
		return
	}
	h := w.Header()
	h.Set("Content-Type", kinds[path.Ext(name)])
	h.Set("Cache-Control", "private, no-cache")
	h.Set("ETag", a.tag)
	if r.Header.Get("If-None-Match") == a.tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		plain, err := built.ReadFile("web/dist/" + name)
		if err != nil {
			panic(err)
		}
		_, _ = w.Write(plain)
		return
	}
	h.Set("Content-Encoding", "gzip")
	_, _ = w.Write(a.gzip)
}
