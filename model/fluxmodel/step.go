package fluxmodel

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/eligen/eligen/model/exec"
	"github.com/eligen/eligen/model/flux"
	"github.com/eligen/eligen/model/nn"
)

// stepGraphs are the graphs of one step of a branch. Branches of equal shapes have
// equal graphs.
type stepGraphs struct {
	config        flux.Config
	rows, columns int // of image tokens
	dtype         dtypes.DType
	groups        []groupShape
	pictures      bool // there are image prompts
}

type groupShape struct {
	length int // of its entities' text
	strong bool

	layered bool
	covered bool
}

// String names the shape in the names of graphs.
func (g groupShape) String() string {
	name := fmt.Sprintf("%d %t", g.length, g.strong)
	if g.layered {
		name += " layered"
	}
	if g.covered {
		name += " covered"
	}
	return "{" + name + "}"
}

func (p stepGraphs) name(kind string) string {
	name := fmt.Sprintf("%s %s %d×%d %v", kind, exec.ConfigName(p.config), p.rows, p.columns, p.groups)
	if p.pictures {
		name += " pictures"
	}
	return name
}

// blocks reads a block's last inputs: keys and values of the image prompts, if
// there are any, and the marks of the groups: tokens [1,N,K], and, where strong,
// logarithms of strengths [1,N], and, where layered, shares and what is seen [1,N,K], and, where covered
// in part, how much [1,N,K].
func (p stepGraphs) blocks(marks []*graph.Node) flux.Blocks {
	b := flux.Blocks{Config: p.config, Rows: p.rows, Columns: p.columns}
	if p.pictures {
		b.Picture = &flux.KeyValue{K: marks[0], V: marks[1]}
		marks = marks[2:]
	}
	for _, g := range p.groups {
		e := flux.Entities{TextLength: g.length, Tokens: marks[0]}
		marks = marks[1:]
		if g.strong {
			e.LogStrength, marks = marks[0], marks[1:]
		}
		if g.layered {
			e.Share, e.Seen, marks = marks[0], marks[1], marks[2:]
		}
		if g.covered {
			e.Cover, marks = marks[0], marks[1:]
		}
		b.Entities = append(b.Entities, e)
	}
	return b
}

// begin maps latents [1,C,h,w], texts → img, txt.
func (p stepGraphs) begin() exec.Graph {
	return exec.Graph{Name: p.name("begin"), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		img, txt := flux.Blocks{Config: p.config}.Begin(w, in[0], in[1], in[2:])
		return []*graph.Node{img, txt}
	}}
}

// double maps img, txt, modulation [1,12·Dim], kept → img, txt.
func (p stepGraphs) double(i int) exec.Graph {
	return exec.Graph{Name: p.name("double"), Scope: fmt.Sprintf("double_blocks.%d.", i),
		Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
			img, txt := p.blocks(in[3:]).Double(w, in[0], in[1], in[2])
			return []*graph.Node{img, txt}
		}}
}

// single maps img, txt, modulation [1,3·Dim], kept → img, txt.
func (p stepGraphs) single(i int) exec.Graph {
	return exec.Graph{Name: p.name("single"), Scope: fmt.Sprintf("single_blocks.%d.", i),
		Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
			img, txt := p.blocks(in[3:]).Single(w, in[0], in[1], in[2])
			return []*graph.Node{img, txt}
		}}
}

// end maps img, modulation [1,2·Dim] → velocity [1,C,h,w] float32. Both branches have the same one.
func (p stepGraphs) end() exec.Graph {
	p.groups, p.pictures = nil, false
	return exec.Graph{Name: p.name("end"), Build: func(w nn.Weights, in []*graph.Node) []*graph.Node {
		b := flux.Blocks{Config: p.config, Rows: p.rows, Columns: p.columns}
		return []*graph.Node{graph.ConvertDType(b.End(w, in[0], in[1]), dtypes.Float32)}
	}}
}
