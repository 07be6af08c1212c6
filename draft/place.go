package draft

import (
	"fmt"
	"slices"
	"strings"
)

// gap is the distance between objects that don't touch, in hundredths.
const gap = 2

// place gives every object a box such that all relations hold. It works in whole
// hundredths and by a fixed sequence: equal words make equal scenes.
func (s *speech) place() ([]string, error) {
	n := len(s.objects)
	boxes := make([]Box, n)
	for i, t := range s.objects {
		if t.fixed {
			boxes[i] = s.draft.Entities[i].Box
		} else {
			boxes[i].W, boxes[i].H = s.sizeOf(i)
		}
	}
	var best []Box
	bestHard := 0
	for _, percent := range []int{100, 88, 76, 66, 56, 46, 38} {
		scaled := make([]Box, n)
		for i, b := range boxes {
			if !s.objects[i].fixed {
				b.W, b.H = max(6, b.W*percent/100), max(6, b.H*percent/100)
			}
			scaled[i] = b
		}
		got, hard := s.solve(scaled)
		if best == nil || hard < bestHard {
			best, bestHard = got, hard
		}
		if hard == 0 {
			break
		}
	}
	var wrong []string
	for _, r := range s.rels {
		if violated(r.kind, best[r.a], best[r.b]) > 0 {
			wrong = append(wrong, s.draft.Entities[r.a].Name+" "+relationWords[r.kind][0]+" "+s.draft.Entities[r.b].Name)
		}
	}
	for _, r := range s.spots {
		if away(r.kind, best[r.a]) > 0 {
			wrong = append(wrong, s.draft.Entities[r.a].Name+" at the "+spotWords[r.kind][0])
		}
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("the objects can't lie as the words say. Found no position for: %s", strings.Join(wrong, "; "))
	}
	var notes []string
	if bestHard > 0 {
		notes = append(notes, "There are more objects than there is room for: some overlap.")
	}
	for i := range s.draft.Entities {
		if !s.objects[i].fixed {
			s.draft.Entities[i].Box = best[i]
		}
	}
	return notes, nil
}

// flats are objects that are wider than high.
var flats = []string{"mat", "rug", "carpet", "table", "bed", "blanket", "shelf", "plate", "bench", "sofa", "floor", "bridge"}

// sizeOf returns the size that an object would have if there were room.
func (s *speech) sizeOf(i int) (w, h int) {
	n := len(s.objects)
	side := []int{50, 50, 40, 34, 32, 28, 28, 24, 24, 24}[min(n, 9)]
	if n > 9 {
		side = 18
	}
	w, h = side, side
	sum, area := 0, Box{}
	for k, t := range s.objects {
		if b := s.draft.Entities[k].Box; t.fixed {
			sum, area.W, area.H = sum+1, area.W+b.W, area.H+b.H
		}
	}
	if sum > 0 { // an object added to a scene is as large as those there
		w, h = min(40, max(12, area.W/sum)), min(40, max(12, area.H/sum))
	}
	scale := func(pw, ph int) { w, h = w*pw/100, h*ph/100 }
	switch s.objects[i].size {
	case "big":
		scale(140, 140)
	case "small":
		scale(60, 60)
	}
	if s.objects[i].sky && n > 1 {
		scale(75, 75)
	}
	flat := func(i int) bool { return slices.Contains(flats, s.objects[i].noun) }
	rides, inside, holds := false, false, false
	for _, r := range s.rels {
		rides = rides || r.kind == "on" && r.a == i && !flat(r.b)
		inside = inside || r.kind == "in" && r.a == i
		holds = holds || r.kind == "in" && r.b == i
	}
	if flat(i) {
		scale(130, 60)
	}
	if rides {
		scale(80, 80)
	}
	if inside {
		scale(50, 50)
	}
	if holds {
		scale(130, 130)
	}
	return min(90, max(8, w)), min(80, max(8, h))
}

