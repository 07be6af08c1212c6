package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// What is known of the machine comes from Linux's /proc. Elsewhere it is unknown,
// and said to be.

const unknown = "unknown"

// machine returns the processor, its cores, memory, and the Go that this was built with.
func machine() string {
	name := field("/proc/cpuinfo", "model name")
	if name == "" {
		name = runtime.GOARCH
	}
	s := fmt.Sprintf("%s, %d processors", name, runtime.NumCPU())
	if kb, err := strconv.ParseFloat(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 64); err == nil {
		s += fmt.Sprintf(", %.1f GiB", kb/(1<<20))
	}
	return fmt.Sprintf("%s; %s/%s, %s", s, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// field returns the text after a name and a colon in a file of lines, "" if there is none.
func field(path, name string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// peakMemory returns the largest resident memory of this process so far, in bytes; 0 if
// unknown.
func peakMemory() int64 { return residentPeak("/proc/self/status") }

// residentPeak returns the largest resident memory of the process whose status is at path.
func residentPeak(path string) int64 {
	kb, err := strconv.ParseInt(strings.TrimSuffix(field(path, "VmHWM"), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return kb << 10
}

// loadAverage returns the system's own, of the last minute: it still includes the compiler
// that built this program.
func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return unknown
	}
	return strings.Fields(string(data))[0]
}

// ticks holds processor time since the machine started: of all processors together, the
// used part of it, and the part that this process and its ended children used.
type ticks struct{ all, used, own float64 }

func readTicks() (t ticks, ok bool) {
	total, err1 := os.ReadFile("/proc/stat")
	self, err2 := os.ReadFile("/proc/self/stat")
	if err1 != nil || err2 != nil {
		return t, false
	}
	return parseTicks(string(total), string(self))
}

func parseTicks(total, self string) (t ticks, ok bool) {
	line, _, _ := strings.Cut(total, "\n")
	columns := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal guest guest_nice
	if len(columns) < 9 || columns[0] != "cpu" {
		return t, false
	}
	for i, c := range columns[1:9] { // guests are in user already
		n, err := strconv.ParseFloat(c, 64)
		if err != nil {
			return t, false
		}
		t.all += n
		if i != 3 && i != 4 {
			t.used += n
		}
	}
	// The program's name may hold anything; user, system and the same of ended
	// children are the 14th to 17th.
	columns = strings.Fields(self[strings.LastIndexByte(self, ')')+1:])
	if len(columns) < 15 {
		return t, false
	}
	for _, c := range columns[11:15] {
		n, err := strconv.ParseFloat(c, 64)
		if err != nil {
			return t, false
		}
		t.own += n
	}
	return t, true
}

// others returns how many processors other work has used since then, on average.
func (then ticks) others(now ticks, processors int) float64 {
	all := now.all - then.all
	if all <= 0 {
		return 0
	}
	return max(0, (now.used-then.used)-(now.own-then.own)) / all * float64(processors)
}

// load returns how many processors other work uses, over a while; false if unknown.
func load(while time.Duration) (float64, bool) {
	then, ok := readTicks()
	time.Sleep(while)
	now, ok2 := readTicks()
	return then.others(now, runtime.NumCPU()), ok && ok2
}
