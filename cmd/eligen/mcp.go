package main

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/mcp"
)

// mcpOptions are the flags of `eligen mcp`.
type mcpOptions struct {
	folder   string
	backend  string
	engine   string
	readOnly bool
	listen   string
	token    string
}

func newMCP() *cobra.Command {
	var o mcpOptions
	c := &cobra.Command{
		Use:   "mcp",
		Short: "Let language models draw, over MCP",
		Long: `Answer a client of the Model Context Protocol, such as an assistant or an editor, on standard input and output: it can
check, plan, preview and render scenes, look at pictures, read the scene language, and import layouts.

The client reads and writes below --folder alone, never hidden files, and never replaces a file that eligen didn't
write or that has changed since it was read. With --read-only it writes nothing. docs/mcp.md says how to set up clients.

With --listen, clients connect over HTTP on this machine: the first line of standard output is the address, the second
the token that they must send.`,
		Example: `eligen mcp
eligen mcp --folder scenes --engine paint
eligen mcp --listen 127.0.0.1:8090`,
		Args: cobra.NoArgs,
		RunE: withApp(o.run),
	}
	f := c.Flags()
	f.StringVar(&o.folder, "folder", ".", "let clients read and write below `DIR`")
	f.BoolVar(&o.readOnly, "read-only", false, "write no file and render nothing: check, plan and preview")
	f.StringVar(&o.listen, "listen", "", "listen on `HOST:PORT` of this machine, over HTTP; port 0 is any that is free")
	f.StringVar(&o.token, "token", "", "let in whoever sends `TOKEN`; with --listen (default a random one)")
	f.StringVar(&o.engine, "engine", "model", "make pictures with `ENGINE`: model, or paint (each region in a flat colour)")
	choices(c, "engine", app.Engines...)
	backendFlag(f, &o.backend)
	choices(c, "backend", "go", "xla:cpu", "xla:cuda")
	queueFlags(f)
	return c
}

func (o *mcpOptions) run(c *cobra.Command, a *app.App, _ []string) error {
	if err := o.check(); err != nil {
		return err
	}
	s, err := mcp.New(mcp.Options{App: a, Folder: o.folder, Engine: o.engine, Backend: o.backend, ReadOnly: o.readOnly})
	if err != nil {
		return err
	}
	defer s.Close()
	if o.listen == "" {
		return o.stdio(c, s)
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	if o.token == "" {
		o.token = mcp.NewToken()
	}
	fmt.Fprintf(c.OutOrStdout(), "http://%s%s\n%s\n", l.Addr(), mcp.Path, o.token)
	if err := s.Serve(c.Context(), l, o.token); err != nil {
		return err
	}
	return exit{code: interruptedBy(c.Context())} // nothing is unfinished, and nothing to be said
}

// stdio answers the client that has started the program.
func (o *mcpOptions) stdio(c *cobra.Command, s *mcp.Server) error {
	if in, ok := c.InOrStdin().(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		fmt.Fprintln(c.ErrOrStderr(), "Waiting for a client's messages on standard input. Clients start this program themselves: docs/mcp.md\n"+
			"says how to set one up. ctrl+c ends it.")
	}
	switch err := s.Stdio(c.Context()); {
	case err != nil:
		return fmt.Errorf("the client sent what is no message of the Model Context Protocol: %w", err)
	case c.Context().Err() == nil: // the client has left
		return nil
	}
	return exit{code: interruptedBy(c.Context())}
}

// check refuses flags that can't be honoured.
func (o *mcpOptions) check() error {
	if o.engine != "model" && o.engine != "paint" {
		return app.Unknown("engine", o.engine, "engine", app.Engines)
	}
	if o.listen == "" {
		if o.token != "" {
			return usageError{errors.New("--token is for HTTP: set --listen, too")}
		}
		return nil
	}
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return usageError{fmt.Errorf("--listen %s is no address. Write HOST:PORT, such as 127.0.0.1:8090", o.listen)}
	}
	if ip := net.ParseIP(host); (ip == nil || !ip.IsLoopback()) && host != "localhost" {
		return usageError{fmt.Errorf("--listen %s is open to other machines, and the connection isn't encrypted. Listen on 127.0.0.1, and "+
			"reach it through an SSH tunnel", o.listen)}
	}
	if o.token != "" && len(o.token) < shortToken {
		return usageError{fmt.Errorf("--token has %d characters, and needs at least %d", len(o.token), shortToken)}
	}
	return nil
}
