package backend

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/model/cache"
)

// maxPrograms is how many bytes of compiled programs are kept, and maxProgram of one.
const (
	maxPrograms = 512 << 20
	maxProgram  = 64 << 20
)

// programs are compiled programs in a folder, one a file: the SHA-256 of its bytes, then these. A
// program is found only by the same text and options, plugin, flags and processor, so that it
// gives the bits that compiling it again would.
type programs struct {
	dir   string
	about string // what they were compiled by and for
	found atomic.Int64
	made  atomic.Int64
}

// kept are the programs of the plugin that was opened last; nil where none are kept.
var kept atomic.Pointer[programs]

// Programs counts the graphs that this process found compiled, and those that it compiled, where
// programs are kept.
func Programs() (found, made int64) {
	if p := kept.Load(); p != nil {
		found, made = p.found.Load(), p.made.Load()
	}
	return found, made
}

type programKey [sha256.Size]byte

// newPrograms returns the programs of a backend; nil where none are kept.
func newPrograms(i Info) (*programs, error) {
	if value := os.Getenv("ELIGEN_PROGRAMS"); value != "" {
		on, err := strconv.ParseBool(value)
		if err != nil {
			return nil, fmt.Errorf("ELIGEN_PROGRAMS is %q; it can be true or false", value)
		}
		if !on {
			return nil, nil
		}
	}
	dir, err := cache.Dir()
	if err != nil {
		return nil, nil // no home folder: nothing can be kept
	}
	about := fmt.Sprintf("eligen program 1\n%s\n%s\n%s\n%d\n", i.PluginDigest, i.Flags, processor(), runtime.NumCPU())
	return &programs{dir: filepath.Join(dir, "programs"), about: about}, nil
}

// processor describes what compilers see of the processor: its model, and all of its instructions.
func processor() string {
	about := fmt.Sprintf("%s %+v %+v", runtime.GOARCH, cpu.X86, cpu.ARM64)
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return about
	}
	first, _, _ := strings.Cut(string(info), "\n\n")
	for line := range strings.Lines(first) {
		switch name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) {
		case "vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features", "CPU part", "CPU variant":
			about += "\n" + strings.TrimSpace(value)
		}
	}
	return about
}

// key names a program by all that it follows from.
func (p *programs) key(code, options []byte) (k programKey) {
	if p == nil {
		return k
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s%d %d\n", p.about, len(code), len(options))
	h.Write(code)
	h.Write(options)
	h.Sum(k[:0])
	return k
}

func (p *programs) path(k programKey) string { return filepath.Join(p.dir, hex.EncodeToString(k[:])) }

// find returns a program; nil where there is none, or what there is has been damaged.
func (p *programs) find(k programKey) []byte {
	if p == nil {
		return nil
	}
	b, err := files.Read(p.path(k), maxProgram+sha256.Size)
	if err != nil || len(b) <= sha256.Size || sha256.Sum256(b[sha256.Size:]) != [sha256.Size]byte(b) {
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(p.path(k), now, now) // without it, the program goes sooner
	p.found.Add(1)
	return b[sha256.Size:]
}

// keep writes a program, if it can: it can be compiled again.
func (p *programs) keep(k programKey, data []byte) {
	if p == nil {
		return
	}
	p.made.Add(1)
	if len(data) == 0 || len(data) > maxProgram || os.MkdirAll(p.dir, 0o700) != nil {
		return
	}
	sum := sha256.Sum256(data)
	if files.WriteBytes(p.path(k), append(sum[:], data...)) == nil {
		p.trim(maxPrograms)
	}
}

// trim removes the programs that were not used for longest, until at most so many bytes are left.
func (p *programs) trim(limit int64) {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return
	}
	var all []os.FileInfo
	for _, e := range entries {
		if fi, err := e.Info(); err == nil && fi.Mode().IsRegular() {
			all = append(all, fi)
			limit -= fi.Size()
		}
	}
	slices.SortFunc(all, func(a, b os.FileInfo) int { return cmp.Compare(a.ModTime().UnixNano(), b.ModTime().UnixNano()) })
	for _, fi := range all {
		if limit >= 0 {
			return
		}
		if os.Remove(filepath.Join(p.dir, fi.Name())) == nil {
			limit += fi.Size()
		}
	}
}
