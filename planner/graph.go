package planner

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/eligen/eligen"
)

// GraphFormats are what Graph can write.
var GraphFormats = []string{"dot", "mermaid", "json"}

// A graph is a plan's stages and files, and what each is made from.
type graph struct {
	Nodes []graphNode `json:"nodes"`
	Edges []graphEdge `json:"edges"`
}

type graphNode struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Kind   string `json:"kind"` // of the stage, or "file"
	What   string `json:"what,omitempty"`
	Cached bool   `json:"cached"`
}

type graphEdge struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Graph writes a plan as a graph, for Graphviz ("dot"), for Mermaid ("mermaid"), or as
// {"nodes": …, "edges": …} ("json"): stages, files, and what each is made from. Stages
// whose result is in the store are drawn dashed.
func Graph(p *eligen.Plan, format string, cached func(eligen.Digest) bool) (string, error) {
	g := graph{[]graphNode{}, []graphEdge{}}
	id := func(r eligen.Ref) string { return fmt.Sprintf("s%d", r) }
	for i, s := range p.Stages {
		g.Nodes = append(g.Nodes, graphNode{id(eligen.Ref(i)), s.Name, s.Op.Kind(), short(what(s.Op), 44), cached(s.Digest)})
		for _, in := range s.Inputs {
			g.Edges = append(g.Edges, graphEdge{id(in), id(eligen.Ref(i))})
		}
	}
	for i, o := range p.Outputs {
		file := fmt.Sprintf("f%d", i)
		g.Nodes = append(g.Nodes, graphNode{file, o.Path, "file", "", false})
		g.Edges = append(g.Edges, graphEdge{id(o.Stage), file})
	}
	switch format {
	case "json":
		data, err := json.MarshalIndent(g, "", "  ")
		return string(data) + "\n", err
	case "dot":
		return g.dot(), nil
	case "mermaid":
		return g.mermaid(), nil
	}
	return "", fmt.Errorf("unknown format of graphs %q; use %s", format, strings.Join(GraphFormats, ", "))
}

func (g graph) dot() string {
	var b strings.Builder
	b.WriteString("digraph plan {\n  rankdir = LR\n  node [shape = box, fontname = \"sans-serif\", fontsize = 10]\n")
	for _, n := range g.Nodes {
		label, style := n.Name, ""
		if n.What != "" {
			label += "\n" + n.What
		}
		switch {
		case n.Kind == "file":
			style = ", shape = note"
		case n.Cached:
			style = ", style = dashed"
		}
		fmt.Fprintf(&b, "  %s [label = %s%s]\n", n.ID, dotText(label), style)
	}
	for _, e := range g.Edges {
		fmt.Fprintf(&b, "  %s -> %s\n", e.From, e.To)
	}
	return b.String() + "}\n"
}

func (g graph) mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for _, n := range g.Nodes {
		label, left, right, class := mermaidText(n.Name), "[", "]", ""
		if n.What != "" {
			label += "<br>" + mermaidText(n.What)
		}
		if n.Kind == "file" {
			left, right = "([", "])"
		}
		if n.Cached {
			class = ":::cached"
		}
		fmt.Fprintf(&b, "  %s%s\"%s\"%s%s\n", n.ID, left, label, right, class)
	}
	for _, e := range g.Edges {
		fmt.Fprintf(&b, "  %s --> %s\n", e.From, e.To)
	}
	return b.String() + "  classDef cached stroke-dasharray: 4 4\n"
}

// dotText quotes a string for Graphviz's language.
func dotText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// mermaidText has the characters that mean something to Mermaid as entities.
func mermaidText(s string) string {
	return strings.NewReplacer("#", "#35;", "&", "#amp;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "\n", " ").Replace(s)
}
