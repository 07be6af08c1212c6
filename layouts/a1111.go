package layouts

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A1111's parameters: prompt, negative prompt, and settings in one line.

var setting = regexp.MustCompile(`\s*([A-Za-z0-9][A-Za-z0-9 _/().-]*):\s*("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)`)

func parametersOf(c *content) string {
	if p, ok := c.chunks["parameters"]; ok {
		return p
	}
	if s := string(c.Data); c.ext == ".txt" && strings.Contains(s, "Steps: ") && strings.Contains(s, "Seed: ") {
		return s
	}
	return ""
}

func isParameters(c *content) string {
	if s := parametersOf(c); strings.Contains(s, "Steps: ") {
		return "it has A1111's parameters: a prompt, and settings from “Steps:” on"
	}
	return ""
}

func readParameters(r *reader) error {
	all := strings.TrimSpace(parametersOf(r.content))
	at := strings.LastIndex(all, "\nSteps: ")
	if at < 0 {
		at = 0
	}
	words, last := all[:at], all[at:]
	s := Scene{Name: r.stem()}
	prompt, negative, _ := strings.Cut(words, "Negative prompt:")
	s.Negative = strings.TrimSpace(negative)
	set := map[string]string{}
	for _, m := range setting.FindAllStringSubmatch(last, -1) {
		v := strings.TrimSpace(m[2])
		if u, err := strconv.Unquote(v); err == nil {
			v = u
		}
		set[strings.TrimSpace(m[1])] = v
	}
	get := func(name string) value {
		if v, ok := set[name]; ok {
			return value{kind: 's', str: v}
		}
		return value{}
	}
	s.Seed, s.Steps, s.CFG = get("Seed").seed(), get("Steps").intPtr(), get("CFG scale").floatPtr()
	s.Guidance = get("Distilled CFG Scale").floatPtr()
	if w, h, ok := strings.Cut(set["Size"], "x"); ok {
		c, err := sizeOf(value{kind: 's', str: w}, value{kind: 's', str: h})
		if err != nil {
			return err
		}
		s.Canvas = c
	}
	prompt = r.loras(strings.TrimSpace(prompt), &s)
	if err := r.regionalPrompter(prompt, set, &s); err != nil {
		return err
	}
	var rest []string
	for k := range set {
		if !slices.Contains([]string{"Seed", "Steps", "CFG scale", "Size", "Distilled CFG Scale", "RP Active", "RP Divide mode", "RP Ratios",
			"RP Use Base", "RP Use Common", "RP Matrix submode"}, k) {
			rest = append(rest, k)
		}
	}
	slices.Sort(rest)
	if len(rest) > 0 {
		r.say("not taken: %s", some(rest))
	}
	r.weights(&s)
	r.Scenes = append(r.Scenes, s)
	return nil
}

var loraTag = regexp.MustCompile(`<lora:([^:<>]+):([-+.0-9]+)[^<>]*>`)

func (r *reader) loras(prompt string, s *Scene) string {
	for _, m := range loraTag.FindAllStringSubmatch(prompt, -1) {
		s.Adapters = append(s.Adapters, Adapter{Kind: "lora", Name: m[1], Source: m[1] + ".safetensors",
			Scale: value{kind: 's', str: m[2]}.floatPtr()})
		r.say("the LoRA %s is not in the file: the scene has it as a comment; put it next to the scene", m[1])
	}
	return strings.TrimSpace(loraTag.ReplaceAllString(prompt, ""))
}

// regionalPrompter reads the layout of the extension of that name, where it was active.
func (r *reader) regionalPrompter(prompt string, set map[string]string, s *Scene) error {
	s.Prompt = text(prompt)
	ratios := set["RP Ratios"]
	if !strings.EqualFold(set["RP Active"], "true") || ratios == "" {
		r.say("no regions in the file: a scene without entities")
		return nil
	}
	for _, word := range []string{"ADDCOL", "ADDROW"} {
		prompt = strings.ReplaceAll(prompt, word, "BREAK")
	}
	for _, word := range []string{"ADDBASE", "ADDCOMM"} {
		prompt = strings.ReplaceAll(prompt, word, "BREAK")
	}
	parts := strings.Split(prompt, "BREAK")
	var lead []string
	for _, use := range []string{"RP Use Base", "RP Use Common"} {
		if strings.EqualFold(set[use], "true") && len(parts) > 1 {
			lead, parts = append(lead, strings.TrimSpace(parts[0])), parts[1:]
		}
	}
	var grid [][]float64
	for _, row := range strings.Split(ratios, ";") {
		n, ok := floats(strings.Split(row, ","))
		if !ok {
			return fmt.Errorf("RP Ratios: %q is no list of shares", row)
		}
		grid = append(grid, n)
	}
	columns := !strings.HasPrefix(strings.ToLower(set["RP Matrix submode"]+set["RP Divide mode"]), "vertical")
	if len(grid) == 1 && !columns { // rows
		for i, n := range grid[0] {
			if i == 0 {
				grid = nil
			}
			grid = append(grid, []float64{n})
		}
	}
	cells := cellsOf(grid, len(grid) > 1 && len(grid[0]) > 1)
	if len(cells) != len(parts) {
		return fmt.Errorf("%d cells of RP Ratios and %d parts of the prompt", len(cells), len(parts))
	}
	s.Prompt = text(strings.Join(lead, ", "))
	if len(lead) == 0 {
		s.Prompt = nil
	}
	r.Convention.Order, r.Convention.Unit = "cells of RP Ratios", "fraction"
	for i, c := range cells {
		s.Entities = append(s.Entities, Entity{Prompt: text(strings.TrimSpace(parts[i])), shape: shape{kind: "box", box: c}})
	}
	return nil
}
