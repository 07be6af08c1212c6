package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/farm"
	"github.com/eligen/eligen/internal/page"
	"github.com/eligen/eligen/internal/words"
)

// workerOptions are the flags of `eligen worker`.
type workerOptions struct {
	sceneOptions
	engine, backend, memory, name string
}

func newWorker() *cobra.Command {
	var o workerOptions
	c := &cobra.Command{
		Use:   "worker [SCENE…]",
		Short: "Render for other machines, from a queue",
		Long: `Render for other machines: take from a queue what their eligen apply --queue puts there, until ctrl+c or SIGTERM. The
first signal drains: the worker finishes what it makes, and takes no more. The second one interrupts that, and
another worker makes it.

A worker takes what its engine, its weights and its memory allow. nano's weights are always there. Name scenes for others: the
worker has the models and adapters that they use, and runs no others, whatever a message says.

Results go to the cache of --cache, or without one to the queue's own store: pass the same to apply. What a
worker was making when it died is made by another one.`,
		Example: `eligen worker --queue nats://render1
# a worker for FLUX.1, with the weights that the scene names
eligen worker --queue nats://render1 scenes/flux/dressed.hcl --backend xla:cuda`,
		ValidArgsFunction: complete("hcl"),
		RunE:              withApp(o.run),
	}
	o.flags(c)
	f := c.Flags()
	queueFlags(f)
	cacheFlag(f)
	f.StringVar(&o.engine, "engine", "model", "make pictures with `ENGINE`: model, or paint (each region in a flat colour)")
	backendFlag(f, &o.backend)
	f.StringVar(&o.memory, "memory", "", "take what needs at most `SIZE` of memory, such as 16GiB, or any (default the machine's)")
	f.StringVar(&o.name, "name", "", "call the worker `NAME` (default the machine's name)")
	choices(c, "engine", app.Engines...)
	choices(c, "backend", "go", "xla:cpu", "xla:cuda")
	return c
}

func (o *workerOptions) run(c *cobra.Command, a *app.App, args []string) error {
	memory, err := readMemory(o.memory)
	if err != nil {
		return err
	}
	r := app.WorkRequest{Engine: o.engine, Backend: o.backend, Memory: memory, Name: o.name}
	for _, path := range args {
		r.Scenes = append(r.Scenes, o.input(path))
	}
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(c.ErrOrStderr(), "%s %s\n", page.Quiet.Of(time.Now().Format("15:04:05")), fmt.Sprintf(format, args...))
	}
	r.Log = say
	r.Event = func(run, scene string, e farm.WorkEvent) {
		if e.Problem == "" {
			say("%s  %s of %s, %.1f s", cmp.Or(e.Task, "a task"), counted(e.Stages, "stage"), scene, e.Seconds)
		}
	}
	waitFor(c.Context()) // what is in hand is finished
	stop, done := secondSignal(c.Context(), func(n int) {
		say("%s", []string{"draining: what is in hand is finished; another signal interrupts it", "interrupting what is in hand"}[n])
	})
	defer done()
	r.Stop = stop
	err = a.Work(c.Context(), r, func(p farm.Presence) {
		say("takes from the queue: engine %s, models %s, %s", p.Engine, strings.Join(p.Families, ", "), memoryOf(p.Memory))
	})
	if err == nil {
		say("drained")
	}
	return noQueue(err)
}

// noQueue says what to do where no queue was named.
func noQueue(err error) error {
	if err == app.ErrNoQueue {
		return usageError{fmt.Errorf("%w: pass --queue URL, or set ELIGEN_QUEUE", err)}
	}
	return err
}

// memoryOf says how much memory a worker may take.
func memoryOf(n int64) string {
	if n == 0 {
		return "any memory"
	}
	return words.Bytes(n)
}

// secondSignal returns a channel that the second signal closes; the first one ends ctx. A third one ends the
// process. said is told at each.
func secondSignal(ctx context.Context, said func(n int)) (stop chan struct{}, done func()) {
	stop = make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	over := make(chan struct{})
	go func() {
		select {
		case <-ctx.Done():
			said(0)
		case <-over:
			return
		}
		for n := 0; ; n++ {
			select {
			case <-signals:
				if n == 1 { // the first one comes here too
					signal.Stop(signals)
					said(1)
					close(stop)
					return
				}
			case <-over:
				return
			}
		}
	}()
	return stop, func() { close(over); signal.Stop(signals) }
}

func newWorkers() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "workers",
		Short:   "List the workers of a queue",
		Long:    "List the workers that take from a queue: what each is making, what it can make, and what it has made since it began.",
		Example: "eligen workers --queue nats://render1",
		Args:    cobra.NoArgs,
		RunE: withApp(func(c *cobra.Command, a *app.App, _ []string) error {
			list, err := a.Workers(c.Context())
			if err != nil {
				return noQueue(err)
			}
			if asJSON {
				return page.JSON(c.OutOrStdout(), append([]farm.Presence{}, list...))
			}
			return listWorkers(c.OutOrStdout(), list)
		}),
	}
	queueFlags(c.Flags())
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// listWorkers prints a line or more a worker.
func listWorkers(w io.Writer, list []farm.Presence) error {
	var rows [][]string
	for _, p := range list {
		state := "waits"
		switch {
		case p.Draining:
			state = "drains"
		case p.Unfit != "":
			state = "takes nothing " + p.Unfit
		}
		var doing []string
		for _, d := range p.Doing {
			s := d.Stage
			if d.Of > 0 {
				s += fmt.Sprintf(" %d/%d", d.Step, d.Of)
			}
			doing = append(doing, s)
		}
		if len(doing) > 0 {
			state = strings.Join(doing, "\n")
		}
		made := fmt.Sprintf("%d made", p.Made)
		rows = append(rows, []string{page.Name.Of(p.Name), state, made, memoryOf(p.Memory), p.Engine, page.Quiet.Of(p.ID)})
	}
	wrap, c := page.Column{Fit: page.Wrap}, page.Column{}
	_, err := io.WriteString(w, page.Table(rows, page.Columns(w), c, wrap, page.Column{Right: true}, page.Column{Right: true}, wrap, c))
	if err == nil {
		_, err = fmt.Fprintln(w, counted(len(list), "worker"))
	}
	return err
}
