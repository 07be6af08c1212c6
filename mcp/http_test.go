package mcp_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/mcp"
)

// bearer sends a token with each request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// Over HTTP a client does what one on standard input does, if it has the token; pages, and who points a
// name at this machine, get nothing.
func TestHTTP(t *testing.T) {
	a := app.New(app.Options{Folder: t.TempDir()})
	defer a.Close()
	s, err := mcp.New(mcp.Options{App: a, Folder: t.TempDir(), Engine: "paint"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	token, address := mcp.NewToken(), "http://"+l.Addr().String()+mcp.Path
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l, token) }()

	told := &progress{}
	c := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, &sdk.ClientOptions{ProgressNotificationHandler: told.add})
	session, err := c.Connect(ctx, &sdk.StreamableClientTransport{Endpoint: address, HTTPClient: &http.Client{Transport: bearer(token)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := session.CallTool(ctx, &sdk.CallToolParams{Name: "apply", Arguments: args{"text": rain}, Meta: sdk.Meta{"progressToken": "p"}})
	if err != nil || r.IsError || len((&client{t: t}).pictures(r)) != 1 {
		t.Errorf("%v: %s", err, words(r))
	}
	if len(told.all()) == 0 {
		t.Error("no progress was told")
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}

	for name, change := range map[string]func(*http.Request){
		"no token":       func(r *http.Request) { r.Header.Del("Authorization") },
		"another token":  func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+mcp.NewToken()) },
		"a page":         func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") },
		"its own page":   func(r *http.Request) { r.Header.Set("Origin", "http://"+r.Host) },
		"another host":   func(r *http.Request) { r.Host = "evil.example" },
		"another path":   func(r *http.Request) { r.URL.Path = "/" },
		"no JSON":        func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
		"a cookie alone": func(r *http.Request) { r.Header.Del("Authorization"); r.Header.Set("Cookie", "token="+token) },
	} {
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_scenes","arguments":{}}}`
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		change(r)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(name, err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode < 400 {
			t.Errorf("%s: %s", name, answer.Status)
		}
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
