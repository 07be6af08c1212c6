// Package farm has workers on other machines make stages, by way of NATS JetStream: a queue that
// people already run, or the one that package server embeds.
//
// The store decides what is done, and never the queue: it may lose or repeat anything, and a run
// still ends right. Messages name stages, inputs, weights and pictures by digest. Results go to the
// store that all share: a cache, or the queue's own [Store].
package farm

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/eligen/eligen/internal/files"
)

// Names in the queue. Subjects are work.RUN.CLASS.TASK, note.RUN, try.TASK and cancel.RUN below
// prefix.
const (
	prefix     = "eligen."
	workStream = "ELIGEN_WORK"
	tryStream  = "ELIGEN_TRIES"
	runBucket  = "eligen_runs"
	hereBucket = "eligen_workers"
	deadBucket = "eligen_aside"
	results    = "eligen_results"
	partial    = "eligen_partials"
)

// Options say where a queue is, and who asks.
type Options struct {
	URL string // nats://host, tls://host, with a user and a password where it wants them; several with commas
	// Creds is a file of credentials: a .creds of NATS, or an nkey's seed.
	Creds string
	// CA is a file of the authority that signed the servers' certificates; "" is the system's. Cert and
	// Key are files of the client's own certificate.
	CA, Cert, Key string
	Name          string // the client's, for those that look at the server
	// InProcess connects without a socket to a server of this process; nil is by the URL.
	InProcess nats.InProcessConnProvider
}

// Settings are the queue's own. The first one who comes sets them.
type Settings struct {
	// Patience is how long a worker may be silent before its task goes to another.
	Patience time.Duration
	// Keep is how long the queue's store keeps results, and MaxBytes how many bytes of them. 0 is a
	// day, and no limit.
	Keep     time.Duration
	MaxBytes int64
	Tries    int  // how many workers may die of a task, or fail at it, before it is set aside; 0 is DefaultTries
	Replace  bool // of an earlier queue's
	Replicas int  // of all that the queue holds; 0 is 3 in a cluster, or else 1
}

// DefaultPatience is that of a queue that nobody has set.
const DefaultPatience = 60 * time.Second

// DefaultTries is how many workers may die of a task in a queue that nobody has set.
const DefaultTries = 3

// A Queue is a connection to a queue.
type Queue struct {
	conn     *nats.Conn
	js       jetstream.JetStream
	address  string // without a password
	patience time.Duration
	most     int // tries
	parts    atomic.Pointer[parts]
	now      func() time.Time // for people to read; nothing is decided by it
}

// parts are the streams and buckets of a queue. One that has lost everything gets new ones.
type parts struct {
	replicas          int
	work, tries       jetstream.Stream
	runs, here, aside jetstream.KeyValue
}

func (q *Queue) work() jetstream.Stream   { return q.parts.Load().work }
func (q *Queue) tries() jetstream.Stream  { return q.parts.Load().tries }
func (q *Queue) runs() jetstream.KeyValue { return q.parts.Load().runs }
func (q *Queue) here() jetstream.KeyValue { return q.parts.Load().here }
func (q *Queue) set() jetstream.KeyValue  { return q.parts.Load().aside }

// trouble returns an error of the queue in words: the library's are about buffers.
func (q *Queue) trouble(err error) error {
	if !q.conn.IsConnected() {
		return errors.New("the connection is lost")
	}
	return err
}

// Address returns the queue's address without a password.
func (q *Queue) Address() string { return q.address }

// Patience returns how long a worker may be silent.
func (q *Queue) Patience() time.Duration { return q.patience }

// Close ends the connection.
func (q *Queue) Close() { q.conn.Close() }

// beat is how often those that take part say that they are there.
func (q *Queue) beat() time.Duration {
	return min(5*time.Second, max(q.patience/6, 50*time.Millisecond))
}