// solve searches for positions from several starts, moving one object at a time, alone or
// with its riders. hard is 0 if all relations hold and nothing overlaps.
func (s *speech) solve(sizes []Box) (best []Box, hard int) {
	const starts, sweeps = 5, 14
	random := uint32(1)
	bestCost := -1
	for start := range starts {
		boxes := append([]Box(nil), sizes...)
		for i := range boxes {
			b := &boxes[i]
			if s.objects[i].fixed {
				continue
			}
			tx, ty := s.wish(i)
			if start > 0 {
				random = random*1664525 + 1013904223
				tx = int(random>>8) % 100
				random = random*1664525 + 1013904223
				ty = int(random>>8) % 100
			}
			b.X, b.Y = clamp(tx-b.W/2, b.W), clamp(ty-b.H/2, b.H)
		}
		all := make([]int, 0, len(boxes)) // that move
		for i := range boxes {
			if !s.objects[i].fixed {
				all = append(all, i)
			}
		}
		cost := s.cost(boxes, all)
		for range sweeps {
			before := cost
			for i := range boxes {
				if s.objects[i].fixed {
					continue
				}
				cost = s.improve(boxes, []int{i}, cost)
				if with := s.riders(i); len(with) > 1 {
					cost = s.improve(boxes, with, cost)
				}
			}
			if cost == before {
				break
			}
		}
		if bestCost < 0 || cost < bestCost {
			best, bestCost = boxes, cost
		}
	}
	return best, bestCost / hardly
}

// margin stays free along the canvas's edges if there is room.
const margin = 3

func clamp(at, side int) int {
	return max(min(margin, (100-side)/2), min(at, max(100-margin-side, (100-side)/2)))
}

// riders returns an object and all that are related to it, itself first. Fixed objects
// hold nothing.
func (s *speech) riders(i int) []int {
	out, seen := []int{i}, map[int]bool{i: true}
	for k := 0; k < len(out); k++ {
		for _, r := range s.rels {
			for _, e := range [][2]int{{r.a, r.b}, {r.b, r.a}} {
				if e[0] == out[k] && !seen[e[1]] && !s.objects[e[1]].fixed {
					seen[e[1]] = true
					out = append(out, e[1])
				}
			}
		}
	}
	return out
}

// improve moves objects together to the position of least cost, coarsely and then finely,
// and returns the whole cost there.
func (s *speech) improve(boxes []Box, ids []int, cost int) int {
	from := append([]Box(nil), boxes...)
	first := boxes[ids[0]]
	try := func(x, y int) bool {
		dx, dy := x-first.X, y-first.Y
		for _, i := range ids {
			b := from[i]
			b.X, b.Y = b.X+dx, b.Y+dy
			if b.X != clamp(b.X, b.W) || b.Y != clamp(b.Y, b.H) {
				return false
			}
			boxes[i] = b
		}
		return true
	}
	bx, by := first.X, first.Y
	rest := cost - s.cost(boxes, ids) // of the boxes that stay
	look := func(x, y int) {
		if try(x, y) {
			if c := rest + s.cost(boxes, ids); c < cost {
				cost, bx, by = c, x, y
			}
		}
	}
	for y := 0; y < 100; y += 4 {
		for x := 0; x < 100; x += 4 {
			look(x, y)
		}
	}
	for cx, cy, y := bx, by, by-3; y <= cy+3; y++ {
		for x := cx - 3; x <= cx+3; x++ {
			look(x, y)
		}
	}
	copy(boxes, from)
	if bx != first.X || by != first.Y {
		try(bx, by)
	}
	return cost
}

// wish returns the centre that an object would have without relations.
func (s *speech) wish(i int) (x, y int) {
	if b := s.objects[i].home; b != nil {
		return b.X + b.W/2, b.Y + b.H/2
	}
	n := len(s.objects)
	x, y = (2*i+1)*100/(2*n), 50
	sky := false
	for _, t := range s.objects {
		sky = sky || t.sky
	}
	if n > 1 && sky {
		y = map[bool]int{true: 22, false: 64}[s.objects[i].sky]
	}
	return x, y
}

// hardly is the cost of a hundredth by which a relation fails: more than all wishes
// together.
const hardly = 1 << 20

