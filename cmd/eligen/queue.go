package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/farm"
	"github.com/eligen/eligen/farm/server"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/page"
)

func newQueue() *cobra.Command {
	return family(&cobra.Command{
		Use:     "queue",
		Short:   "Share work among machines",
		Example: "eligen queue start\neligen queue list --queue nats://render1",
		Long: `Share work among machines: start a queue on one of them, workers on the others, and apply with --queue on any.

The queue is NATS JetStream. start runs a server for a few machines; a farm that has NATS already needs none.`,
	}, newQueueStart(), newQueueList(), newQueueCancel(), newQueueDrain())
}

// queueStart are the flags of `eligen queue start`.
type queueStart struct {
	server.Options
	passwordFile, nkeys string
	maxStore            string
	patience, keep      time.Duration
	tries               int
}

func newQueueStart() *cobra.Command {
	var o queueStart
	c := &cobra.Command{
		Use:   "start",
		Short: "Run a queue on this machine",
		Long: `Run a queue on this machine until ctrl+c or SIGTERM. The first line of standard output is its address, for --queue.

It listens on this machine alone. To let others in, pass --listen 0.0.0.0:4222: the address has a password then, which stays
the same from start to start. Whoever knows it can have your workers render. Passwords go over the wire in clear unless
you give the server a certificate.

What is queued, and results that machines share through the queue, are in a folder and outlive the process.`,
		Example: `eligen queue start
# for other machines, with TLS
eligen queue start --listen 0.0.0.0:4222 --tls-cert render1.pem --tls-key render1-key.pem`,
		Args: cobra.NoArgs,
		RunE: o.run,
	}
	f := c.Flags()
	f.StringVar(&o.Listen, "listen", "127.0.0.1:4222", "listen on `HOST:PORT`; port 0 is any that is free")
	f.StringVar(&o.Folder, "folder", "", "keep the queue in `DIR` (default queue in ELIGEN_CACHE_DIR)")
	f.StringVar(&o.passwordFile, "password-file", "", "take the password from line 1 of `FILE` (default a random one, for others)")
	f.StringVar(&o.nkeys, "nkeys", "", "let in who holds the seed of a user's nkey; `FILE` lists the public keys, one a line")
	f.StringVar(&o.Cert, "tls-cert", "", "`FILE` of the server's certificate, for TLS")
	f.StringVar(&o.Key, "tls-key", "", "`FILE` of the certificate's key")
	f.StringVar(&o.ClientCA, "tls-client-ca", "", "let in only who has a certificate of the authority in `FILE`")
	f.StringVar(&o.maxStore, "max-store", "20GiB", "take at most `SIZE` on the disk")
	f.DurationVar(&o.patience, "patience", farm.DefaultPatience, "give a task to another worker after `TIME` without a sign of life")
	f.IntVar(&o.tries, "tries", farm.DefaultTries, "set a stage aside after `N` workers died of it, or failed at it")
	f.DurationVar(&o.keep, "keep", 24*time.Hour, "keep results in the queue for `TIME`")
	return c
}

func (o *queueStart) run(c *cobra.Command, _ []string) error {
	if err := o.complete(); err != nil {
		return err
	}
	if o.patience < time.Second/10 || o.keep < time.Minute {
		return usageError{errors.New("--patience is at least 100ms, and --keep at least 1m")}
	}
	if o.tries < 1 {
		return usageError{errors.New("--tries is at least 1")}
	}
	most, err := readMemory(o.maxStore)
	if err != nil || most <= 0 {
		return usageError{fmt.Errorf("--max-store %s is no size, such as 20GiB", o.maxStore)}
	}
	o.MaxBytes = most
	s, err := server.Start(o.Options)
	if err != nil {
		return fmt.Errorf("the queue can't start: %w", err)
	}
	defer s.Stop()
	settings := farm.Settings{Replace: true, Patience: o.patience, Tries: o.tries, Keep: o.keep, MaxBytes: most * 9 / 10}
	q, err := farm.Open(c.Context(), farm.Options{URL: s.OwnURL(), InProcess: s}, settings)
	if err != nil {
		return err
	}
	defer q.Close()
	address := s.URL(o.host())
	if _, err := fmt.Fprintln(c.OutOrStdout(), address); err != nil {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "On each machine that renders:\n\n    eligen worker --queue %s\n\nOn any machine:\n\n    "+
		"eligen apply SCENE --queue %[1]s\n\n", address)
	waitFor(c.Context())
	<-c.Context().Done()
	fmt.Fprintf(c.ErrOrStderr(), "The queue is closed. What it holds stays in %s.\n", o.Folder)
	return nil
}

