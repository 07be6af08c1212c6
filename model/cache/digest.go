package cache

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
)

// A digestRecord is a file's digest with what tells that the file is still the
// same, so that 24 GB are hashed once and not at every plan.
type digestRecord struct {
	Size   int64         `json:"size"`
	MTime  int64         `json:"mtime"` // nanoseconds
	CTime  int64         `json:"ctime"` // of anything about the file, nanoseconds; nobody can set it. 0 where the system has none
	Inode  uint64        `json:"inode"` // 0 where the system has none
	Device uint64        `json:"device"`
	Digest eligen.Digest `json:"sha256"`
}

// records guards the file of records within this process. Between processes the
// last writer wins: a lost record costs hashing a file again.
var records sync.Mutex

// settled is the least age of a file's last change for its digest to be kept:
// a change within one tick of the file system's clock leaves no trace.
const settled = 2 * time.Second

// recordOf returns a file as it is now, without its digest.
func recordOf(fi fs.FileInfo) digestRecord {
	r := digestRecord{Size: fi.Size(), MTime: fi.ModTime().UnixNano()}
	r.CTime, r.Inode, r.Device = identity(fi)
	return r
}

// A Stamp is what tells whether a file is still as it was: the same file, of the same size and
// times of change.
type Stamp struct {
	path string
	was  digestRecord // zero for a file that wasn't there
}

// StampOf returns the stamp of a file that is open, by its path.
func StampOf(path string, fi fs.FileInfo) Stamp { return Stamp{path, recordOf(fi)} }

// StampAt returns the stamp of the file at a path, which need not be there.
func StampAt(path string) Stamp {
	fi, err := os.Stat(path)
	if err != nil {
		return Stamp{path: path}
	}
	return StampOf(path, fi)
}

// Same reports whether a file is as the stamp says.
func (s Stamp) Same(fi fs.FileInfo) bool { return recordOf(fi) == s.was }

// Current reports whether the file at the stamp's path is as the stamp says.
func (s Stamp) Current() bool { return StampAt(s.path) == s }

// Digest returns the SHA-256 of a regular file. It doesn't read a file again whose size, times
// of change and inode are as they were when it was last hashed.
func Digest(path string) (eligen.Digest, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	f, err := files.Open(abs)
	if err != nil {
		return "", err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return "", err
	}
	now := recordOf(fi)
	file := recordFile()
	records.Lock()
	known := readRecords(file)[abs]
	records.Unlock()
	if now.Digest = known.Digest; known == now && known.Digest != "" {
		return known.Digest, nil
	}
	if now.Digest, _, err = eligen.DigestAll(f); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	after, err := f.Stat()
	if err != nil || after.Size() != now.Size || after.ModTime().UnixNano() != now.MTime {
		return "", fmt.Errorf("%s changed while it was read", path)
	}
	same := recordOf(after)
	same.Digest = now.Digest
	if changed := time.Unix(0, max(now.MTime, now.CTime)); file != "" && same == now && time.Since(changed) > settled {
		records.Lock()
		defer records.Unlock()
		all := readRecords(file)
		all[abs] = now
		// Without a record the next run is slower, and nothing else.
		if data, err := json.MarshalIndent(all, "", " "); err == nil && os.MkdirAll(filepath.Dir(file), 0o755) == nil {
			_ = files.WriteBytes(file, data)
		}
	}
	return now.Digest, nil
}

func recordFile() string {
	dir, err := Dir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "digests.json")
}

// maxRecords bounds the size of the file of records, in bytes.
const maxRecords = 64 << 20

// readRecords returns an empty map where the file is missing or damaged.
func readRecords(file string) map[string]digestRecord {
	all := map[string]digestRecord{}
	data, err := files.Read(file, maxRecords)
	if err != nil || json.Unmarshal(data, &all) != nil || all == nil {
		return map[string]digestRecord{}
	}
	return all
}
