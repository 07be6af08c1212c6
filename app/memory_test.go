package app

import (
	"testing"
	"testing/fstest"
)

// The least of what may stop a process is its limit: of the machine, of every control
// group above it, of the process itself.
func TestMachineMemory(t *testing.T) {
	const (
		meminfo = "MemTotal:       24592100 kB\nMemFree: 3 kB\n"
		v2      = "34 24 0:29 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
		v1      = "33 32 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n35 32 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup " +
			"rw,memory\n"
		limits = "Limit                     Soft Limit           Hard Limit           Units     \n" +
			"Max data size             unlimited            unlimited            bytes     \n" +
			"Max address space         unlimited            unlimited            bytes     \n"
	)
	type files = map[string]string
	for _, c := range []struct {
		name  string
		files files
		want  int64
		from  string
	}{
		{"a machine", files{"proc/meminfo": meminfo}, 24592100 << 10, "this machine's memory"},
		{"a container", files{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/memory.max": "1073741824\n"},
			1 << 30, "the control group's limit /sys/fs/cgroup/memory.max"},
		{"a service in a slice with a limit", files{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/user.slice/user-7.slice/run.scope\n",
			"proc/self/mountinfo":                 v2,
			"sys/fs/cgroup/user.slice/memory.max": "max\n", "sys/fs/cgroup/user.slice/user-7.slice/memory.max": "2147483648\n",
			"sys/fs/cgroup/user.slice/user-7.slice/run.scope/memory.max": "max\n"},
			2 << 30, "the control group's limit /sys/fs/cgroup/user.slice/user-7.slice/memory.max"},
		{"a group whose own limit is above its parent's", files{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"proc/self/mountinfo":        v2,
			"sys/fs/cgroup/a/memory.max": "1073741824\n", "sys/fs/cgroup/a/b/memory.max": "8589934592\n"},
			1 << 30, "the control group's limit /sys/fs/cgroup/a/memory.max"},
		{"a container that sees its host's groups", files{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/docker/c1\n",
			"proc/self/mountinfo": "34 24 0:29 /docker/c1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "sys/fs/cgroup/memory.max": "536870912\n"},
			512 << 20, "the control group's limit /sys/fs/cgroup/memory.max"},
		{"a process that was moved out of what it sees", files{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/../elsewhere\n",
			"proc/self/mountinfo": v2, "sys/fs/cgroup/memory.max": "536870912\n"},
			512 << 20, "the control group's limit /sys/fs/cgroup/memory.max"},
		{"version 1", files{"proc/meminfo": meminfo, "proc/self/cgroup": "4:cpu,cpuacct:/x\n3:memory:/lxc/a\n", "proc/self/mountinfo": v1,
			"sys/fs/cgroup/memory/lxc/a/memory.limit_in_bytes": "9223372036854771712\n",
			"sys/fs/cgroup/memory/lxc/memory.limit_in_bytes":   "1073741824\n"},
			1 << 30, "the control group's limit /sys/fs/cgroup/memory/lxc/memory.limit_in_bytes"},
		{"both versions at once", files{"proc/meminfo": meminfo, "proc/self/cgroup": "3:memory:/a\n0::/b\n",
			"proc/self/mountinfo":                          v1 + "36 32 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "2147483648\n", "sys/fs/cgroup/unified/b/memory.max": "max\n"},
			2 << 30, "the control group's limit /sys/fs/cgroup/memory/a/memory.limit_in_bytes"},
		{"a mount with a space in its name", files{"proc/self/cgroup": "0::/\n",
			"proc/self/mountinfo": `34 24 0:29 / /my\040groups rw - cgroup2 cgroup2 rw` + "\n", "my groups/memory.max": "1024\n"},
			1024, "the control group's limit /my groups/memory.max"},
		{"a group without a limit", files{"proc/meminfo": "MemTotal: 1024 kB\n", "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/memory.max": "max\n"}, 1 << 20, "this machine's memory"},
		{"a group with a limit beyond the machine", files{"proc/meminfo": "MemTotal: 1024 kB\n", "proc/self/cgroup": "0::/\n",
			"proc/self/mountinfo": v2, "sys/fs/cgroup/memory.max": "9223372036854771712\n"}, 1 << 20, "this machine's memory"},
		{"no limits of resources", files{"proc/meminfo": meminfo, "proc/self/limits": limits,
			"proc/self/status": "VmSize: 1024 kB\nVmRSS: 8 kB\n"}, 24592100 << 10, "this machine's memory"},
		// Of 4 GiB, what is reserved and not used, 1 GiB, is lost.
		{"ulimit -v", files{"proc/meminfo": meminfo,
			"proc/self/limits": "Max address space         4294967296           unlimited            bytes     \n",
			"proc/self/status": "VmSize:  1179648 kB\nVmRSS:  131072 kB\n"},
			3 << 30, "the limit of address space (ulimit -v)"},
		{"ulimit -d", files{"proc/meminfo": meminfo,
			"proc/self/limits": "Max data size             1073741824           1073741824           bytes     \n",
			"proc/self/status": "VmData:  131072 kB\nRssAnon:  65536 kB\n"}, 1<<30 - 64<<20, "the limit of data (ulimit -d)"},
		{"another system", nil, 0, ""},
	} {
		root := fstest.MapFS{}
		for name, data := range c.files {
			root[name] = &fstest.MapFile{Data: []byte(data)}
		}
		if got := machineMemory(root); got != (memoryLimit{c.want, c.from}) {
			t.Errorf("%s: %+v, want %d, %s", c.name, got, c.want, c.from)
		}
	}
}

// A GPU has memory of its own, which no limit of the machine's is about; what a request sets counts.
func TestLimit(t *testing.T) {
	for _, c := range []struct {
		bytes  int64
		engine string
		want   memoryLimit
	}{
		{0, "eligen 0.1 xla:cuda", memoryLimit{}},
		{NoLimit, "go", memoryLimit{}},
		{2 << 30, "go", memoryLimit{2 << 30, "me"}},
		{2 << 30, "eligen 0.1 xla:cuda", memoryLimit{2 << 30, "me"}},
	} {
		if got := limit(c.bytes, "me", c.engine); got != c.want {
			t.Errorf("%d on %s: %+v, want %+v", c.bytes, c.engine, got, c.want)
		}
	}
}
