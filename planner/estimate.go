package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/eligen/eligen"
)

// estimate returns what a render asks of the machine.
func (b *builder) estimate(w *work) eligen.PlannedRender {
	e := eligen.PlannedRender{
		Address: w.render.Address, Image: w.tokens(), Prompt: w.text,
	}
	for _, entity := range w.entities {
		e.Regions = append(e.Regions, entity.covered)
		e.Entities += entity.text
	}
	seen, seenToo := w.seen()
	e.Attention, e.Total = branch(w, w.text, w.entities, seen)
	if w.negative {
		var entities []entity
		if w.onBoth {
			entities = w.entities
		}
		if against, _ := w.against(nil); against != nil {
			entities = against
		}
		attention, total := branch(w, w.negativeText, entities, seenToo)
		e.Attention, e.Total = e.Attention+attention, e.Total+total
	}
	w.spec.Sizes = withFactors(w)
	e.StepReads, e.PromptReads = stream(w, b.options.Memory)
	e.Memory = memory(w)
	s := w.spec.Sizes
	e.Text, e.Transformer, e.Stored = s.Text, s.Transformer, s.Stored
	return e
}

// tokens returns how many image tokens the model works on.
func (w *work) tokens() int { return w.spec.Geometry.Tokens(w.canvas()) }

// branch counts what one branch of a step has to compute: the matrix products, a
// multiplication and an addition as two, without padding. Projections of the text
// and modulations are made before the first step, and the last single block needs no
// more of the text than keys and values. prompt is how many tokens the prompt has, pictures
// how many tokens of pictures are seen: by image tokens in double blocks, by those of text
// as well in single ones.
func branch(w *work, prompt int, entities []entity, pictures int) (attention, total float64) {
	s := w.spec.Sizes
	d, mlp := float64(s.Dim), float64(s.MLP)
	image, global := float64(w.tokens()), float64(prompt)
	text := global

	pairs, last := (image+global)*(image+global), image*(image+global)
	for _, e := range entities {
		te := float64(e.text)
		region := te * float64(len(e.tokens))
		text += te
		pairs += te*te + 2*region
		last += region
	}
	all := 2 * d * (4*d + 2*mlp) // of a token in a block
	blocks := float64(s.Double + max(0, s.Single-1))
	attention = blocks * 4 * d * pairs
	attention += 4 * d * float64(pictures) * (float64(s.Double+s.Single)*image + float64(max(0, s.Single-1))*text)
	total = 4*image*d*float64(s.TokenDim) + blocks*(image+text)*all
	if s.Single > 0 {
		attention += 4 * d * last
		total += image*all + 4*text*d*d
	}
	return attention, total + attention
}

// memory estimates how many bytes a render takes at its peak: where it reads prompts,
// reads pictures, takes a step, or codes them, whichever takes most.
func memory(w *work) int64 {
	s := w.spec.Sizes
	if s.Transformer == 0 {
		return 0
	}
	step, _ := stepping(w)
	return max(holding(s, s.Text), holding(s, s.Pictures), step, coding(w))
}

// withFactors returns the sizes of a render's model with the factors of LoRAs that lie beside its weights: over weights
// of fewer bits, and where a timeline moves a LoRA's scale.
func withFactors(w *work) eligen.Sizes {
	s := w.spec.Sizes
	if s.Transformer == 0 {
		return s
	}
	var beside, text int64
	for i, a := range w.spec.Adapters {
		if t := w.spec.TraitsOf(i); a.Factors || w.scaled(i) {
			beside, text = beside+t.Beside, text+t.BesideText
		}
	}
	more := func(stream func(room int64) eligen.Streamed, n int64) func(room int64) eligen.Streamed {
		if stream == nil || n == 0 {
			return stream
		}
		return func(room int64) eligen.Streamed {
			if room > 0 {
				room = max(1, room-n)
			}
			x := stream(room)
			x.Held += n
			return x
		}
	}
	s.Transformer, s.Stream = s.Transformer+beside, more(s.Stream, beside)
	s.Text, s.StreamText = s.Text+text, more(s.StreamText, text)
	return s
}

// scaled reports whether a timeline moves the scale of the spec's LoRA i. The spec has a render's adapters in their
// order, if not all of them.
func (w *work) scaled(i int) bool {
	c := w.render.Clip
	if c == nil {
		return false
	}
	at := 0
	for _, a := range w.render.Adapters {
		if at >= len(w.spec.Adapters) || w.spec.Adapters[at].Kind != a.Kind {
			continue
		}
		if at == i {
			return a.Kind == "lora" && slices.ContainsFunc(c.Timeline.Tracks, func(t eligen.Track) bool {
				return t.Target.Block == "adapter."+a.Kind+"."+a.Name
			})
		}
		at++
	}
	return false
}

// stream has weights pass through block by block where a render would take more than there is, and
// returns how much of them does.
func stream(w *work, limit int64) (step, prompt int64) {
	s := &w.spec.Sizes
	if limit <= 0 {
		return 0, 0
	}
	if s.StreamText != nil && holding(*s, s.Text) > limit {
		x := s.StreamText(max(1, limit-s.Program))
		s.Text, prompt = x.Held, x.Read
	}
	if n, _ := stepping(w); s.Stream != nil && n > limit {
		x := s.Stream(max(1, limit-(n-s.Transformer)))
		s.Transformer, step = x.Held, x.Read
	}
	return step, prompt
}

