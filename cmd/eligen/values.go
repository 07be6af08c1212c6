package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eligen/eligen/app"
)

// readSeeds reads the value of --seed: 7, 1..4 and 1,5,9, in any mixture.
func readSeeds(s string) ([]uint64, error) {
	var out []uint64
	for part := range strings.SplitSeq(s, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "..")
		from, err := readSeed(s, low)
		if err != nil {
			return nil, err
		}
		to := from
		if isRange {
			if to, err = readSeed(s, high); err != nil {
				return nil, err
			}
			if to < from {
				return nil, usageError{fmt.Errorf("--seed %s: a range goes up, as %d..%d", s, to, from)}
			}
		}
		if to-from >= app.MaxSeeds || len(out) >= app.MaxSeeds {
			return nil, usageError{fmt.Errorf("--seed %s: that is more than %d seeds", s, app.MaxSeeds)}
		}
		for ; from <= to; from++ {
			if !slices.Contains(out, from) {
				out = append(out, from)
			}
		}
	}
	return out, nil
}

// readSeed reads one number of the value s of --seed.
func readSeed(s, number string) (uint64, error) {
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0, usageError{fmt.Errorf("--seed %s: write a number, several as 1,5,9, or a range as 1..4", s)}
	}
	if n > 1<<32-1 {
		return 0, fmt.Errorf("--seed %s: the largest seed is %d, since the noise is PyTorch's and takes 32 bits", s, uint64(1<<32-1))
	}
	return n, nil
}

// readFrames reads the value of --frames: "0-7,20". "" is all frames, nil.
func readFrames(text string) ([]app.Span, error) {
	if text == "" {
		return nil, nil
	}
	var out []app.Span
	for part := range strings.SplitSeq(text, ",") {
		low, high, ranged := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.Atoi(low)
		b := a
		if err == nil && ranged {
			b, err = strconv.Atoi(high)
		}
		if err != nil || a < 0 || b < a {
			return nil, usageError{fmt.Errorf("--frames %s: %q is neither a frame, such as 20, nor a range, such as 0-7", text, part)}
		}
		out = append(out, app.Span{First: a, Last: b})
	}
	return out, nil
}

// readMemory reads the value of --memory, as a request has it.
func readMemory(flag string) (int64, error) {
	switch flag {
	case "":
		return 0, nil
	case "any":
		return app.NoLimit, nil
	}
	n, err := readSize("memory", flag)
	if err == nil && n == 0 {
		err = usageError{fmt.Errorf("--memory %s leaves a render nothing: write a size such as 16GiB, or any for no limit", flag)}
	}
	return n, err
}

// readAge reads 90m, 12h or 30d.
func readAge(s string) (time.Duration, error) {
	var d time.Duration
	var err error
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n float64
		n, err = strconv.ParseFloat(days, 64)
		d = time.Duration(n * float64(24*time.Hour))
	} else {
		d, err = time.ParseDuration(s)
	}
	if err != nil || d <= 0 {
		return 0, usageError{fmt.Errorf("--older-than %s: write a time such as 12h or 30d", s)}
	}
	return d, nil
}

var units = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// readSize reads the value of a flag: 2GiB, 500MiB, or a number of bytes.
func readSize(flag, s string) (int64, error) {
	number, factor := s, int64(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(s, u.name); ok {
			number, factor = strings.TrimSpace(n), u.bytes
			break
		}
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || !(f >= 0 && f*float64(factor) <= 1<<60) { // not a number is neither
		return 0, usageError{fmt.Errorf("--%s %s: write a size such as 500MiB or 2GiB", flag, s)}
	}
	return int64(f * float64(factor)), nil
}
