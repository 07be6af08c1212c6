package main

import (
	"testing"

	"github.com/eligen/eligen/app"
)

func TestMemoryFlag(t *testing.T) {
	for flag, want := range map[string]int64{"": 0, "any": app.NoLimit, "2GiB": 2 << 30, "512MiB": 512 << 20} {
		if got, err := readMemory(flag); err != nil || got != want {
			t.Errorf("--memory %s: %d, %v", flag, got, err)
		}
	}
	for _, flag := range []string{"lots", "NaN", "nan", "NaNGiB", "Inf", "-Inf", "-1GiB", "1e300GiB", "0", "0.1B"} {
		if got, err := readMemory(flag); err == nil || !usage(err) {
			t.Errorf("--memory %s: %d, %v; want a usage error", flag, got, err)
		}
	}
	for _, flag := range []string{"NaN", "NaNMiB", "Inf", "-1"} {
		if got, err := readSize("max-size", flag); err == nil || !usage(err) {
			t.Errorf("--max-size %s: %d, %v; want a usage error", flag, got, err)
		}
	}
}
