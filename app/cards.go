package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eligen/eligen/model/backend"
)

// A Card is a graphics card that can be planned for where it isn't.
type Card struct {
	Name string
	GiB  int64 // of memory
}

// Cards are graphics cards by their memory.
var Cards = []Card{
	{"h200", 141}, {"h100", 80}, {"a100", 80}, {"l40s", 48}, {"a6000", 48}, {"a100-40", 40}, {"rtx5090", 32},
	{"rtx4090", 24}, {"rtx3090", 24}, {"l4", 24}, {"rtx4080", 16}, {"rtx4070", 12}, {"rtx3060", 12}, {"rtx4060", 8},
}

// FindCard returns the card of a name. Capitals, spaces and hyphens don't matter: "RTX 4090" is rtx4090.
func FindCard(name string) (Card, error) {
	bare := strings.NewReplacer(" ", "", "-", "", "_", "")
	key := func(s string) string { return strings.TrimPrefix(bare.Replace(strings.ToLower(s)), "nvidia") }
	i := slices.IndexFunc(Cards, func(c Card) bool { return key(c.Name) == key(name) })
	if i >= 0 {
		return Cards[i], nil
	}
	var names []string
	for _, c := range Cards {
		names = append(names, c.Name)
	}
	return Card{}, Unknown("card", name, "card", names)
}

// memory returns what XLA would be given of the card's memory.
func (c Card) memory() memoryLimit {
	return memoryLimit{int64(backend.Fraction * float64(c.GiB<<30)), fmt.Sprintf("a card of %d GiB", c.GiB)}
}