// cost returns how far some objects' boxes are from their relations, and then from good
// looks.
func (s *speech) cost(boxes []Box, ids []int) int {
	moves := make([]bool, len(boxes))
	for _, i := range ids {
		moves[i] = true
	}
	total := 0
	for _, r := range s.rels {
		if moves[r.a] || moves[r.b] {
			total += violated(r.kind, boxes[r.a], boxes[r.b])*hardly + 4*unlike(r.kind, boxes[r.a], boxes[r.b])
		}
	}
	for _, r := range s.spots {
		if moves[r.a] {
			total += away(r.kind, boxes[r.a]) * hardly
		}
	}
	for _, i := range ids {
		a := boxes[i]
		x, y := s.wish(i)
		total += abs(a.X+a.W/2-x) + 2*abs(a.Y+a.H/2-y)
		for j, b := range boxes {
			if j == i || moves[j] && j > i {
				continue // a pair counts once
			}
			if s.objects[i].group > 0 && s.objects[i].group == s.objects[j].group {
				total += 3*abs(a.bottom()-b.bottom()) + abs(a.X+a.W/2-b.X-b.W/2)
			}
			w := min(a.right(), b.right()) - max(a.X, b.X) + gap
			h := min(a.bottom(), b.bottom()) - max(a.Y, b.Y) + gap
			if w > 0 && h > 0 && !s.mayOverlap(i, j) {
				total += min(w, h) * hardly
			}
		}
	}
	return total
}

func (s *speech) mayOverlap(i, j int) bool {
	for _, r := range s.rels {
		if r.a == i && r.b == j || r.a == j && r.b == i {
			if r.kind == "on" || r.kind == "in" || r.kind == "front" || r.kind == "behind" {
				return true
			}
		}
	}
	return false
}

// violated returns by how many hundredths boxes a and b fail a relation.
func violated(kind string, a, b Box) int {
	ax, ay, bx, by := a.X+a.W/2, a.Y+a.H/2, b.X+b.W/2, b.Y+b.H/2
	switch kind {
	case "left":
		return max(0, a.right()-b.X) + max(0, abs(ay-by)-(a.H+b.H)/2+1)
	case "right":
		return violated("left", b, a)
	case "above":
		return max(0, a.bottom()-b.Y) + max(0, abs(ax-bx)-(a.W+b.W)/2+1)
	case "below":
		return violated("above", b, a)
	case "on": // its foot is in the upper third, and over it
		return max(0, b.Y-a.bottom()) + max(0, a.bottom()-b.Y-b.H/3) + max(0, b.X-ax) + max(0, ax-b.right())
	case "in":
		return max(0, b.X-a.X) + max(0, a.right()-b.right()) + max(0, b.Y-a.Y) + max(0, a.bottom()-b.bottom())
	case "front": // lower, and partly over it
		return max(0, b.bottom()+3-a.bottom()) + max(0, a.Y+2-b.bottom()) + max(0, abs(ax-bx)-b.W/2)
	case "behind":
		return violated("front", b, a)
	case "beside":
		apart := max(b.X-a.right(), a.X-b.right())
		return max(0, -apart) + max(0, apart-25) + max(0, abs(ay-by)-10)
	}
	return 0
}

// unlike returns how far a relation that holds is from its plainest form.
func unlike(kind string, a, b Box) int {
	ax, ay, bx, by := a.X+a.W/2, a.Y+a.H/2, b.X+b.W/2, b.Y+b.H/2
	switch kind {
	case "left":
		return abs(ay-by) + abs(b.X-a.right()-2*gap)
	case "right":
		return unlike("left", b, a)
	case "above":
		return abs(ax-bx) + abs(b.Y-a.bottom()-2*gap)
	case "below":
		return unlike("above", b, a)
	case "on":
		return abs(ax-bx) + abs(a.bottom()-b.Y-b.H/6)
	case "in":
		return abs(ax-bx) + abs(ay-by)
	case "front":
		return abs(abs(ax-bx)-b.W/3) + abs(a.Y-by)
	case "behind":
		return unlike("front", b, a)
	case "beside":
		return abs(a.bottom()-b.bottom()) + abs(max(b.X-a.right(), a.X-b.right())-2*gap)
	}
	return 0
}

// away returns by how many hundredths a box is outside a part of the canvas.
func away(kind string, b Box) int {
	x, y := b.X+b.W/2, b.Y+b.H/2
	out := 0
	for _, k := range strings.Fields(kind) {
		switch k {
		case "top":
			out += max(0, min(b.Y-8, y-36))
		case "bottom":
			out += max(0, min(92-b.bottom(), 64-y))
		case "left":
			out += max(0, min(b.X-8, x-36))
		case "right":
			out += max(0, min(92-b.right(), 64-x))
		case "middle":
			out += max(0, abs(x-50)-4) + max(0, abs(y-50)-4)
		case "back":
			out += max(0, y-45)
		}
	}
	return out
}

func abs(n int) int { return max(n, -n) }
