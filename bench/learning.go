package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen/model/backend"
	"github.com/eligen/eligen/train"
)

// learning holds what a training of a LoRA says it takes against what its process takes, for the cases that name a model
// of FLUX.1's: pictures with entities, a picture a step.
func (b *bench) learning() error {
	program := filepath.Join(b.dir, "eligen")
	if err := buildEligen(b.ctx, program); err != nil {
		return err
	}
	t := table{head: []string{"backend", "case", "promised MiB", "taken MiB", "s a step", "loss"}}
	shared := table{head: []string{"backend", "case", "devices", "s a step on one", "s a step on all", "times as fast", "loss"}}
	for _, c := range b.all {
		if c.Backend == "" || c.Missing != "" {
			continue
		}
		for _, m := range b.memoryCases {
			if m.family() != "flux" {
				continue
			}
			b.progress("learning from %s on %s", m, c.Backend)
			l, err := measureLearning(b.ctx, program, b.dir, c.Backend, m, 1, 1)
			if err != nil {
				t.add(c.Backend, m.String(), firstLine(err), "", "", "")
				continue
			}
			if b.devices > 1 {
				b.shareLearning(&shared, program, c.Backend, m)
			}
			t.add(c.Backend, m.String(), mebibytes(l.promised), mebibytes(l.taken), digits(l.step), fmt.Sprintf("%.4f", l.loss))
		}
	}
	if len(t.rows) > 0 {
		b.section("Training a LoRA of rank 16, block by block: what it says it takes, and what it took", &t)
	}
	if len(shared.rows) > 0 {
		b.section("Its steps on several devices, a picture for each", &shared)
	}
	return b.ctx.Err()
}

// shareLearning holds steps of as many pictures as there are devices on one device against the same on all of them. Both learn
// the same: the losses are equal.
func (b *bench) shareLearning(t *table, program, backend string, m memoryCase) {
	b.progress("learning from %s on %s, on %d devices", m, backend, b.devices)
	one, err := measureLearning(b.ctx, program, b.dir, backend, m, b.devices, 1)
	var all learnt
	if err == nil {
		all, err = measureLearning(b.ctx, program, b.dir, backend, m, b.devices, b.devices)
	}
	if err != nil {
		t.add(backend, m.String(), fmt.Sprint(b.devices), firstLine(err), "", "", "")
		return
	}
	loss := fmt.Sprintf("%.6f", all.loss)
	if one.loss != all.loss {
		loss = fmt.Sprintf("%.6f, and %.6f on one", all.loss, one.loss)
	}
	t.add(backend, m.String(), fmt.Sprint(b.devices), digits(one.step), digits(all.step), fmt.Sprintf("%.2f", one.step/all.step), loss)
}

// learnt is what a training promised and took.
type learnt struct {
	promised, taken int64
	step, loss      float64 // of the last step, in seconds
}

// measureLearning trains for some steps of batch pictures in a process of its own, or in one for each of its devices.
func measureLearning(ctx context.Context, program, dir, engine string, m memoryCase, batch, devices int) (l learnt, err error) {
	plugins, err := backend.PluginDir()
	if err != nil {
		return l, err
	}
	cache, err := os.MkdirTemp(dir, "learning-")
	if err != nil {
		return l, err
	}
	defer os.RemoveAll(cache)
	if err := errors.Join(m.files(dir), m.lesson(filepath.Join(dir, "lesson")),
		os.WriteFile(filepath.Join(dir, "learning.hcl"), []byte(m.recipe(batch)), 0o644)); err != nil {
		return l, err
	}
	c := exec.CommandContext(ctx, program, "train", filepath.Join(dir, "learning.hcl"), "--json", "--backend", engine,
		"--memory", m.limit(), "--out", filepath.Join(cache, "out"), "--devices", fmt.Sprint(devices))
	c.Env = append(os.Environ(), "ELIGEN_CACHE_DIR="+cache, "ELIGEN_PLUGIN_DIR="+plugins)
	problems := &tail{}
	c.Stderr = problems
	out, err := c.StdoutPipe()
	if err != nil {
		return l, err
	}
	if err := c.Start(); err != nil {
		return l, err
	}
	before := 0.0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var s train.Status
		if json.Unmarshal(lines.Bytes(), &s) != nil {
			continue
		}
		l.promised = max(l.promised, s.PeakMemory)
		if s.Note == "" {
			l.step, l.loss, before = s.Seconds-before, s.Loss, s.Seconds
		}
	}
	if err := c.Wait(); err != nil {
		return l, fmt.Errorf("eligen train: %w: %s", err, problems.last())
	}
	l.taken = resident(c.ProcessState)
	return l, nil
}

// recipe is the case's training.
func (c memoryCase) recipe(batch int) string {
	dtype := ""
	if d := c.dtype(); d != "" {
		dtype = fmt.Sprintf("  dtype  = %q\n", d)
	}
	return fmt.Sprintf(`model "flux" "m" {
  source = "./%s"
%s}

recipe "learning" {
  kind    = "eligen"
  model   = model.flux.m
  dataset = "./lesson"
  train   = lora(16)
  steps   = 2
  batch   = %d
  every   = 1
  regions = 1

  optimizer "adamw" {
    learning_rate = 1e-4
  }
}
`, c.folder(), dtype, batch)
}

// lesson writes a dataset of one picture, whose entities have a mask each.
func (c memoryCase) lesson(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := writePicture(filepath.Join(dir, "picture.png"), c.side); err != nil {
		return err
	}
	var prompts, masks []string
	for i := range c.entities {
		name := fmt.Sprintf("mask%d.png", i)
		if err := writePicture(filepath.Join(dir, name), c.side); err != nil {
			return err
		}
		prompts, masks = append(prompts, `"a cat"`), append(masks, fmt.Sprintf("%q", name))
	}
	return os.WriteFile(filepath.Join(dir, "metadata.json"), fmt.Appendf(nil,
		`[{"image": "picture.png", "prompt": "a meadow", "eligen_entity_prompts": [%s], "eligen_entity_masks": [%s]}]`,
		strings.Join(prompts, ", "), strings.Join(masks, ", ")), 0o644)
}
