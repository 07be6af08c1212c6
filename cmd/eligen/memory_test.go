package main

import (
	"io/fs"
	"testing"
)

func TestMachineMemory(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"a machine", map[string]string{"/proc/meminfo": "MemTotal:       24592100 kB\nMemFree: 3 kB\n"}, 24592100 << 10},
		{"a container", map[string]string{"/proc/meminfo": "MemTotal:       24592100 kB\n", "/sys/fs/cgroup/memory.max": "1073741824\n"}, 1 << 30},
		{"a container without a limit", map[string]string{"/proc/meminfo": "MemTotal:       1024 kB\n", "/sys/fs/cgroup/memory.max": "max\n"}, 1 << 20},
		{"a container with a limit beyond the machine", map[string]string{"/proc/meminfo": "MemTotal:       1024 kB\n", "/sys/fs/cgroup/memory.max": "9223372036854771712\n"}, 1 << 20},
		{"another system", nil, 0},
	} {
		got := machineMemory(func(name string) ([]byte, error) {
			if data, ok := c.files[name]; ok {
				return []byte(data), nil
			}
			return nil, fs.ErrNotExist
		})
		if got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	for flag, want := range map[string]int64{"any": 0, "2GiB": 2 << 30, "512MiB": 512 << 20} {
		if got, err := memory(flag, "go"); err != nil || got != want {
			t.Errorf("--memory %s: %d, %v", flag, got, err)
		}
	}
	if _, err := memory("lots", "go"); err == nil || !usage(err) {
		t.Errorf("--memory lots: %v", err)
	}
	if got, err := memory("", "eligen 0.1 xla:cuda"); err != nil || got != 0 {
		t.Errorf("a GPU: %d, %v", got, err)
	}
}
