package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// documented returns the arguments that docs/mcp.md has people paste, for a folder.
func documented(t *testing.T, folder string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/mcp.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, block := range strings.Split(string(page), "```json\n")[1:] {
		text, _, _ := strings.Cut(block, "```")
		var config map[string]map[string]struct {
			Command string
			Args    []string
		}
		if err := json.Unmarshal([]byte(text), &config); err != nil {
			t.Fatal(err)
		}
		for _, servers := range config {
			one := servers["eligen"]
			if one.Command != "eligen" || out != nil && !slices.Equal(out, one.Args) {
				t.Fatalf("docs/mcp.md starts %s %q", one.Command, one.Args)
			}
			out = one.Args
		}
	}
	i := slices.Index(out, "/home/you/scenes")
	if i < 0 {
		t.Fatalf("docs/mcp.md names no folder: %q", out)
	}
	out[i] = folder
	return out
}

// The official SDK's client starts the program, as assistants do, and has nano draw: step by step it is told
// how far that is; it stops a second picture on the way, and resumes it.
func TestMCPDraws(t *testing.T) {
	folder := t.TempDir()
	scene := func(seed string) string {
		return "render \"frog\" {\n  prompt = \"a frog\"\n  size   = [64, 64]\n  seed   = " + seed +
			"\n\n  sampler {\n    steps = 8\n  }\n}\n\nentity \"frog\" {\n  prompt = \"a frog\"\n  box    = xywh(0.25, 0.25, 0.5, 0.5)\n}\n"
	}
	for name, text := range map[string]string{"one.hcl": scene("1"), "two.hcl": scene("2")} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command("eligen", append(documented(t, folder), "--backend", "go")...)
	command.Env = append(os.Environ(), "ELIGEN_CACHE_DIR="+t.TempDir())
	var mu sync.Mutex
	var steps []string
	var onStep func()
	c := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, &sdk.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) {
			mu.Lock()
			defer mu.Unlock()
			if strings.Contains(r.Params.Message, "step") {
				steps = append(steps, r.Params.Message)
				if onStep != nil {
					onStep()
				}
			}
		},
	})
	session, err := c.Connect(t.Context(), &sdk.CommandTransport{Command: command}, nil)
	if err != nil {
		t.Fatal(err)
	}
	apply := func(ctx context.Context, name string) (*sdk.CallToolResult, error) {
		call := &sdk.CallToolParams{Name: "apply", Arguments: map[string]any{"scene": name}, Meta: sdk.Meta{"progressToken": name}}
		return session.CallTool(ctx, call)
	}
	r, err := apply(t.Context(), "one.hcl")
	if err != nil || r.IsError {
		t.Fatalf("%+v, %v", r, err)
	}
	if !slices.ContainsFunc(r.Content, func(c sdk.Content) bool { _, ok := c.(*sdk.ImageContent); return ok }) {
		t.Errorf("no picture: %+v", r.Content)
	}
	if _, err := os.Stat(filepath.Join(folder, "out", "frog.png")); err != nil {
		t.Error(err)
	}
	mu.Lock()
	if len(steps) < 2 || !strings.Contains(steps[0], "render.frog.denoise: step ") || !strings.HasSuffix(steps[0], " of 8") {
		t.Errorf("told of the steps %q", steps)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	onStep = cancel
	mu.Unlock()
	if _, err := apply(ctx, "two.hcl"); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that was cancelled: %v", err)
	}
	state := struct {
		State        string
		Done, Stages int
	}{}
	read := func(r *sdk.CallToolResult, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(r.StructuredContent)
		if err := errors.Join(err, json.Unmarshal(data, &state)); err != nil {
			t.Fatal(err)
		}
	}
	read(session.CallTool(t.Context(), &sdk.CallToolParams{Name: "run_status", Arguments: map[string]any{"wait": 60}}))
	if state.State != "cancelled" || state.Done >= state.Stages {
		t.Errorf("%+v", state)
	}
	read(apply(t.Context(), "two.hcl"))
	if state.State != "done" {
		t.Errorf("%+v", state)
	}
	if err := session.Close(); err != nil {
		t.Errorf("the program has ended with %v", err)
	}
}
