package studio

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"os"
	"strings"
)

// newToken returns 128 random bits in hexadecimal.
func newToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// A guard lets through what the page itself asks for. Another page in the same browser can neither read
// nor write: it has no cookie, and its requests have another origin. A name that somebody points at this
// machine is no host that is answered to.
type guard struct {
	token string
	ours  func(host string) bool // reports whether a value of Host is this server's
	next  http.Handler
}

// hostsOf returns what reports whether a request's host is that of a listener's address. A server that
// listens on all addresses of its machine answers to each of them, and to the machine's name.
func hostsOf(addr string) func(string) bool {
	host, port, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	if err != nil || ip == nil {
		return func(asked string) bool { return asked == addr }
	}
	machine, _ := os.Hostname()
	return func(asked string) bool {
		name, p, err := net.SplitHostPort(asked)
		if err != nil || p != port {
			return false
		}
		other := net.ParseIP(name)
		switch {
		case ip.IsLoopback():
			return name == "localhost" || other.Equal(ip)
		case ip.IsUnspecified():
			return other != nil || name == "localhost" || machine != "" && strings.EqualFold(name, machine)
		}
		return other.Equal(ip)
	}
}

// cookie is the name of the cookie that holds the token. Ports share cookies, so that it names its own.
func (g *guard) cookie(r *http.Request) string {
	_, port, _ := net.SplitHostPort(r.Host)
	return "eligen-studio-" + port
}

func (g *guard) knows(token string) bool {
	return subtle.ConstantTimeCompare([]byte(token), []byte(g.token)) == 1
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	if !g.ours(r.Host) {
		refuse(w, http.StatusMisdirectedRequest, "This server doesn't answer to that host.")
		return
	}
	if !sameOrigin(r) {
		refuse(w, http.StatusForbidden, "Another site's page may not ask.")
		return
	}
	if token := r.URL.Query().Get("token"); token != "" && r.Method == http.MethodGet && r.URL.Path == "/" {
		if !g.knows(token) {
			refuse(w, http.StatusForbidden, "Wrong token. Open the address that eligen studio has printed.")
			return
		}
		http.SetCookie(w, &http.Cookie{
			Name: g.cookie(r), Value: g.token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
		})
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if c, err := r.Cookie(g.cookie(r)); err != nil || !g.knows(c.Value) {
		refuse(w, http.StatusForbidden, "No token. Open the address that eligen studio has printed.")
		return
	}
	g.next.ServeHTTP(w, r)
}

// sameOrigin reports whether a request comes from this server's own page, or from the address bar. What
// changes something must say where it comes from, and be JSON or a picture: a form can be neither.
func sameOrigin(r *http.Request) bool {
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	if origin != "" && origin != "http://"+r.Host {
		return false
	}
	switch site {
	case "", "same-origin":
	case "none": // the address bar
		if r.Method != http.MethodGet {
			return false
		}
	default: // the address that was printed may be followed from another page
		if r.Method != http.MethodGet || r.URL.Path != "/" || r.Header.Get("Sec-Fetch-Mode") != "navigate" {
			return false
		}
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return true
	case http.MethodPost:
		kind := r.Header.Get("Content-Type")
		return (origin != "" || site == "same-origin") && (kind == "application/json" || strings.HasPrefix(kind, "image/"))
	}
	return false
}

// refuse answers with an error for people.
func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(`{"error":` + quoted(why) + "}\n"))
}
