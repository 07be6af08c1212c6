package lora

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// About is what a LoRA's file says of itself for people and programs, besides numbers.
type About struct {
	Title        string   `json:"title,omitempty"`
	Architecture string   `json:"architecture,omitempty"` // of the model that it is for, by the Model Metadata Standard: "flux-1-dev"
	Triggers     []string `json:"triggers,omitempty"`     // words that call what it was trained on
	Tags         []string `json:"tags,omitempty"`         // most frequent in the captions that it was trained on, by kohya's count
	Resolution   string   `json:"resolution,omitempty"`   // of its training: "1024x1024"
	Author       string   `json:"author,omitempty"`
	License      string   `json:"license,omitempty"`
	Description  string   `json:"description,omitempty"`
}

// FluxDev is the architecture of LoRAs for FLUX.1 [dev].
const FluxDev = "flux-1-dev"

// ReadAbout reads what trainers write into a safetensors header: the Model Metadata
// Standard's fields, kohya's, and ai-toolkit's.
func ReadAbout(metadata map[string]string) About {
	first := func(keys ...string) string {
		for _, k := range keys {
			if s := oneLine(metadata[k]); s != "" && s != "None" {
				return s
			}
		}
		return ""
	}
	a := About{
		Title:        first("modelspec.title", "ss_output_name", "name"),
		Architecture: strings.Replace(strings.ToLower(strings.TrimSuffix(first("modelspec.architecture"), "/lora")), "flux.1-", "flux-1-", 1),
		Resolution:   resolution(first("modelspec.resolution", "ss_resolution")),
		Author:       first("modelspec.author"), License: first("modelspec.license"), Description: first("modelspec.description"),
		Tags: frequent(metadata["ss_tag_frequency"]),
	}
	if a.Architecture == "" && first("ss_base_model_version", "base_model") == "flux1" {
		a.Architecture = FluxDev
	}
	for s := range strings.SplitSeq(first("modelspec.trigger_phrase", "trigger_word", "trigger_words", "instance_prompt"), ",") {
		if s = strings.TrimSpace(s); s != "" {
			a.Triggers = append(a.Triggers, s)
		}
	}
	return a
}

// oneLine returns a text of a stranger's file without breaks, and no longer than a paragraph.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 500 {
		s = string(r[:500]) + "…"
	}
	return s
}

var twoNumbers = regexp.MustCompile(`^\D*(\d+)\D+(\d+)\D*$`)

// resolution brings "(1024, 1024)" and "1024x1024" to the latter form.
func resolution(s string) string {
	if m := twoNumbers.FindStringSubmatch(s); m != nil {
		return m[1] + "x" + m[2]
	}
	if _, err := strconv.Atoi(s); err == nil {
		return s + "x" + s
	}
	return ""
}

// frequent returns the five most frequent tags of kohya's count of them, a map from folders.
func frequent(text string) []string {
	var folders map[string]map[string]int
	if text == "" || json.Unmarshal([]byte(text), &folders) != nil {
		return nil
	}
	count := map[string]int{}
	for _, tags := range folders {
		for tag, n := range tags {
			count[oneLine(tag)] += n
		}
	}
	delete(count, "")
	tags := slices.Sorted(maps.Keys(count))
	slices.SortStableFunc(tags, func(a, b string) int { return cmp.Compare(count[b], count[a]) })
	return tags[:min(5, len(tags))]
}

// Metadata returns the header's metadata of factors written in a format: the Model Metadata
// Standard's, kohya's, and PEFT's settings for diffusers. hash is the SHA-256 of the tensors'
// bytes, "" for none. There is no date in it: equal numbers make equal files.
func (a About) Metadata(format, hash string, factors ...Factor) (map[string]string, error) {
	m := map[string]string{"format": "pt", "modelspec.sai_model_spec": "1.0.0", "modelspec.title": cmp.Or(a.Title, "LoRA")}
	if a.Architecture != "" {
		m["modelspec.architecture"] = a.Architecture + "/lora"
	}
	if a.Architecture == FluxDev {
		m["modelspec.implementation"] = "https://github.com/black-forest-labs/flux"
	}
	for key, s := range map[string]string{
		"resolution": a.Resolution, "trigger_phrase": strings.Join(a.Triggers, ", "), "author": a.Author, "license": a.License,
		"description": a.Description,
	} {
		if s != "" {
			m["modelspec."+key] = s
		}
	}
	if hash != "" {
		m["modelspec.hash_sha256"] = "0x" + hash
	}
	switch format {
	case Kohya:
		a.kohya(m, factors)
	case Diffusers:
		settings, err := peftSettings(factors)
		if err != nil {
			return nil, err
		}
		m[metadataKey] = settings
	}
	return m, nil
}

