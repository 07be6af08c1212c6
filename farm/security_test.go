package farm

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/farm/server"
	"github.com/eligen/eligen/stage"
	"github.com/eligen/eligen/store/memory"
)

// freePort returns a port that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// An authority signs certificates of a test, and keeps them in a folder.
type authority struct {
	folder string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{folder: t.TempDir()}
	a.cert, a.key = a.sign(t, "ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// sign makes a certificate and its key, in files NAME.pem and NAME-key.pem.
func (a *authority) sign(t *testing.T, name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, by := a.cert, a.key
	if parent == nil {
		parent, by = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + "-key.pem": {Type: "EC PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(a.file(file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

func (a *authority) file(name string) string { return filepath.Join(a.folder, name) }

// TestCredentials: who may use a queue, by a password, an nkey, TLS and certificates of clients; whoever may not
// gets nothing, and is told what to pass.
func TestCredentials(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	serves, asks := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	ca.sign(t, "server", &x509.Certificate{IPAddresses: []net.IP{net.ParseIP("127.0.0.1")}, ExtKeyUsage: serves})
	ca.sign(t, "client", &x509.Certificate{ExtKeyUsage: asks})
	stranger.sign(t, "client", &x509.Certificate{ExtKeyUsage: asks})
	nkey := func(name string) (public, seedFile string) {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		public, err = pair.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		seed, err := pair.Seed()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, append(seed, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
		return public, file
	}
	known, seed := nkey("known")
	_, unknown := nkey("unknown")
	secure := func(o *server.Options) { o.Cert, o.Key = ca.file("server.pem"), ca.file("server-key.pem") }
	for _, c := range []struct {
		name   string
		server func(*server.Options)
		client func(address *url.URL, o *Options)
		want   string // of the error; "" is let in
	}{
		{"a password", func(o *server.Options) { o.User, o.Password = "eligen", "sesame" }, func(*url.URL, *Options) {}, ""},
		{"a wrong password", func(o *server.Options) { o.User, o.Password = "eligen", "sesame" },
			func(u *url.URL, _ *Options) { u.User = url.UserPassword("eligen", "wrong") }, "Put a user and a password into the URL"},
		{"no password", func(o *server.Options) { o.User, o.Password = "eligen", "sesame" },
			func(u *url.URL, _ *Options) { u.User = nil }, "Put a user and a password into the URL"},
		{"an nkey", func(o *server.Options) { o.Nkeys = []string{known} }, func(_ *url.URL, o *Options) { o.Creds = seed }, ""},
		{"an unknown nkey", func(o *server.Options) { o.Nkeys = []string{known} },
			func(_ *url.URL, o *Options) { o.Creds = unknown }, "--queue-creds"},
		{"no nkey", func(o *server.Options) { o.Nkeys = []string{known} }, func(*url.URL, *Options) {}, "--queue-creds"},
		{"an nkey next to a password", func(o *server.Options) { o.User, o.Password, o.Nkeys = "eligen", "sesame", []string{known} },
			func(u *url.URL, o *Options) { u.User, o.Creds = nil, seed }, ""},
		{"a password next to nkeys", func(o *server.Options) { o.User, o.Password, o.Nkeys = "eligen", "sesame", []string{known} },
			func(*url.URL, *Options) {}, ""},
		{"TLS", secure, func(_ *url.URL, o *Options) { o.CA = ca.file("ca.pem") }, ""},
		{"TLS by an authority that nobody knows", secure, func(*url.URL, *Options) {}, "--queue-ca"},
		{"TLS by another authority", secure, func(_ *url.URL, o *Options) { o.CA = stranger.file("ca.pem") }, "--queue-ca"},
		{"no TLS", secure, func(u *url.URL, _ *Options) { u.Scheme = "nats" }, "--queue-ca"},
		{"a client's certificate", func(o *server.Options) { secure(o); o.ClientCA = ca.file("ca.pem") }, func(_ *url.URL, o *Options) {
			o.CA, o.Cert, o.Key = ca.file("ca.pem"), ca.file("client.pem"), ca.file("client-key.pem")
		}, ""},
		{"a stranger's certificate", func(o *server.Options) { secure(o); o.ClientCA = ca.file("ca.pem") }, func(_ *url.URL, o *Options) {
			o.CA, o.Cert, o.Key = ca.file("ca.pem"), stranger.file("client.pem"), stranger.file("client-key.pem")
		}, "can't be reached"},
		{"no certificate", func(o *server.Options) { secure(o); o.ClientCA = ca.file("ca.pem") },
			func(_ *url.URL, o *Options) { o.CA = ca.file("ca.pem") }, "can't be reached"},
		{"a certificate without its key", secure, func(_ *url.URL, o *Options) { o.Cert = ca.file("client.pem") }, "needs its key"},
		{"a file of no credentials", func(*server.Options) {}, func(_ *url.URL, o *Options) { o.Creds = ca.file("ca.pem") }, "holds neither"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.server)
			u, err := url.Parse(s.URL(""))
			if err != nil {
				t.Fatal(err)
			}
			var o Options
			c.client(u, &o)
			o.URL = u.String()
			q, err := Open(t.Context(), o, Settings{})
			if err == nil {
				defer q.Close()
			}
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v; want %q", err, c.want)
			case err != nil && (strings.Contains(err.Error(), "sesame") || strings.Contains(err.Error(), "wrong")):
				t.Errorf("it shows a password: %v", err)
			}
			own, err := Open(t.Context(), Options{URL: s.OwnURL(), InProcess: s}, Settings{}) // the process that serves is let in
			if err != nil {
				t.Fatalf("the server's own process: %v", err)
			}
			own.Close()
		})
	}
}

// hostile are messages that a worker must make nothing of.
func hostile(t *testing.T, run string) map[string][]byte {
	p := pictures(t, 1)
	last := len(p.Stages) - 1
	encode := func(i int) json.RawMessage {
		data, err := stage.Of(p, eligen.Ref(i)).Encode()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	digest := p.Stages[last].Digest
	message := func(m task) []byte {
		m.Format, m.Run = format, run
		if m.Digest == "" {
			m.Digest = digest
		}
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	stages := func(raw ...json.RawMessage) json.RawMessage {
		data, err := json.Marshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	other := bytes.Replace(encode(last), []byte(digest), []byte(eligen.DigestOf([]byte("x"))), 1)
	shell := `{"format":1,"kind":"shell/1","fields":{},"digest":"` + string(digest) + `"}`
	reading := `{"format":1,"name":"x","kind":"picture/2","fields":{"Picture":"../../../../etc/passwd","Size":{"W":1,"H":1}},"digest":"` +
		string(digest) + `"}`
	return map[string][]byte{
		"no JSON":                   []byte("rm -rf /"),
		"nothing":                   nil,
		"another format":            []byte(`{"format":99,"run":"` + run + `","task":"` + string(digest) + `","stages":[]}`),
		"no digest":                 message(task{Digest: "../../../etc/passwd", Stages: stages(encode(last))}),
		"no stages":                 message(task{}),
		"a body that is a path":     message(task{Body: "../../etc/passwd"}),
		"a body that isn't there":   message(task{Body: eligen.DigestOf([]byte("nothing"))}),
		"another digest":            message(task{Stages: stages(other)}),
		"a stage that isn't wanted": message(task{Stages: stages(encode(0), encode(last))}),
		"an unknown kind":           message(task{Stages: stages(json.RawMessage(shell))}),
		"a path for a picture":      message(task{Stages: stages(json.RawMessage(reading))}),
		"too many stages":           message(task{Stages: stages(make([]json.RawMessage, maxStages+1)...)}),
		"of another run":            []byte(`{"format":1,"run":"another","task":"` + string(digest) + `","stages":[1]}`),
	}
}

// TestHostileMessages: whoever may write into the queue can't have a worker read or write a file, start a program or
// load weights. The worker goes on, and makes what is sound.
func TestHostileMessages(t *testing.T) {
	s := serve(t)
	q := connect(t, Options{URL: s.URL("")}, Settings{Patience: 500 * time.Millisecond})
	here := t.TempDir()
	t.Chdir(here)
	h := hire(t, q, "anvil")
	p := pictures(t, 2)
	far, err := q.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := q.Begin(t.Context(), RunOptions{Store: memory.New(), Far: far, Scene: p.Scene, Engine: p.Engine})
	if err != nil {
		t.Fatal(err)
	}
	defer r.End(t.Context())
	c := needsOf(p).class(p.Engine, []eligen.Ref{0})
	if err := r.open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	n := 0
	for name, data := range hostile(t, r.ID()) {
		n++
		if _, err := q.js.Publish(t.Context(), fmt.Sprintf("%swork.%s.%s.%d", prefix, r.ID(), c.ID, n), data); err != nil {
			t.Fatal(name, err)
		}
	}
	for i := 0; ; i++ {
		held, err := r.held(t.Context(), c.ID)
		if err == nil && held == 0 {
			break
		}
		if i > 500 {
			t.Fatalf("%d messages are still there, %v", held, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if h.made.Load() != 0 {
		t.Errorf("%d stages were made", h.made.Load())
	}
	if entries, err := os.ReadDir(here); err != nil || len(entries) != 0 {
		t.Errorf("there are %v, %v", entries, err)
	}
	if progress, err := submit(t, q, p); err != nil {
		t.Fatal(err, progress.Reports)
	}
	hold(t, p)
}
