package mcp

import (
	"context"
	"encoding/json"
	"net/url"
	"path"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/layouts"
	"github.com/eligen/eligen/scenes"
)

// Beginnings of the addresses of files.
const (
	sceneURI   = "eligen://scene/"
	pictureURI = "eligen://picture/"
	exampleURI = "eligen://example/"
)

// pages are what can be read about the language.
var pages = []struct {
	uri, title, kind string
	text             func() (string, error)
}{
	{"eligen://language", "The scene language: blocks, arguments, functions, limits", "text/markdown", func() (string, error) {
		return dsl.Schema().Markdown(), nil
	}},
	{"eligen://schema", "The scene language, for programs", "application/json", func() (string, error) {
		data, err := json.MarshalIndent(dsl.Schema(), "", "  ")
		return string(data), err
	}},
	{"eligen://errors", "What diagnostics mean, by their code", "text/markdown", func() (string, error) {
		var b strings.Builder
		for _, e := range app.Explanations() {
			b.WriteString("## " + e.Code + " " + e.Summary + "\n\n" + e.Text + "\n\n")
		}
		return b.String(), nil
	}},
}

// resources adds what clients can read by address: the language, scenes, pictures and examples.
func (s *Server) resources() {
	for _, p := range pages {
		s.server.AddResource(&sdk.Resource{URI: p.uri, Name: path.Base(p.uri), Title: p.title, MIMEType: p.kind},
			func(_ context.Context, r *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
				words, err := p.text()
				return contents(r.Params.URI, words, p.kind), err
			})
	}
	entries, _ := scenes.Files.ReadDir(".") // it is embedded
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".hcl"); ok {
			s.server.AddResource(&sdk.Resource{URI: exampleURI + e.Name(), Name: "example " + name, MIMEType: "text/x-hcl"}, s.example)
		}
	}
	s.server.AddResourceTemplate(&sdk.ResourceTemplate{URITemplate: sceneURI + "{+path}", Name: "scene", MIMEType: "text/x-hcl",
		Description: "A scene file of the folder"}, s.sceneResource)
	s.server.AddResourceTemplate(&sdk.ResourceTemplate{URITemplate: pictureURI + "{+path}", Name: "picture",
		Description: "A picture of the folder, scaled to at most 1024 pixels"}, s.pictureResource)
	s.listed()
}

// listed adds the folder's scenes to the resources that clients can list.
func (s *Server) listed() {
	for _, name := range s.folder.scenes() {
		s.server.AddResource(&sdk.Resource{URI: sceneURI + escaped(name), Name: name, MIMEType: "text/x-hcl"}, s.sceneResource)
	}
}

// escaped returns a path as it stands in an address.
func escaped(name string) string { return (&url.URL{Path: name}).EscapedPath() }

func contents(uri, words, kind string) *sdk.ReadResourceResult {
	return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: uri, MIMEType: kind, Text: words}}}
}

// named returns the path in an address. One that is no path of the folder leads to nothing.
func named(uri, begins string) (string, error) {
	rest, ok := strings.CutPrefix(uri, begins)
	name, err := url.PathUnescape(rest)
	if !ok || err != nil {
		return "", sdk.ResourceNotFoundError(uri)
	}
	return name, nil
}

func (s *Server) example(_ context.Context, r *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
	name, err := named(r.Params.URI, exampleURI)
	if err != nil {
		return nil, err
	}
	data, err := scenes.Files.ReadFile(name)
	if err != nil {
		return nil, sdk.ResourceNotFoundError(r.Params.URI)
	}
	return contents(r.Params.URI, string(data), "text/x-hcl"), nil
}

func (s *Server) sceneResource(_ context.Context, r *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
	name, err := named(r.Params.URI, sceneURI)
	if err != nil {
		return nil, err
	}
	if isScene(name) != nil {
		return nil, sdk.ResourceNotFoundError(r.Params.URI)
	}
	data, err := s.folder.read(name, maxFile)
	if err != nil {
		return nil, sdk.ResourceNotFoundError(r.Params.URI)
	}
	return contents(r.Params.URI, string(data), "text/x-hcl"), nil
}

func (s *Server) pictureResource(_ context.Context, r *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
	name, err := named(r.Params.URI, pictureURI)
	if err != nil {
		return nil, err
	}
	data, err := s.folder.read(name, layouts.MaxBytes)
	if err != nil {
		return nil, sdk.ResourceNotFoundError(r.Params.URI)
	}
	img, err := picture(data)
	if err != nil {
		return nil, sdk.ResourceNotFoundError(r.Params.URI)
	}
	return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{{URI: r.Params.URI, MIMEType: img.MIMEType, Blob: img.Data}}}, nil
}
