// Package server embeds a NATS server with JetStream: a queue for a few machines in a room. A farm
// that outgrows it runs NATS's own, to which nothing here is special.
package server

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	nats "github.com/nats-io/nats-server/v2/server"

	"github.com/eligen/eligen/internal/files"
)

// Options of a server.
type Options struct {
	Listen string // host:port; port 0 is any
	Folder string // that streams are kept in
	Name   string // of the server; needed in a cluster

	// Who may use it: those with the user's password, or with the seed of one of the nkeys, which are
	// public keys of users. Without either, everybody.
	User, Password string
	Nkeys          []string

	// Files of the certificate and its key, for TLS; and of the authority whose clients' certificates
	// are asked for.
	Cert, Key, ClientCA string

	MaxBytes int64 // that streams may take on the disk; 0 is NATS's own choice

	// Cluster is the name of the cluster, Routes where its other servers are, and RouteListen where they find this
	// one. "" is none.
	Cluster, RouteListen string
	Routes               []string
}

// A Server is a server that runs.
type Server struct {
	*nats.Server
	tls bool
	o   Options
	own string // the password of this process, where one is needed
}

// Start starts a server, and waits until it takes connections. What a stream takes is on the disk before it is
// acknowledged.
func Start(o Options) (*Server, error) {
	host, port, err := hostPort(o.Listen)
	if err != nil {
		return nil, err
	}
	n := &nats.Options{
		ServerName: o.Name, Host: host, Port: port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: o.Folder, SyncAlways: true, JetStreamMaxStore: o.MaxBytes,
		MaxPayload: 2 << 20, PingInterval: 20 * time.Second,
	}
	if port == 0 {
		n.Port = nats.RANDOM_PORT
	}
	own := ""
	if o.User != "" || len(o.Nkeys) > 0 {
		own = o.users(n)
	}
	if err := o.secure(n); err != nil {
		return nil, err
	}
	if err := o.cluster(n); err != nil {
		return nil, err
	}
	s, err := nats.NewServer(n)
	if err != nil {
		return nil, err
	}
	kept := &lastError{}
	s.SetLoggerV2(kept, false, false, false)
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		s.Shutdown()
		if text := kept.last(); text != "" {
			return nil, errors.New(text)
		}
		return nil, fmt.Errorf("the server doesn't listen on %s", o.Listen)
	}
	return &Server{s, n.TLSConfig != nil, o, own}, nil
}

// users says who may use the server: those of the options, and this process, whose password it returns.
func (o Options) users(n *nats.Options) string {
	own := rand.Text()
	n.Users = []*nats.User{{Username: ownUser, Password: own}}
	if o.User != "" {
		n.Users = append(n.Users, &nats.User{Username: o.User, Password: o.Password})
	}
	for _, key := range o.Nkeys {
		n.Nkeys = append(n.Nkeys, &nats.NkeyUser{Nkey: key})
	}
	return own
}

// ownUser is the user of the process that serves.
const ownUser = "eligen-queue"

// OwnURL returns the address for the process that serves, which is let in whoever else is.
func (s *Server) OwnURL() string {
	u := url.URL{Scheme: "nats", Host: s.Addr().String()}
	if s.own != "" {
		u.User = url.UserPassword(ownUser, s.own)
	}
	return u.String()
}

// hostPort splits an address to listen on.
func hostPort(address string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(p)
	}
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("%q is no address to listen on, such as 127.0.0.1:4222", address)
	}
	return host, port, nil
}

// secure has connections use TLS.
func (o Options) secure(n *nats.Options) error {
	if o.Cert == "" && o.Key == "" {
		if o.ClientCA != "" {
			return errors.New("clients' certificates need TLS: give the server a certificate and its key")
		}
		return nil
	}
	pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
	if err != nil {
		return fmt.Errorf("the certificate %s with the key %s: %w", o.Cert, o.Key, err)
	}
	n.TLS, n.TLSTimeout = true, 5
	n.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if o.ClientCA == "" {
		return nil
	}
	data, err := files.Read(o.ClientCA, 1<<20)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return fmt.Errorf("%s holds no certificate of an authority in PEM", o.ClientCA)
	}
	n.TLSVerify = true
	n.TLSConfig.ClientCAs, n.TLSConfig.ClientAuth = pool, tls.RequireAndVerifyClientCert
	return nil
}

// cluster has the server join others.
func (o Options) cluster(n *nats.Options) error {
	if o.Cluster == "" {
		return nil
	}
	host, port, err := hostPort(o.RouteListen)
	if err != nil {
		return err
	}
	n.Cluster = nats.ClusterOpts{Name: o.Cluster, Host: host, Port: port}
	for _, r := range o.Routes {
		u, err := url.Parse(r)
		if err != nil {
			return fmt.Errorf("%q is no address of a server in the cluster: %w", r, err)
		}
		n.Routes = append(n.Routes, u)
	}
	return nil
}

// URL returns the address for a client that reaches the server by a host's name; "" is by the one that it listens
// on. It holds the password, if there is one.
func (s *Server) URL(host string) string {
	own, port, _ := net.SplitHostPort(s.Addr().String())
	if host == "" {
		host = own
	}
	u := url.URL{Scheme: "nats", Host: net.JoinHostPort(host, port)}
	if s.tls {
		u.Scheme = "tls"
	}
	if s.o.User != "" {
		u.User = url.UserPassword(s.o.User, s.o.Password)
	}
	return u.String()
}

// Stop ends the server, and waits until its files are closed.
func (s *Server) Stop() {
	s.Shutdown()
	s.WaitForShutdown()
}

// lastError keeps what the server says before it gives up.
type lastError struct {
	mu   sync.Mutex
	text string
}

func (*lastError) Noticef(string, ...any)           {}
func (*lastError) Warnf(string, ...any)             {}
func (*lastError) Debugf(string, ...any)            {}
func (*lastError) Tracef(string, ...any)            {}
func (l *lastError) Errorf(format string, v ...any) { l.Fatalf(format, v...) }
func (l *lastError) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = fmt.Sprintf(format, v...)
}

func (l *lastError) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}
