// Package mcp is a front end for language models: what package app can do as tools and resources of the
// Model Context Protocol.
//
// What a client sends may come from strangers. So it reads and writes below one folder, and a client learns
// nothing of what lies elsewhere.
package mcp

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
)

// Options say what clients may do.
type Options struct {
	App      *app.App
	Folder   string // that they read and write below
	Engine   string // that makes pictures where a client names none; "" is "model"
	Backend  string // that models run on
	ReadOnly bool   // nothing is written and no picture made; layouts are drawn
}

// A Server answers clients. Several may be connected; they share its runs.
type Server struct {
	app    *app.App
	folder *folder
	o      Options
	server *sdk.Server
	runs   runs
}

// maxFile is how many bytes a scene has at most that a client reads or writes.
const maxFile = 1 << 20

const instructions = `eligen renders pictures from scene files in HCL: a render with a prompt and a size, and entities, each with a prompt
and a region (a box in fractions of the canvas, from the upper left corner: xywh(x, y, w, h)).

Write a scene, "validate" it, look at its layout with "preview" (quick, no model), then "apply" it. "language" explains
blocks, arguments and functions, "explain" a diagnostic's code; "list_models" says what the built-in model can draw.
Paths are from the folder that the server works in. Rendering may take minutes: apply reports progress, and with
"background" it returns at once; then ask "run_status", and "cancel" stops it. What is finished is kept: a later apply
makes only what has changed.`

// New returns a server of a folder. The caller closes it.
func New(o Options) (*Server, error) {
	f, err := openFolder(o.Folder)
	if err != nil {
		return nil, err
	}
	if o.Engine == "" {
		o.Engine = "model"
	}
	s := &Server{app: o.App, folder: f, o: o, server: sdk.NewServer(
		&sdk.Implementation{Name: "eligen", Title: "eligen", Version: eligen.Version},
		&sdk.ServerOptions{Instructions: instructions, Capabilities: &sdk.ServerCapabilities{}, Logger: slog.New(slog.DiscardHandler)},
	)}
	s.runs.init()
	s.sceneTools()
	s.fileTools()
	s.wordTools()
	if !o.ReadOnly {
		s.runTools()
	}
	s.resources()
	return s, nil
}

// Run answers one client on a transport until it leaves or ctx ends.
func (s *Server) Run(ctx context.Context, t sdk.Transport) error {
	err := s.server.Run(ctx, t)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// Stdio answers the client that started this program, on standard input and output.
func (s *Server) Stdio(ctx context.Context) error { return s.Run(ctx, &sdk.StdioTransport{}) }

// Close stops the runs that go on, and returns when they have ended.
func (s *Server) Close() error {
	s.runs.close()
	return s.folder.root.Close()
}

// tool adds a tool whose errors say nothing of the machine's folders.
func tool[In, Out any](s *Server, t *sdk.Tool, call func(context.Context, *sdk.CallToolRequest, In) (*sdk.CallToolResult, Out, error)) {
	sdk.AddTool(s.server, t, func(ctx context.Context, r *sdk.CallToolRequest, in In) (*sdk.CallToolResult, Out, error) {
		res, out, err := call(ctx, r, in)
		if err != nil {
			err = errors.New(s.folder.words().Replace(err.Error()))
		}
		return res, out, err
	})
}

// Kinds of tools, for clients that ask before they call one.
var (
	no     = new(bool)
	reads  = &sdk.ToolAnnotations{ReadOnlyHint: true, IdempotentHint: true, OpenWorldHint: no}
	makes  = &sdk.ToolAnnotations{DestructiveHint: no, IdempotentHint: true, OpenWorldHint: no}
	writes = &sdk.ToolAnnotations{IdempotentHint: true, OpenWorldHint: no}
)

// text returns a result of text, and what else it has.
func text(words string, more ...sdk.Content) *sdk.CallToolResult {
	return &sdk.CallToolResult{Content: append([]sdk.Content{&sdk.TextContent{Text: words}}, more...)}
}

// runs are those of this server, the latest last.
type runs struct {
	mu      sync.Mutex
	list    []*run
	started int
	turn    chan struct{} // holds one: runs go one after the other
	ctx     context.Context
	end     context.CancelFunc
	working sync.WaitGroup
}
