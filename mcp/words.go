package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dsl"
)

// wordTools adds what explains.
func (s *Server) wordTools() {
	tool(s, &sdk.Tool{Name: "language", Title: "The scene language", Annotations: reads,
		Description: "Explain a block (render, entity, render.inpaint), an argument (box) or a function (xywh) of the scene language. " +
			"Without a topic, list all blocks and functions, with an example."}, s.language)
	tool(s, &sdk.Tool{Name: "explain", Title: "Explain a diagnostic", Annotations: reads,
		Description: "Explain a diagnostic by its code (E0301) or by words of it: what it means, a scene that has it, and the same " +
			"scene mended."},
		s.explain)
	tool(s, &sdk.Tool{Name: "list_models", Title: "List models", Annotations: reads,
		Description: "List the models that scenes can name: nano, which is built in, and those on this machine. Nothing is downloaded."},
		s.models)
}

// A topicArg is what to explain.
type topicArg struct {
	Topic string `json:"topic,omitempty" jsonschema:"a block (entity, render.inpaint), an argument (box) or a function (xywh)"`
}

const example = `render "rain" {
  prompt = "a frog and a mushroom in a meadow"
  size   = [256, 256]
  seed   = 7
}

entity "frog" {
  prompt = "a frog"
  box    = xywh(0.38, 0.50, 0.36, 0.38)
}

entity "mushroom" {
  prompt = "a mushroom"
  box    = xywh(0.06, 0.54, 0.24, 0.34)
}
`

func (s *Server) language(_ context.Context, _ *sdk.CallToolRequest, in topicArg) (*sdk.CallToolResult, any, error) {
	r := dsl.Schema()
	blocks, functions := r.Topics()
	if in.Topic == "" {
		return text("```hcl\n" + example + "```\n\nBlocks: " + strings.Join(blocks, ", ") + ".\n\nFunctions: " + strings.Join(functions, ", ") +
			".\n\nAsk for one of them by topic.\n"), nil, nil
	}
	words, ok := r.About(in.Topic)
	if !ok {
		return nil, nil, app.Unknown("topic", in.Topic, "block, argument or function", append(blocks, functions...))
	}
	return text(words), nil, nil
}

// A codeArg is what to explain.
type codeArg struct {
	Code string `json:"code" jsonschema:"a diagnostic's code, such as E0301, or words of its summary"`
}

// An explanation is what is known of a kind of problem.
type explanation struct {
	Code    string `json:"code"`
	Summary string `json:"summary"`
	Text    string `json:"text"`
	Wrong   string `json:"wrong" jsonschema:"a scene that has the problem"`
	Right   string `json:"right" jsonschema:"the same scene, mended"`
}

type explanations struct {
	Found []explanation `json:"found"`
}

// mostExplained is how many problems one call explains.
const mostExplained = 5

func (s *Server) explain(_ context.Context, _ *sdk.CallToolRequest, in codeArg) (*sdk.CallToolResult, explanations, error) {
	out := explanations{Found: []explanation{}}
	entries, near := app.Explain(in.Code)
	if len(entries) == 0 {
		if near != "" {
			near = fmt.Sprintf(" Did you mean %s?", near)
		}
		return nil, out, fmt.Errorf("no problem is called %q.%s", in.Code, near)
	}
	var b strings.Builder
	for _, e := range entries[:min(len(entries), mostExplained)] {
		out.Found = append(out.Found, explanation{e.Code, e.Summary, e.Text, strings.TrimSpace(e.Wrong), strings.TrimSpace(e.Right)})
		fmt.Fprintf(&b, "%s %s\n\n%s\n", e.Code, e.Summary, e.Text)
		if e.Wrong != "" {
			fmt.Fprintf(&b, "\nWrong:\n\n%s\n\nRight:\n\n%s\n", strings.TrimSpace(e.Wrong), strings.TrimSpace(e.Right))
		}
		b.WriteString("\n")
	}
	return text(b.String()), out, nil
}

// A model is one that scenes can name.
type model struct {
	Name  string `json:"name"`
	HCL   string `json:"hcl" jsonschema:"the block that names it; empty for what scenes use by themselves"`
	Bytes int64  `json:"bytes"`
	About string `json:"about"`
	// What the model was trained on, where that is little.
	Objects     []string `json:"objects,omitempty" jsonschema:"kinds of object that it can draw; others come out wrong"`
	Backgrounds []string `json:"backgrounds,omitempty" jsonschema:"that it can draw, as prompts end: in a meadow"`
}

type models struct {
	Engine string  `json:"engine" jsonschema:"that makes pictures where a call names none"`
	Models []model `json:"models"`
}

func (s *Server) models(context.Context, *sdk.CallToolRequest, noArg) (*sdk.CallToolResult, models, error) {
	objects, backgrounds := app.NanoDraws()
	out := models{Engine: s.o.Engine, Models: []model{{Name: "nano", Objects: objects, Backgrounds: backgrounds,
		About: "Built in, and used by scenes that name no model: pictures of 256×256 pixels, of a few kinds of object. An entity's prompt " +
			"names one (\"a frog\"), the render's prompt names all, and ends with a background (\"a frog and a mushroom in a meadow\")."}}}
	cached, err := s.app.CachedRepos()
	if err != nil {
		return nil, out, err
	}
	for _, c := range cached {
		names := []string{}
		for _, r := range c.Revisions {
			for _, f := range r.Files {
				if !slices.Contains(names, f) && (strings.HasSuffix(f, ".safetensors") || strings.HasSuffix(f, ".gguf")) {
					names = append(names, f)
				}
			}
		}
		source := c.Repo.String()
		out.Models = append(out.Models, model{Name: source, HCL: fmt.Sprintf("source = %q", source), Bytes: c.Bytes,
			About: "In the hub's cache: " + strings.Join(names[:min(len(names), 12)], ", ")})
	}
	data, err := json.MarshalIndent(out, "", "  ")
	return text(string(data)), out, err
}