// holding estimates how many bytes are in memory in addition to what a part computes: its
// weights, and those of the other parts, if they stay.
func holding(s eligen.Sizes, part int64) int64 {
	if s.Together {
		part = s.Text + s.Transformer + s.Autoencoder + s.Pictures + s.PictureKeys
	}
	return s.Program + part
}

// stepping estimates how many bytes denoising takes, and how many of them stay for what
// comes after.
func stepping(w *work) (n, stay int64) {
	s := w.spec.Sizes
	n = holding(s, s.Transformer)
	if s.Step == nil {
		return n, 0
	}
	of := eligen.StepSizes{Image: w.tokens(), Text: max(w.text, w.negativeText), Groups: groups(w, w.entities), Branches: 1}
	positive, negative := w.seen()
	of.Pictures = positive
	if w.negative {
		of.Branches, of.Pictures = 2, positive+negative
		if against, _ := w.against(nil); len(against) > 0 { // sides run one after the other
			of.Groups = larger(of.Groups, groups(w, against))
		}
	}
	step, stay := s.Step(of)
	return n + step, stay
}

// larger returns the groups with more rows.
func larger(a, b []eligen.GroupSizes) []eligen.GroupSizes {
	rows := func(list []eligen.GroupSizes) (n int) {
		for _, g := range list {
			n += g.Entities * (g.Text + g.Region)
		}
		return n
	}
	if rows(b) > rows(a) {
		return b
	}
	return a
}

// groups groups entities by their text and the size that their regions are padded to.
func groups(w *work, entities []entity) (list []eligen.GroupSizes) {
	of := map[eligen.GroupSizes]int{}
	for _, e := range entities {
		if n := len(e.tokens); n > 0 {
			of[eligen.GroupSizes{Text: e.text, Region: eligen.Bucket(n, w.tokens())}]++
		}
	}
	for g, n := range of {
		g.Entities = n
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b eligen.GroupSizes) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Text, b.Text))
	})
	return list
}

// coding estimates how many bytes the autoencoder takes for a render's pictures; 0 where
// that is not known.
func coding(w *work) int64 {
	s, r := w.spec.Sizes, w.render
	if s.Coding == nil {
		return 0
	}
	n, encoding := s.Coding(w.tile())
	if r.Init != nil || r.Inpaint != nil || r.Transfer != nil {
		n = max(n, encoding)
	}
	_, stay := stepping(w)
	return holding(s, s.Autoencoder) + stay + n
}

// tile returns how many pixels the autoencoder sees at once.
func (w *work) tile() eligen.Size {
	canvas := w.canvas()
	if w.tiles == nil {
		return canvas
	}
	side := w.spec.Geometry.Factor * w.tiles.Tile
	return eligen.Size{W: min(canvas.W, side), H: min(canvas.H, side)}
}

// coded returns how many pixels the autoencoder goes through, those of several tiles
// again and again.
func (w *work) coded() float64 {
	tile, n := w.tile(), 1
	if w.tiles != nil {
		stride := w.spec.Geometry.Factor * w.tiles.Stride
		along := func(size, tile int) int { return 1 + (size-tile+stride-1)/stride }
		canvas := w.canvas()
		n = along(canvas.W, tile.W) * along(canvas.H, tile.H)
	}
	return float64(n) * float64(tile.W) * float64(tile.H)
}

// fits reports a render that there is too little memory for.
func (jd *judge) fits(w *work, e eligen.PlannedRender) {
	limit := jd.options.Memory
	if limit <= 0 || e.Memory <= limit {
		return
	}
	way := "Render a smaller picture, or with a smaller model or dtype"
	if s := w.spec.Sizes; s.Stream != nil && strings.HasSuffix(s.Stored, "float16") {
		way = "Its weights pass through memory block by block already. Hold them as integers, by dtype = \"int8\" or \"int4\", or render a " +
			"smaller picture"
	}
	tiled := *w
	tiled.tiles = &eligen.Tiling{Tile: eligen.DefaultTile, Stride: eligen.DefaultStride}
	if w.tiles == nil && memory(&tiled) <= limit {
		way = "Have it decoded in tiles, by vae { tiled = true }, or render a smaller picture"
		if jd.recorded(w) {
			way = "It was recorded as it comes out whole: verify it where there is more memory, or record it in tiles, by vae { tiled = true }"
		}
	}
	jd.diags.Errorf(&w.render.Source, "Not enough memory",
		"%s takes about %s at its peak, and there are %s, by %s. %s; if there is more memory, say so with --memory.",
		w.render.Address, bytesText(e.Memory), bytesText(limit), jd.memoryFrom(), way)
}

// recorded reports whether a render is planned by its record.
func (jd *judge) recorded(w *work) bool {
	if jd.options.Recorded == nil || w.render.VAE != nil {
		return false
	}
	_, ok := jd.options.Recorded(w.render.Address)
	return ok
}

// memoryFrom returns what sets the limit of memory, for people.
func (jd *judge) memoryFrom() string {
	return cmp.Or(jd.options.MemoryFrom, "the limit that was given")
}

// bytesText writes a number of bytes for people.
func bytesText(n int64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20)
}

// operations writes a number of floating-point operations for people.
func operations(n float64) string {
	for _, u := range []struct {
		name string
		n    float64
	}{{"PFLOP", 1e15}, {"TFLOP", 1e12}, {"GFLOP", 1e9}} {
		if n >= u.n {
			return fmt.Sprintf("%.3g %s", n/u.n, u.name)
		}
	}
	return fmt.Sprintf("%.3g MFLOP", n/1e6)
}
