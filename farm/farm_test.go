package farm

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/farm/server"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/store/storetest"
)

// serve starts a server, whose streams are in a folder of the test's.
func serve(t *testing.T, change ...func(*server.Options)) *server.Server {
	t.Helper()
	o := server.Options{Listen: "127.0.0.1:0", Folder: t.TempDir()}
	for _, c := range change {
		c(&o)
	}
	s, err := server.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// TestMain runs a server where a test asks for one in a process of its own.
func TestMain(m *testing.M) {
	folder := os.Getenv("ELIGEN_TEST_SERVER")
	if folder == "" {
		os.Exit(m.Run())
	}
	s, err := server.Start(server.Options{Listen: "127.0.0.1:0", Folder: folder})
	if err != nil {
		panic(err)
	}
	fmt.Println(s.URL(""))
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends
}

// serveElsewhere starts a server in a process of its own, and returns its address.
func serveElsewhere(t *testing.T) string {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "ELIGEN_TEST_SERVER="+t.TempDir())
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = c.Wait() // it was told to end
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// connect opens a queue.
func connect(t *testing.T, o Options, s Settings) *Queue {
	t.Helper()
	q, err := Open(t.Context(), o, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}

// TestStore: the queue's own store keeps the contract of stores.
func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Subject{Allocates: true, Open: func(t *testing.T) storetest.Opened {
		address := serveElsewhere(t) // what it holds is not this process's
		open := func(t *testing.T) runtime.Store {
			store, err := connect(t, Options{URL: address}, Settings{}).Store(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return store
		}
		return storetest.Opened{Store: open(t), Again: open, Damage: func(t *testing.T, key eligen.Digest, change func([]byte) []byte) {
			damage(t, connect(t, Options{URL: address}, Settings{}), key, change)
		}}
	}})
}

// damage changes an object's chunks under what the queue says of it.
func damage(t *testing.T, q *Queue, key eligen.Digest, change func([]byte) []byte) {
	t.Helper()
	o, err := q.js.ObjectStore(t.Context(), results)
	if err != nil {
		t.Fatal(err)
	}
	data, err := o.GetBytes(t.Context(), string(key))
	if err != nil {
		t.Fatal(err)
	}
	info, err := o.GetInfo(t.Context(), string(key))
	if err != nil {
		t.Fatal(err)
	}
	subject := "$O." + results + ".C." + info.NUID
	s, err := q.js.Stream(t.Context(), "OBJ_"+results)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context(), jetstream.WithPurgeSubject(subject)); err != nil {
		t.Fatal(err)
	}
	data = change(data)
	for len(data) > 0 {
		n := min(len(data), 128<<10)
		if _, err := q.js.Publish(t.Context(), subject, data[:n]); err != nil {
			t.Fatal(err)
		}
		data = data[n:]
	}
}

// TestSettings: the first one who comes sets the queue's settings, and the process that serves may replace them.
func TestSettings(t *testing.T) {
	s := serve(t)
	for _, c := range []struct {
		set  Settings
		want time.Duration
	}{
		{Settings{Patience: 2 * time.Second, Tries: 5}, 2 * time.Second},
		{Settings{}, 2 * time.Second},
		{Settings{Patience: 9 * time.Second}, 2 * time.Second},
		{Settings{Patience: 9 * time.Second, Tries: 7, Keep: time.Hour, MaxBytes: 1 << 30, Replace: true}, 9 * time.Second},
		{Settings{}, 9 * time.Second},
	} {
		q := connect(t, Options{URL: s.URL("")}, c.set)
		if q.Patience() != c.want {
			t.Errorf("%+v: the patience is %v, want %v", c.set, q.Patience(), c.want)
		}
	}
}