// complete fills in what the flags leave out.
func (o *queueStart) complete() error {
	if o.Folder == "" {
		dir, err := cacheDir("queue")
		if err != nil {
			return err
		}
		o.Folder = dir
	}
	if err := os.MkdirAll(o.Folder, 0o700); err != nil {
		return err
	}
	if o.nkeys != "" {
		data, err := files.Read(o.nkeys, 1<<20)
		if err != nil {
			return err
		}
		o.Nkeys = strings.Fields(string(data))
	}
	if o.passwordFile != "" {
		data, err := files.Read(o.passwordFile, 1<<12)
		if err != nil {
			return err
		}
		line, _, _ := strings.Cut(string(data), "\n")
		o.User, o.Password = "eligen", strings.TrimSpace(line)
		if o.Password == "" {
			return fmt.Errorf("--password-file %s: the first line is empty", o.passwordFile)
		}
	}
	if o.local() || o.User != "" || len(o.Nkeys) > 0 || o.ClientCA != "" {
		return nil
	}
	var err error
	o.User = "eligen"
	o.Password, err = keptPassword(filepath.Join(o.Folder, "password"))
	return err
}

// keptPassword reads a password that was made before, or makes one.
func keptPassword(path string) (string, error) {
	if data, err := files.Read(path, 1<<12); err == nil && len(data) > 0 {
		return strings.TrimSpace(string(data)), nil
	}
	password := rand.Text()
	return password, os.WriteFile(path, []byte(password+"\n"), 0o600)
}

// local reports whether the server listens on this machine alone.
func (o *queueStart) local() bool {
	host, _, err := net.SplitHostPort(o.Listen)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// host returns the name by which others reach the server, or "" where that is what it listens on.
func (o *queueStart) host() string {
	host, _, _ := net.SplitHostPort(o.Listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			return name
		}
	}
	return ""
}

func newQueueList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the runs in a queue",
		Long:    "List the runs in a queue, what of each is queued, made and done, and the stages that were set aside.",
		Example: "eligen queue list --queue nats://render1",
		Args:    cobra.NoArgs,
		RunE: withApp(func(c *cobra.Command, a *app.App, _ []string) error {
			runs, err := a.Waiting(c.Context())
			if err != nil {
				return noQueue(err)
			}
			aside, err := a.SetAside(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return page.JSON(c.OutOrStdout(), struct {
					Runs  []farm.Waiting `json:"runs"`
					Aside []farm.Aside   `json:"aside"`
				}{append([]farm.Waiting{}, runs...), append([]farm.Aside{}, aside...)})
			}
			return listRuns(c.OutOrStdout(), runs, aside)
		}),
	}
	queueFlags(c.Flags())
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// listRuns prints a line a run, and the stages that were set aside.
func listRuns(w io.Writer, runs []farm.Waiting, aside []farm.Aside) error {
	var rows [][]string
	for _, r := range runs {
		priority := ""
		if r.Priority != 0 {
			priority = fmt.Sprintf("priority %d", r.Priority)
		}
		rows = append(rows, []string{page.Name.Of(r.ID), r.Scene, "from " + r.From, fmt.Sprintf("%d queued", r.Queued),
			fmt.Sprintf("%d being made", r.Making), fmt.Sprintf("%d made", r.Done), page.Quiet.Of(used(r.Began)), priority})
	}
	cut := page.Column{Fit: page.Cut}
	_, err := io.WriteString(w, page.Table(rows, page.Columns(w), page.Column{}, cut, cut))
	if err != nil {
		return err
	}
	if _, err = fmt.Fprintln(w, counted(len(runs), "run")); err != nil || len(aside) == 0 {
		return err
	}
	rows = nil
	for _, a := range aside {
		rows = append(rows, []string{page.Name.Of(a.Run), a.Name, a.Problem.Detail})
	}
	if _, err = fmt.Fprintln(w, "\nSet aside:"); err == nil {
		_, err = io.WriteString(w, page.Table(rows, page.Columns(w), page.Column{}, page.Column{Fit: page.CutLeft}, page.Column{Fit: page.Wrap}))
	}
	return err
}

func newQueueCancel() *cobra.Command {
	c := &cobra.Command{
		Use:   "cancel RUN…",
		Short: "Take runs out of a queue",
		Long: `Take runs out of a queue, by their names in queue list. Workers stop what they make for them; finished work is kept. The
eligen apply of a run goes on, and puts it back: interrupt that instead, where you can.`,
		Example: "eligen queue cancel 3f9c2a61be07 --queue nats://render1",
		Args:    some,
		RunE: withApp(func(c *cobra.Command, a *app.App, args []string) error {
			return noQueue(a.CancelRuns(c.Context(), args))
		}),
	}
	queueFlags(c.Flags())
	return c
}

func newQueueDrain() *cobra.Command {
	c := &cobra.Command{
		Use:   "drain [WORKER…]",
		Short: "Have workers finish and end",
		Long: `Have workers finish what they make, and end: those that you name, by the names or the IDs in eligen workers, or all. Nothing
is lost; what is queued waits for other workers.`,
		Example: "eligen queue drain render3 --queue nats://render1",
		RunE: withApp(func(c *cobra.Command, a *app.App, args []string) error {
			drained, err := a.Drain(c.Context(), args)
			if err != nil {
				return noQueue(err)
			}
			for _, p := range drained {
				fmt.Fprintf(c.OutOrStdout(), "%s %s\n", p.Name, p.ID)
			}
			return nil
		}),
	}
	queueFlags(c.Flags())
	return c
}
