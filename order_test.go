package eligen_test

import (
	"fmt"
	"testing"

	"github.com/eligen/eligen"
)

// TestStack: pairs come before z, z before the order of the scene, and a circle is named.
func TestStack(t *testing.T) {
	type e = eligen.Entity
	for want, entities := range map[string][]e{
		"[] []":      nil,
		"[2 1 0] []": {{Address: "a"}, {Address: "b"}, {Address: "c"}},
		"[0 2 1] []": {{Address: "a", Z: 1}, {Address: "b"}, {Address: "c"}},
		"[0 1 2] []": {{Address: "a", Occludes: []string{"b"}}, {Address: "b", Occludes: []string{"c"}, Z: -3}, {Address: "c", Z: 5}},
		"[2 0 1] []": {{Address: "a", Occludes: []string{"b", "b", "elsewhere"}}, {Address: "b", Z: 1}, {Address: "c", Z: 2}},
		"[] [b c]": {{Address: "a", Occludes: []string{"b"}}, {Address: "b", Occludes: []string{"c"}}, {Address: "c",
			Occludes: []string{"b"}}, {Address: "d", Z: -1}},
		"[] [a]": {{Address: "a", Occludes: []string{"a"}}},
	} {
		order, circle := eligen.Stack(entities)
		if got := fmt.Sprint(order, " ", circle); got != want {
			t.Errorf("%v: %s, want %s", entities, got, want)
		}
	}
}
