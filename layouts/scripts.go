package layouts

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/eligen/eligen"
)

// A builder makes ComfyUI's API form, its nodes numbered in their order.
type builder struct {
	nodes []member
}

// add adds a node, and returns a link to its first output.
func (b *builder) add(class string, inputs map[string]any) []any {
	id := strconv.Itoa(len(b.nodes) + 1)
	data, err := encode(map[string]any{"class_type": class, "inputs": inputs}, "  ")
	if err != nil {
		panic(err) // strings, numbers and lists
	}
	b.nodes = append(b.nodes, member{id, value{str: strings.TrimSpace(string(data))}})
	return []any{id, 0}
}

func (b *builder) text() []byte {
	var out strings.Builder
	out.WriteString("{")
	for i, n := range b.nodes {
		if i > 0 {
			out.WriteString(",")
		}
		fmt.Fprintf(&out, "\n  %q: %s", n.name, strings.ReplaceAll(n.str, "\n", "\n  "))
	}
	out.WriteString("\n}\n")
	return []byte(out.String())
}

func toComfy(e *exporter) error  { return e.comfy(false) }
func toCouple(e *exporter) error { return e.comfy(true) }

// comfy writes a graph of FLUX.1: core nodes alone, or with a node of attention couple.
func (e *exporter) comfy(couple bool) error {
	v, b := &e.views[0], &builder{}
	model := b.add("UNETLoader", map[string]any{"unet_name": "flux1-dev.safetensors", "weight_dtype": "default"})
	clip := b.add("DualCLIPLoader", map[string]any{"clip_name1": "t5xxl_fp16.safetensors", "clip_name2": "clip_l.safetensors", "type": "flux"})
	vae := b.add("VAELoader", map[string]any{"vae_name": "ae.safetensors"})
	encodeText := func(words string) []any { return b.add("CLIPTextEncode", map[string]any{"text": words, "clip": clip}) }
	all := encodeText(v.Prompt)
	coupled := map[string]any{}
	for i, en := range v.Entities {
		own := encodeText(en.Prompt)
		box, exact := boxOf(en, v.Size)
		if couple {
			mask, err := e.maskNode(b, v, en, box, exact)
			if err != nil {
				return err
			}
			coupled[fmt.Sprintf("cond_%d", i+1)], coupled[fmt.Sprintf("mask_%d", i+1)] = own, mask
			continue
		}
		placed, err := e.placeNode(b, v, en, own, box, exact)
		if err != nil {
			return err
		}
		all = b.add("ConditioningCombine", map[string]any{"conditioning_1": all, "conditioning_2": placed})
	}
	if couple && len(coupled) > 0 {
		full := b.add("SolidMask", map[string]any{"value": 1.0, "width": v.Size.W, "height": v.Size.H})
		coupled["model"], coupled["base_cond"], coupled["base_mask"] = model, all, full
		model = b.add("AttentionCouplePPM", coupled)
		e.say("the node AttentionCouplePPM is of the extension ComfyUI-ppm")
	}
	if !couple && len(v.Entities) > 0 {
		e.say("ComfyUI mixes the predictions of its areas, where eligen's regions are in the attention: the pictures differ")
	}
	e.sample(b, v, model, all, vae, encodeText)
	e.say("the names of the weights are those of FLUX.1-dev's usual files: choose yours there")
	e.Ending, e.Text = ".json", b.text()
	return nil
}

