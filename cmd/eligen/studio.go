package main

import (
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/studio"
)

// studioOptions are the flags of `eligen studio`.
type studioOptions struct {
	sceneOptions
	backend   string
	engine    string
	listen    string
	token     string
	noBrowser bool
}

func newStudio() *cobra.Command {
	var o studioOptions
	c := &cobra.Command{
		Use:   "studio SCENE",
		Short: "Draw a scene's layout in the browser",
		Long: `Draw a scene's layout in the browser: drag regions over the latest picture, and see the scene's file change with
them; run it, and watch the picture come. The file stays the only truth: comments and all that you don't touch stay
as they are, values that are worked out aren't overwritten, and what an editor saves shows up in the page.

The first line of standard output is the page's address, with a token that lets in whoever opens it. eligen listens on
this machine alone. To listen on another address, give a --token of at least 16 characters: whoever knows it can
change the scene's file, render with your machine, and see the scene's pictures. The connection isn't encrypted.`,
		Example: `eligen studio scenes/harbor.hcl
eligen studio scenes/rain.hcl --engine paint --listen 127.0.0.1:8080 --no-browser`,
		Args:              exactly(1),
		ValidArgsFunction: complete("hcl"),
		RunE:              withApp(o.run),
	}
	o.flags(c)
	f := c.Flags()
	queueFlags(f)
	f.StringVar(&o.listen, "listen", "127.0.0.1:0", "listen on `HOST:PORT`; port 0 is any that is free")
	f.StringVar(&o.token, "token", "", "let in whoever has `TOKEN` (default a random one)")
	f.BoolVar(&o.noBrowser, "no-browser", false, "print the address, and open no browser")
	f.StringVar(&o.engine, "engine", "model", "make pictures with `ENGINE`: model, or paint (each region in a flat colour)")
	choices(c, "engine", app.Engines...)
	backendFlag(f, &o.backend)
	choices(c, "backend", "go", "xla:cpu", "xla:cuda")
	return c
}

// shortToken is the fewest characters of a token that lets in from other machines.
const shortToken = 16

func (o *studioOptions) run(c *cobra.Command, a *app.App, args []string) error {
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return usageError{fmt.Errorf("--listen %s is no address. Write HOST:PORT, such as 127.0.0.1:8080", o.listen)}
	}
	if ip := net.ParseIP(host); (ip == nil || !ip.IsLoopback()) && host != "localhost" && len(o.token) < shortToken {
		return usageError{fmt.Errorf("--listen %s is open to other machines. Add --token with at least %d characters", o.listen, shortToken)}
	}
	s, err := studio.New(studio.Options{
		App: a, Token: o.token, Request: app.PlanRequest{Input: o.input(args[0]), Engine: o.engine, Backend: o.backend},
	})
	if err != nil {
		return err
	}
	defer s.Close()
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.OutOrStdout(), s.URL(l.Addr()))
	if !o.noBrowser {
		if err := open(c.Context(), []string{s.URL(l.Addr())}); err != nil {
			fmt.Fprintf(c.ErrOrStderr(), "No browser could be opened (%v). Open the address above.\n", err)
		}
	}
	if err := s.Serve(c.Context(), l); err != nil {
		return err
	}
	return exit{code: interruptedBy(c.Context())} // nothing is unfinished, and nothing to be said
}
