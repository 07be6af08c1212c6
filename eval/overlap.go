package eval

import (
	"context"
	"fmt"
	"image"
	"slices"

	"github.com/eligen/eligen"
)

// A Policy is a row of the overlap table.
type Policy struct {
	Name    string
	Overlap string  // a scene's policy
	Opacity float64 // of the first entity, which lies over the second; 0 is opaque
	Apart   bool    // each entity is nowhere else
}

// Policies are the rows of the overlap table. ("exclusive" refuses overlaps: there is nothing to measure.)
var Policies = []Policy{
	{Name: "blend", Overlap: "blend"},
	{Name: "over", Overlap: "over"},
	{Name: "layered, opacity 0.5", Overlap: "layered", Opacity: 0.5},
	{Name: "blend, nowhere else", Overlap: "blend", Apart: true},
	{Name: "over, nowhere else", Overlap: "over", Apart: true},
}

// policies returns the rows that can be measured.
func (o Options) policies() (list []Policy) {
	for _, p := range Policies {
		if o.Guided || !p.Apart {
			list = append(list, p)
		}
	}
	return list
}

// of returns a pair under the policy.
func (p Policy) of(pair eligen.Render) eligen.Render {
	pair.Overlap, pair.Entities = p.Overlap, slices.Clone(pair.Entities)
	for i := range pair.Entities {
		pair.Entities[i].AutoNegative = p.Apart
	}
	if p.Opacity != 0 {
		pair.Entities[0].Opacity = &p.Opacity
	}
	return pair
}

// overlaps are where the second of two boxes lies to the first, in fractions of
// the canvas: each covers a fifth to a third of the other.
var overlaps = [][2]float64{{0.24, 0.10}, {0.10, 0.24}, {-0.22, 0.12}, {0.14, -0.20}}

// Pair returns layout i of two entities whose boxes overlap: the first lies over the second
// if the policy is "over".
func Pair(i int, classes []string, prompt func(string) string, background, policy string, size eligen.Size) eligen.Render {
	const side = 0.44
	n := len(classes)
	first := i % n
	second := (first + 1 + (i/n+i)%(n-1)) % n
	d := overlaps[i%len(overlaps)]
	x, y := 0.5-side/2-d[0]/2, 0.52-side/2-d[1]/2
	r := eligen.Render{
		Name: fmt.Sprint("pair-", i), Address: fmt.Sprint("render.pair-", i), Size: size, Seed: uint64(i), Overlap: policy,
		Prompt: prompt(classes[first]) + " and " + prompt(classes[second]) + ", " + background,
		Model:  eligen.Model{Family: "nano"}, Adapters: []eligen.Adapter{{Kind: "lora", Scale: 1, Alpha: "file"}},
	}
	for k, class := range []string{classes[first], classes[second]} {
		r.Entities = append(r.Entities, eligen.Entity{
			Name: class, Address: "entity." + class, Prompt: prompt(class), Strength: 1, Z: float64(1 - k),
			Region: eligen.Box(x, y, x+side, y+side).Round(),
		})
		x, y = x+d[0], y+d[1]
	}
	return r
}

// overlap renders pairs under each policy, and each entity alone by the same
// noise, and says whose the common pixels are and what became of the two.
func overlap(ctx context.Context, o Options, tick func()) ([]Row, error) {
	marks := map[string]map[string][]float64{}
	for _, p := range o.policies() {
		marks[p.Name] = map[string][]float64{}
	}
	for i := range o.Pairs {
		s, err := o.Samples(i)
		if err != nil {
			return nil, err
		}
		pair := Pair(i, o.Classes, o.Prompt, s.Background, "blend", o.Size)
		var alone [2]*image.NRGBA
		for k := range alone {
			r := pair
			r.Entities = pair.Entities[k : k+1]
			if alone[k], err = o.Draw(ctx, r); err != nil {
				return nil, fmt.Errorf("pair %d, %s alone: %w", i, r.Entities[0].Name, err)
			}
			tick()
		}
		for _, policy := range o.policies() {
			img, err := o.Draw(ctx, policy.of(pair))
			if err != nil {
				return nil, fmt.Errorf("pair %d, %s: %w", i, policy.Name, err)
			}
			tick()
			boxes := []image.Rectangle{pixels(pair.Entities[0].Region, img), pixels(pair.Entities[1].Region, img)}
			m := marks[policy.Name]
			m["common pixels"] = append(m["common pixels"], nearer(img, alone[0], alone[1], boxes[0].Intersect(boxes[1])))
			for k, name := range []string{"first", "second"} {
				class, _, err := o.Classify(img, boxes[k])
				if err != nil {
					return nil, err
				}
				m[name] = append(m[name], truth(class == pair.Entities[k].Name))
			}
		}
	}
	var rows []Row
	for _, p := range o.policies() {
		row := Row{Mode: p.Name}
		for _, name := range []string{"common pixels", "first", "second"} {
			row.Metrics = append(row.Metrics, metric(name, "", marks[p.Name][name]))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// nearer returns the share of an area's pixels whose colour is nearer to a's than to b's.
// Pixels in which both agree don't count.
func nearer(img, a, b *image.NRGBA, area image.Rectangle) float64 {
	won, all := 0, 0
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			at := img.PixOffset(x, y)
			da, db := distance(img.Pix[at:at+3], a.Pix[at:at+3]), distance(img.Pix[at:at+3], b.Pix[at:at+3])
			if slices.Equal(a.Pix[at:at+3], b.Pix[at:at+3]) || da == db {
				continue
			}
			all++
			if da < db {
				won++
			}
		}
	}
	if all == 0 {
		return 0.5
	}
	return float64(won) / float64(all)
}

func distance(a, b []uint8) (d int) {
	for i := range a {
		x := int(a[i]) - int(b[i])
		d += x * x
	}
	return d
}