// sample adds what denoises, decodes and saves.
func (e *exporter) sample(b *builder, v *View, model, positive, vae []any, encodeText func(string) []any) {
	guidance, steps, cfg := 3.5, 50, 1.0
	if v.Sampler.Guidance != nil {
		guidance = *v.Sampler.Guidance
	}
	if v.Sampler.Steps != nil {
		steps = *v.Sampler.Steps
	}
	if v.Sampler.CFG != nil {
		cfg = *v.Sampler.CFG
	}
	if v.Sampler.Schedule != "" || v.Sampler.Shift != nil || v.Sampler.TeaCache != nil {
		e.say("the schedule, its shift and TeaCache have no counterpart in the form")
	}
	guided := b.add("FluxGuidance", map[string]any{"conditioning": positive, "guidance": guidance})
	negative := encodeText(v.Negative)
	latent := b.add("EmptySD3LatentImage", map[string]any{"width": v.Size.W, "height": v.Size.H, "batch_size": 1})
	sampled := b.add("KSampler", map[string]any{"model": model, "positive": guided, "negative": negative, "latent_image": latent,
		"seed": v.Seed, "steps": steps, "cfg": cfg, "sampler_name": "euler", "scheduler": "simple", "denoise": 1.0})
	picture := b.add("VAEDecode", map[string]any{"samples": sampled, "vae": vae})
	b.add("SaveImage", map[string]any{"images": picture, "filename_prefix": v.Name})
}

// placeNode gives a condition its box, or the picture of its mask.
func (e *exporter) placeNode(b *builder, v *View, en eligen.Entity, own []any, box [4]float64, exact bool) ([]any, error) {
	if exact {
		return b.add("ConditioningSetAreaPercentage", map[string]any{"conditioning": own, "x": box[0], "y": box[1],
			"width": box[2] - box[0], "height": box[3] - box[1], "strength": 1.0}), nil
	}
	mask, err := e.maskFile(b, v, en)
	return b.add("ConditioningSetMask", map[string]any{"conditioning": own, "mask": mask, "strength": 1.0, "set_cond_area": "default"}), err
}

// maskNode gives a box as a mask of core nodes, another shape as a picture.
func (e *exporter) maskNode(b *builder, v *View, en eligen.Entity, box [4]float64, exact bool) ([]any, error) {
	if !exact {
		return e.maskFile(b, v, en)
	}
	x0, y0, x1, y1 := pixel(box[0], v.Size.W), pixel(box[1], v.Size.H), pixel(box[2], v.Size.W), pixel(box[3], v.Size.H)
	dark := b.add("SolidMask", map[string]any{"value": 0.0, "width": v.Size.W, "height": v.Size.H})
	lit := b.add("SolidMask", map[string]any{"value": 1.0, "width": max(1, x1-x0), "height": max(1, y1-y0)})
	return b.add("MaskComposite", map[string]any{"destination": dark, "source": lit, "x": x0, "y": y0, "operation": "add"}), nil
}

func pixel(at float64, side int) int { return int(at*float64(side) + 0.5) }

// maskFile writes a mask next to the graph, and loads it there.
func (e *exporter) maskFile(b *builder, v *View, en eligen.Entity) ([]any, error) {
	name, err := e.maskPicture(v, en)
	e.say("masks are pictures: copy them into ComfyUI's folder input")
	return b.add("LoadImageMask", map[string]any{"image": name, "channel": "red"}), err
}

func (e *exporter) maskPicture(v *View, en eligen.Entity) (string, error) {
	name := e.base + "-" + strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, strings.TrimPrefix(en.Address, "entity.")), "_") + ".png"
	data, err := maskOf(en, v.Size).png()
	e.Files[name] = data
	return name, err
}

// pyString writes a string as Python reads it: JSON's escapes are Python's.
func pyString(s string) string {
	data, err := encode(s, "")
	if err != nil {
		return `""`
	}
	return strings.TrimSpace(string(data))
}

