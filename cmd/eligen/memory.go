package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// memory is how many bytes a run may take: what --memory says, "" being the
// machine's. 0 is no limit.
func memory(flag, engineID string) (int64, error) {
	switch flag {
	case "":
		if strings.Contains(engineID, "cuda") {
			return 0, nil // a GPU has its own
		}
		return machineMemory(os.ReadFile), nil
	case "any":
		return 0, nil
	}
	return readSize("memory", flag)
}

// machineMemory is the machine's memory, or what its container may use of it; 0
// where the system doesn't say.
func machineMemory(read func(string) ([]byte, error)) int64 {
	var n int64
	if data, err := read("/proc/meminfo"); err == nil {
		lines := bufio.NewScanner(bytes.NewReader(data))
		for lines.Scan() {
			var kb int64
			if _, err := fmt.Sscanf(lines.Text(), "MemTotal: %d kB", &kb); err == nil {
				n = kb << 10
			}
		}
	}
	if data, err := read("/sys/fs/cgroup/memory.max"); err == nil {
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil && limit > 0 && (n == 0 || limit < n) { // else "max"
			n = limit
		}
	}
	return n
}