// Open connects to a queue, and makes in it what eligen needs where that is missing.
func Open(ctx context.Context, o Options, s Settings) (*Queue, error) {
	address := redacted(o.URL)
	options, err := o.options()
	if err != nil {
		return nil, err
	}
	conn, err := nats.Connect(o.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("the queue %s can't be reached: %w. %s", address, err, advice(err))
	}
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(10*time.Second))
	if err != nil {
		conn.Close()
		return nil, err
	}
	q := &Queue{conn: conn, js: js, address: address, patience: s.Patience, now: time.Now}
	if err := q.prepare(ctx, s); err != nil {
		conn.Close()
		return nil, fmt.Errorf("the queue %s can't be used: %w", address, err)
	}
	return q, nil
}

// options returns those of the connection. It comes back however long the queue is away.
func (o Options) options() ([]nats.Option, error) {
	name := o.Name
	if name == "" {
		name = "eligen"
	}
	out := []nats.Option{
		nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(500 * time.Millisecond), nats.Timeout(5 * time.Second),
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2), nats.NoCallbacksAfterClientClose(),
		// A connection that broke may have lost what it was about to send, and the store finds that out.
		nats.ReconnectBufSize(-1), nats.IgnoreAuthErrorAbort(),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // what fails is returned where it was asked
	}
	if o.InProcess != nil {
		out = append(out, nats.InProcessServer(o.InProcess))
	}
	if o.Creds != "" {
		with, err := credentials(o.Creds)
		if err != nil {
			return nil, err
		}
		out = append(out, with)
	}
	if o.CA == "" && o.Cert == "" && o.Key == "" {
		return out, nil
	}
	secure, err := o.tls()
	if err != nil {
		return nil, err
	}
	return append(out, nats.Secure(secure)), nil
}

// tls returns how the servers are known, and how they know the client.
func (o Options) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CA != "" {
		data, err := files.Read(o.CA, 1<<20)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s holds no certificate of an authority in PEM", o.CA)
		}
	}
	if o.Cert != "" || o.Key != "" {
		if o.Cert == "" || o.Key == "" {
			return nil, errors.New("a client's certificate needs its key, and the other way around")
		}
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return nil, fmt.Errorf("the certificate %s with the key %s: %w", o.Cert, o.Key, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// credentials reads a file of credentials, of either kind.
func credentials(path string) (nats.Option, error) {
	data, err := files.Read(path, 1<<20)
	if err != nil {
		return nil, err
	}
	if strings.Contains(string(data), "BEGIN NATS USER JWT") {
		return nats.UserCredentialBytes(data), nil
	}
	pair, err := nkeys.ParseDecoratedUserNKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s holds neither credentials of NATS (.creds) nor the seed of a user's nkey", path)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, err
	}
	return nats.Nkey(public, pair.Sign), nil
}

// advice returns what to do about a connection that failed.
func advice(err error) string {
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired):
		return "Put a user and a password into the URL, or pass --queue-creds"
	case errors.As(err, &unknown):
		return "Pass the authority that signed the server's certificate with --queue-ca"
	case errors.Is(err, nats.ErrSecureConnRequired):
		return "The server wants TLS: pass --queue-ca, or write tls:// in the URL"
	}
	return "Start one with\n\n    eligen queue start"
}

// redacted returns an address without passwords.
func redacted(address string) string {
	var out []string
	for one := range strings.SplitSeq(address, ",") {
		if u, err := url.Parse(strings.TrimSpace(one)); err == nil && u.Host != "" {
			out = append(out, u.Redacted())
		} else {
			out = append(out, strings.TrimSpace(one))
		}
	}
	return strings.Join(out, ",")
}

// Keys of the work stream's metadata.
const (
	metaFormat   = "eligen.format"
	metaPatience = "eligen.patience"
	metaTries    = "eligen.tries"
)

