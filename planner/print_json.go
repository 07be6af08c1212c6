package planner

import (
	"encoding/json"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/page"
)

type (
	jsonPlan struct {
		Scene   string       `json:"scene"`
		Engine  string       `json:"engine"`
		Renders []jsonRender `json:"renders"`
		Stages  []jsonStage  `json:"stages"`
		Outputs []jsonOutput `json:"outputs"`
		Scenes  []jsonScene  `json:"scenes,omitempty"`  // of a plan of several
		Changes []string     `json:"changes,omitempty"` // since the last run
	}
	jsonRender struct {
		Address    string  `json:"address"`
		Sequence   int     `json:"sequence"` // tokens that attention is over
		Image      int     `json:"image_tokens"`
		Prompt     int     `json:"prompt_tokens"`
		Entities   int     `json:"entity_tokens"`         // of their prompts
		Regions    []int   `json:"regions"`               // image tokens of each entity
		Attention  float64 `json:"attention_flop"`        // of a step
		Total      float64 `json:"flop"`                  // of a step
		PeakMemory int64   `json:"peak_memory,omitempty"` // bytes
	}
	jsonStage struct {
		Address    string          `json:"address"`
		Kind       string          `json:"kind"`
		Digest     eligen.Digest   `json:"digest"`
		Inputs     []string        `json:"inputs"`
		Cached     bool            `json:"cached"`
		Seconds    *float64        `json:"seconds,omitempty"` // going by earlier runs
		Source     string          `json:"source,omitempty"`  // file:line
		Definition json.RawMessage `json:"definition"`        // the Op: all that its digest is of, but inputs and engine
		Recipe     json.RawMessage `json:"recipe"`            // what definition was called; gone in 0.3
	}
	jsonScene struct {
		Name  string `json:"name"` // what its addresses begin with, before a colon
		Scene string `json:"scene"`
	}
	jsonOutput struct {
		Render string `json:"render"`
		Path   string `json:"path"`
		Stage  string `json:"stage"`
	}
)

// JSON writes a plan for programs: what Print shows and each stage's whole definition.
func JSON(p *eligen.Plan, known Known) ([]byte, error) {
	plan := jsonPlan{p.Scene, p.Engine, []jsonRender{}, []jsonStage{}, []jsonOutput{}, nil, known.Changes}
	for _, s := range p.Scenes {
		plan.Scenes = append(plan.Scenes, jsonScene{s.Name, s.Path})
	}
	for _, r := range p.Renders {
		plan.Renders = append(plan.Renders, jsonRender{r.Address, r.Sequence(), r.Image, r.Prompt, r.Entities, append([]int{}, r.Regions...),
			r.Attention, r.Total, r.Memory})
	}
	for _, s := range p.Stages {
		inputs := []string{}
		for _, in := range s.Inputs {
			inputs = append(inputs, p.Stages[in].Name)
		}
		definition, err := json.Marshal(s.Op)
		if err != nil {
			return nil, err
		}
		next := jsonStage{s.Name, s.Op.Kind(), s.Digest, inputs, known.cached(s.Digest), nil, s.Source.String(), definition, definition}
		if t, ok := known.seconds(s); ok {
			next.Seconds = &t
		}
		plan.Stages = append(plan.Stages, next)
	}
	for _, o := range p.Outputs {
		plan.Outputs = append(plan.Outputs, jsonOutput{o.Render, o.Path, p.Stages[o.Stage].Name})
	}
	data, err := json.MarshalIndent(plan, "", "  ")
	return page.LowerKeys(data), err
}