// toDiffSynth writes a script for DiffSynth-Studio, where EliGen was made.
func toDiffSynth(e *exporter) error {
	v := &e.views[0]
	var prompts, masks []string
	for _, en := range v.Entities {
		name, err := e.maskPicture(v, en)
		if err != nil {
			return err
		}
		prompts, masks = append(prompts, "    "+pyString(en.Prompt)+",\n"), append(masks, "    "+pyString(name)+",\n")
	}
	var b strings.Builder
	b.WriteString(`import os

import torch
from diffsynth.pipelines.flux_image import FluxImagePipeline, ModelConfig
from PIL import Image

here = os.path.dirname(os.path.abspath(__file__))
flux = "black-forest-labs/FLUX.1-dev"
files = ["flux1-dev.safetensors", "text_encoder/model.safetensors", "text_encoder_2/*.safetensors", "ae.safetensors"]
pipe = FluxImagePipeline.from_pretrained(
    torch_dtype=torch.bfloat16,
    device="cuda",
    model_configs=[ModelConfig(model_id=flux, origin_file_pattern=f) for f in files],
)
pipe.load_lora(pipe.dit, ModelConfig(model_id="DiffSynth-Studio/Eligen", origin_file_pattern="model_bf16.safetensors"), alpha=1)
`)
	fmt.Fprintf(&b, "\nprompts = [\n%s]\nmasks = [\n%s]\n", strings.Join(prompts, ""), strings.Join(masks, ""))
	fmt.Fprintf(&b, "size = (%d, %d)\n\nimage = pipe(\n    prompt=%s,\n    negative_prompt=%s,\n",
		v.Size.W, v.Size.H, pyString(v.Prompt), pyString(v.Negative))
	b.WriteString(v.settings("cfg_scale", "embedded_guidance"))
	fmt.Fprintf(&b, "    seed=%d,\n    width=size[0],\n    height=size[1],\n", v.Seed)
	if len(v.Entities) > 0 {
		b.WriteString("    eligen_entity_prompts=prompts,\n" +
			"    eligen_entity_masks=[Image.open(os.path.join(here, m)).convert(\"RGB\").resize(size) for m in masks],\n")
	}
	fmt.Fprintf(&b, ")\nimage.save(%s)\n", pyString(v.Name+".png"))
	e.Ending, e.Text = ".py", []byte(b.String())
	return nil
}

// settings writes the sampler's settings as keyword arguments.
func (v *View) settings(cfg, guidance string) string {
	out := ""
	if v.Sampler.Steps != nil {
		out += fmt.Sprintf("    num_inference_steps=%d,\n", *v.Sampler.Steps)
	}
	if v.Sampler.CFG != nil {
		out += fmt.Sprintf("    %s=%g,\n", cfg, *v.Sampler.CFG)
	}
	if v.Sampler.Guidance != nil {
		out += fmt.Sprintf("    %s=%g,\n", guidance, *v.Sampler.Guidance)
	}
	return out
}

// toDiffusers writes a script for diffusers, whose FluxPipeline knows no regions.
func toDiffusers(e *exporter) error {
	v := &e.views[0]
	if len(v.Entities) > 0 {
		e.say("diffusers' FluxPipeline knows no regions: the script has the entities as a list, and paints the prompt alone")
	}
	var b strings.Builder
	b.WriteString(`import torch
from diffusers import FluxPipeline

# Words and x0 y0 x1 y1 as fractions of the canvas, for pipelines that take regions; FluxPipeline does not.
entities = [
`)
	for _, en := range v.Entities {
		box := e.boxed(en, v.Size)
		fmt.Fprintf(&b, "    (%s, (%s, %s, %s, %s)),\n", pyString(en.Prompt), number(box[0]), number(box[1]), number(box[2]), number(box[3]))
	}
	fmt.Fprintf(&b, "]\n\npipe = FluxPipeline.from_pretrained(\"black-forest-labs/FLUX.1-dev\", torch_dtype=torch.bfloat16)\n"+
		"pipe.enable_model_cpu_offload()\nimage = pipe(\n    prompt=%s,\n", pyString(v.Prompt))
	if v.Negative != "" {
		fmt.Fprintf(&b, "    negative_prompt=%s,\n", pyString(v.Negative))
	}
	b.WriteString(v.settings("true_cfg_scale", "guidance_scale"))
	fmt.Fprintf(&b, "    width=%d,\n    height=%d,\n    generator=torch.Generator(\"cpu\").manual_seed(%d),\n).images[0]\nimage.save(%s)\n",
		v.Size.W, v.Size.H, v.Seed, pyString(v.Name+".png"))
	e.Ending, e.Text = ".py", []byte(b.String())
	return nil
}