// prepare makes streams and buckets, or takes those that are there.
func (q *Queue) prepare(ctx context.Context, s Settings) error {
	p := &parts{replicas: s.Replicas}
	if p.replicas == 0 {
		p.replicas = 1
		if len(q.conn.Servers()) >= 3 {
			p.replicas = 3
		}
	}
	patience, tries := cmp.Or(s.Patience, DefaultPatience), cmp.Or(s.Tries, DefaultTries)
	var err error
	p.work, err = q.stream(ctx, s.Replace, jetstream.StreamConfig{
		Name: workStream, Subjects: []string{prefix + "work.>"}, Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage,
		MaxAge: 7 * 24 * time.Hour, Duplicates: 2 * time.Minute, Replicas: p.replicas, AllowDirect: true,
		Description: "eligen: stages to make",
		Metadata:    map[string]string{metaFormat: strconv.Itoa(format), metaPatience: patience.String(), metaTries: strconv.Itoa(tries)},
	})
	if err != nil {
		return err
	}
	meta := p.work.CachedInfo().Config.Metadata
	if meta[metaFormat] != strconv.Itoa(format) {
		return fmt.Errorf("it has format %q, and this version of eligen speaks format %d: use one version of eligen on all machines",
			meta[metaFormat], format)
	}
	if q.parts.Load() == nil { // those of before go by what they know
		q.patience, q.most = patience, tries
		if n, err := strconv.Atoi(meta[metaTries]); err == nil && n > 0 {
			q.most = n
		}
		if set, err := time.ParseDuration(meta[metaPatience]); err == nil && set > 0 {
			q.patience = set
		}
	}
	p.tries, err = q.stream(ctx, s.Replace, jetstream.StreamConfig{
		Name: tryStream, Subjects: []string{prefix + "try.>"}, Storage: jetstream.MemoryStorage, MaxMsgsPerSubject: 1,
		MaxAge: 24 * time.Hour, Replicas: p.replicas, AllowDirect: true, Description: "eligen: who began a stage and has not ended it",
	})
	if err != nil {
		return err
	}
	if err := q.buckets(ctx, p, s); err != nil {
		return err
	}
	q.parts.Store(p)
	return nil
}

// buckets opens those of keys and values, and of objects.
func (q *Queue) buckets(ctx context.Context, p *parts, s Settings) error {
	for _, b := range []struct {
		to   *jetstream.KeyValue
		name string
		ttl  time.Duration
		kind jetstream.StorageType
	}{
		{&p.runs, runBucket, 6 * q.beat(), jetstream.MemoryStorage},
		{&p.here, hereBucket, 4 * q.beat(), jetstream.MemoryStorage},
		{&p.aside, deadBucket, 7 * 24 * time.Hour, jetstream.FileStorage},
	} {
		config := jetstream.KeyValueConfig{Bucket: b.name, TTL: b.ttl, Storage: b.kind, Replicas: p.replicas}
		kv, err := q.js.KeyValue(ctx, b.name)
		if err == nil && s.Replace {
			kv, err = q.js.UpdateKeyValue(ctx, config)
		}
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			kv, err = q.js.CreateKeyValue(ctx, config)
			if errors.Is(err, jetstream.ErrBucketExists) {
				kv, err = q.js.KeyValue(ctx, b.name)
			}
		}
		if err != nil {
			return err
		}
		*b.to = kv
	}
	keep := s.Keep
	if keep == 0 {
		keep = 24 * time.Hour
	}
	most := s.MaxBytes
	if most == 0 {
		most = -1
	}
	for _, o := range []jetstream.ObjectStoreConfig{
		{Bucket: results, TTL: keep, MaxBytes: most, Replicas: p.replicas, Description: "eligen: results"},
		{Bucket: partial, TTL: time.Hour, Replicas: p.replicas, Description: "eligen: results of interrupted stages"},
	} {
		_, err := q.js.ObjectStore(ctx, o.Bucket)
		if err == nil && s.Replace {
			_, err = q.js.UpdateObjectStore(ctx, o)
		}
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			if _, err = q.js.CreateObjectStore(ctx, o); errors.Is(err, jetstream.ErrBucketExists) {
				err = nil
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stream takes a stream that is there, or makes it.
func (q *Queue) stream(ctx context.Context, replace bool, c jetstream.StreamConfig) (jetstream.Stream, error) {
	s, err := q.js.Stream(ctx, c.Name)
	if err == nil && replace {
		s, err = q.js.UpdateStream(ctx, c)
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if s, err = q.js.CreateStream(ctx, c); errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			s, err = q.js.Stream(ctx, c.Name)
		}
	}
	if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		return nil, errors.New("the server has no JetStream: start nats-server with -js")
	}
	return s, err
}

// hostName returns this machine's name, for people.
func hostName() string {
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return "unknown"
}
