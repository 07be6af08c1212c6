package app

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/model/backend"
)

// NoLimit is the Memory of a request that lets a render take whatever it needs.
const NoLimit = -1

// A memoryLimit is how many bytes a run may take, and who says so. 0 is no limit.
type memoryLimit struct {
	bytes int64
	from  string // for people: "--memory", "this machine's memory"
}

// limit returns the limit of a request: bytes that it sets, or 0 for the machine's.
func limit(bytes int64, from, engineID string) memoryLimit {
	switch {
	case bytes == NoLimit:
		return memoryLimit{}
	case bytes != 0:
		return memoryLimit{bytes, from}
	case strings.Contains(engineID, "cuda"):
		return cardMemory()
	}
	return machineMemory(os.DirFS("/"))
}

// cardMemory returns what XLA is given of the first card's memory, as NVIDIA's own program says it; no limit where
// it doesn't.
func cardMemory() memoryLimit {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	said, err := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits").Output()
	if err != nil {
		return memoryLimit{}
	}
	first, _, _ := strings.Cut(string(said), "\n")
	n, err := strconv.ParseInt(strings.TrimSpace(first), 10, 64)
	if err != nil || n <= 0 {
		return memoryLimit{}
	}
	return memoryLimit{int64(backend.Fraction * float64(n<<20)), "the graphics card's memory"}
}

// hold tells an engine that keeps weights how much there is.
func hold(e eligen.Engine, m memoryLimit) {
	if l, ok := e.(interface{ Limit(bytes int64) }); ok {
		l.Limit(m.bytes)
	}
}

// machineMemory returns the least of what may stop a process of Linux that takes memory: the
// machine's own, the control groups that the process is in, whose limits hold for all
// below them, and the process's resource limits. root is the root folder. Where the system
// states none of them, there is no limit.
func machineMemory(root fs.FS) memoryLimit {
	var least memoryLimit
	consider := func(n int64, from string) {
		if n > 0 && (least.bytes == 0 || n < least.bytes) {
			least = memoryLimit{n, from}
		}
	}
	consider(kilobytes(read(root, "proc/meminfo"), "MemTotal"), "this machine's memory")
	for _, file := range groupLimits(root) {
		n, err := strconv.ParseInt(strings.TrimSpace(string(read(root, file))), 10, 64)
		if err == nil { // else "max"
			consider(n, "the control group's limit /"+file)
		}
	}
	// Address space and data segments hold more than memory: what the runtime has reserved and
	// never touches. That much of these limits is of no use to a render.
	status := read(root, "proc/self/status")
	limits := read(root, "proc/self/limits")
	resident := kilobytes(status, "VmRSS")
	consider(max(0, resource(limits, "Max address space")-kilobytes(status, "VmSize")+resident), "the limit of address space (ulimit -v)")
	data := resource(limits, "Max data size") - kilobytes(status, "VmData") + kilobytes(status, "RssAnon")
	consider(max(0, data), "the limit of data (ulimit -d)")
	return least
}

func read(root fs.FS, name string) []byte {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return nil
	}
	return data
}

// kilobytes returns the field of a file of lines such as "MemTotal: 3 kB", in bytes; 0 if there
// is none.
func kilobytes(data []byte, field string) int64 {
	for line := range bytes.Lines(data) {
		var kb int64
		if _, err := fmt.Sscanf(string(line), field+": %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	return 0
}

// resource returns the soft limit of a resource in /proc/self/limits.
func resource(data []byte, name string) int64 {
	for line := range bytes.Lines(data) {
		rest, ok := bytes.CutPrefix(line, []byte(name))
		if fields := bytes.Fields(rest); ok && len(fields) > 0 {
			n, _ := strconv.ParseInt(string(fields[0]), 10, 64) // else "unlimited"
			return n
		}
	}
	return 0
}

// groupLimits lists the files that limit the memory of the control groups that this
// process is in, from its own up to the root of each hierarchy, of both versions.
func groupLimits(root fs.FS) (files []string) {
	of := map[string]string{} // the group in the hierarchy of version 2, "", and in that of version 1's memory
	for line := range strings.Lines(string(read(root, "proc/self/cgroup"))) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3) // 0::/user.slice
		if len(fields) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(fields[1], ",") {
			of[controller] = fields[2]
		}
	}
	mounts := bufio.NewScanner(bytes.NewReader(read(root, "proc/self/mountinfo")))
	for mounts.Scan() {
		// 34 24 0:29 /docker/a /sys/fs/cgroup ro - cgroup2 cgroup rw
		where, kind, ok := strings.Cut(mounts.Text(), " - ")
		left, right := strings.Fields(where), strings.Fields(kind)
		if !ok || len(left) < 5 || len(right) < 3 {
			continue
		}
		controller, file := "", "memory.max"
		switch {
		case right[0] == "cgroup2":
		case right[0] == "cgroup" && strings.Contains(","+right[2]+",", ",memory,"):
			controller, file = "memory", "memory.limit_in_bytes"
		default:
			continue
		}
		group, ok := of[controller]
		if !ok {
			continue
		}
		top := strings.TrimPrefix(unescaped(left[4]), "/")
		below, ok := under(group, unescaped(left[3]))
		if !ok {
			below = "" // a group outside of what is mounted: what is mounted is what there is to see
		}
		for ; ; below = path.Dir(below) {
			files = append(files, path.Join(top, below, file))
			if below == "" || below == "." || below == "/" {
				break
			}
		}
	}
	return files
}

// under returns a path below a folder, and reports whether it lies there.
func under(name, folder string) (string, bool) {
	rest, ok := strings.CutPrefix(path.Clean(name), strings.TrimSuffix(folder, "/"))
	if !ok || rest != "" && rest[0] != '/' || strings.HasPrefix(rest, "/..") {
		return "", false
	}
	return strings.TrimPrefix(rest, "/"), true
}

// unescaped undoes mountinfo's writing of spaces and the like.
func unescaped(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
