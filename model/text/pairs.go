package text

import (
	"container/heap"
	"errors"
	"fmt"
	"strings"
)

// pairs are the merges of byte pair encoding (Sennrich et al. 2016), by the ids of their halves.
type pairs map[[2]int32]merge

// A merge makes one token of a pair of neighbours; a smaller rank goes first.
type merge struct {
	rank int
	id   int32
}

// readPairs reads a merges.txt for a vocabulary.
func readPairs(vocab map[string]int32, merges []byte) (pairs, error) {
	out := pairs{}
	for i, line := range strings.Split(string(merges), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" || i == 0 && strings.HasPrefix(line, "#version") {
			continue
		}
		a, b, ok := strings.Cut(line, " ")
		if !ok || a == "" || b == "" || strings.Contains(b, " ") {
			return nil, fmt.Errorf("line %d of merges.txt is %.60q, not two symbols", i+1, line)
		}
		left, ok1 := vocab[a]
		right, ok2 := vocab[b]
		id, ok3 := vocab[a+b]
		if !ok1 || !ok2 || !ok3 {
			return nil, fmt.Errorf("line %d of merges.txt merges %.60q, which vocab.json does not have: the files do not belong together", i+1, line)
		}
		if _, twice := out[[2]int32{left, right}]; !twice {
			out[[2]int32{left, right}] = merge{i, id}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("merges.txt is empty")
	}
	return out, nil
}

// join appends the ids of a word to those before it: its symbols, then, as long as there is
// one, the pair of neighbours of the smallest rank made one, the leftmost first.
func (p pairs) join(ids, word []int32) []int32 {
	// A chain of symbols; one that was merged into its left neighbour has id -1.
	type symbol struct {
		id         int32
		prev, next int
	}
	chain := make([]symbol, len(word))
	for i, id := range word {
		chain[i] = symbol{id, i - 1, i + 1}
	}
	chain[len(chain)-1].next = -1

	var queue candidates
	consider := func(at int) {
		if at < 0 || chain[at].next < 0 {
			return
		}
		if m, ok := p[[2]int32{chain[at].id, chain[chain[at].next].id}]; ok {
			heap.Push(&queue, candidate{m, at})
		}
	}
	for i := range chain {
		consider(i)
	}
	for len(queue) > 0 {
		c := heap.Pop(&queue).(candidate)
		left := &chain[c.at]
		if left.id < 0 || left.next < 0 {
			continue
		}
		right := &chain[left.next]
		// What was queued may have been merged with something else meanwhile.
		if m, ok := p[[2]int32{left.id, right.id}]; !ok || m.id != c.id {
			continue
		}
		left.id, right.id = c.id, -1
		left.next = right.next
		if left.next >= 0 {
			chain[left.next].prev = c.at
		}
		consider(left.prev)
		consider(c.at)
	}
	for i := 0; i >= 0; i = chain[i].next {
		ids = append(ids, chain[i].id)
	}
	return ids
}