// kohya adds what kohya's tools read.
func (a About) kohya(m map[string]string, factors []Factor) {
	m["ss_network_module"] = "networks.lora_flux"
	if a.Title != "" {
		m["ss_output_name"] = a.Title
	}
	if a.Architecture == FluxDev {
		m["ss_base_model_version"] = "flux1"
	}
	rank := 0
	for _, f := range factors {
		rank = max(rank, f.A.Shape[0])
	}
	// Each module has its own alpha, which is its rank; these two are for people.
	m["ss_network_dim"], m["ss_network_alpha"] = strconv.Itoa(rank), strconv.Itoa(rank)
}

// peftSettings returns the settings by which PEFT makes the modules of a diffusers file. alpha is
// the rank of each: alpha/rank is in the factors. A pattern begins with ^, since PEFT lets it fit
// the end of a name: proj_out is the last layer, and one of every single block.
func peftSettings(factors []Factor) (string, error) {
	all := map[string]any{}
	for _, of := range settingsOf {
		ranks, err := diffusersRanks(of.part, factors)
		if err != nil {
			return "", err
		}
		if len(ranks) == 0 {
			continue
		}
		count := map[int]int{}
		for _, r := range ranks {
			count[r]++
		}
		usual := 0
		for _, r := range slices.Sorted(maps.Keys(count)) {
			if usual == 0 || count[r] > count[usual] {
				usual = r
			}
		}
		others := map[string]int{}
		for name, r := range ranks {
			if r != usual {
				others["^"+regexp.QuoteMeta(name)] = r
			}
		}
		prefix := of.prefixes[0]
		for key, value := range map[string]any{
			"peft_type": "LORA", "r": usual, "lora_alpha": usual, "rank_pattern": others, "alpha_pattern": others,
			"target_modules": slices.Sorted(maps.Keys(ranks)), "bias": "none", "use_rslora": false, "use_dora": false, "lora_bias": false,
		} {
			all[prefix+key] = value
		}
	}
	text, err := json.Marshal(all)
	return string(text), err
}

// diffusersRanks returns the ranks of a component's modules by diffusers' names without a prefix.
func diffusersRanks(part Part, factors []Factor) (map[string]int, error) {
	ranks := map[string]int{}
	for _, f := range factors {
		if f.Part != part {
			continue
		}
		tensors, err := Named(Diffusers, f)
		if err != nil {
			return nil, err
		}
		for _, t := range tensors {
			if stem, role := split(t.Name); role == down {
				ranks[strings.TrimPrefix(stem, diffusersPrefix[part])] = t.Shape[0]
			}
		}
	}
	return ranks, nil
}

// Card returns a model card for Hugging Face: README.md next to a LoRA's file of this name.
func (a About) Card(file, format string) string {
	var b strings.Builder
	b.WriteString("---\n")
	if a.Architecture == FluxDev {
		b.WriteString("base_model: black-forest-labs/FLUX.1-dev\nbase_model_relation: adapter\n")
	}
	if format == Diffusers {
		b.WriteString("library_name: diffusers\n")
	}
	b.WriteString("pipeline_tag: text-to-image\ntags:\n  - lora\n  - text-to-image\n  - eligen\n")
	if format == Diffusers {
		b.WriteString("  - diffusers\n")
	}
	if a.Architecture == FluxDev {
		b.WriteString("  - flux\n")
	}
	if len(a.Triggers) > 0 {
		fmt.Fprintf(&b, "instance_prompt: %s\n", quoted(strings.Join(a.Triggers, ", ")))
	}
	if a.License != "" {
		fmt.Fprintf(&b, "license: other\nlicense_name: %s\n", quoted(a.License))
	}
	fmt.Fprintf(&b, "---\n\n# %s\n", cmp.Or(a.Title, file))
	for _, s := range []string{a.Description, by(a.Author)} {
		if s != "" {
			fmt.Fprintf(&b, "\n%s\n", s)
		}
	}
	if len(a.Triggers) > 0 {
		fmt.Fprintf(&b, "\nPrompts call it by: %s\n", strings.Join(a.Triggers, ", "))
	}
	if a.Resolution != "" {
		fmt.Fprintf(&b, "\nIt was trained on pictures of %s pixels.\n", a.Resolution)
	}
	fmt.Fprintf(&b, "\n## Use\n\nWith eligen:\n\n```hcl\nadapter \"lora\" \"style\" {\n  source = %s\n}\n```\n",
		strings.NewReplacer("${", "$${", "%{", "%%{").Replace(quoted("./"+file)))
	switch format {
	case Diffusers:
		fmt.Fprintf(&b, "\nWith diffusers:\n\n```python\npipe.load_lora_weights(\".\", weight_name=%s)\n```\n", quoted(file))
	case Kohya:
		b.WriteString("\nWith ComfyUI: put the file into `models/loras`, and load it with *Load LoRA*.\n")
	}
	return b.String()
}

func by(author string) string {
	if author == "" {
		return ""
	}
	return "By " + author + "."
}

// quoted returns a text as JSON, which is YAML and Python too, and HCL but for its templates.
func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(text)
}
