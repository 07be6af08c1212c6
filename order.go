package eligen

import (
	"cmp"
	"slices"
)

// Stack returns entities' numbers in the order in which they lie over one another, from the top: each above those that
// it occludes; else the higher z, and of equals the later. circle names entities each of which occludes
// the next, and the last the first; then there is no order.
func Stack(entities []Entity) (order []int, circle []string) {
	numbers := map[string]int{}
	above := make([]int, len(entities)) // how many occlude each, and are not placed
	for i, e := range entities {
		numbers[e.Address] = i
		order = append(order, i)
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(entities[j].Z, entities[i].Z), j-i)
	})
	below := make([][]int, len(entities))
	pairs := false
	for i, e := range entities {
		for _, address := range e.Occludes {
			if j, ok := numbers[address]; ok && !slices.Contains(below[i], j) {
				below[i] = append(below[i], j)
				above[j]++
				pairs = true
			}
		}
	}
	if !pairs {
		return order, nil
	}
	var out []int
	for len(order) > 0 {
		at := slices.IndexFunc(order, func(i int) bool { return above[i] == 0 })
		if at < 0 {
			return nil, circleOf(entities, below, order)
		}
		i := order[at]
		order = slices.Delete(order, at, at+1)
		out = append(out, i)
		for _, j := range below[i] {
			above[j]--
		}
	}
	return out, nil
}

// circleOf walks upwards through entities that each have one above them until one comes twice.
func circleOf(entities []Entity, below [][]int, left []int) (circle []string) {
	var way []int
	for i := left[0]; ; {
		if at := slices.Index(way, i); at >= 0 {
			way = way[at:]
			break
		}
		way = append(way, i)
		i = left[slices.IndexFunc(left, func(j int) bool { return slices.Contains(below[j], i) })]
	}
	slices.Reverse(way)
	for _, i := range way {
		circle = append(circle, entities[i].Address)
	}
	return circle
}
