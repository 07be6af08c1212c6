// Package container holds what the stages that write files share: the
// seal that ends each of them, and the containers that several write.
package container

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strings"

	"github.com/eligen/eligen/internal/sha"
)

// A file that eligen made ends with a seal: the SHA-256 of all bytes before it, in
// hex, in whatever the format has for things that readers skip. Whatever is changed in
// such a file, left out of it or put behind its end, the seal no longer fits.

// Seal names the seal in formats that name texts.
const Seal = "eligen-seal"

// An End is the last bytes of a format's files, around a seal.
type End func(seal string) []byte

// blank stands where the seal will.
var blank = strings.Repeat("0", 2*sha256.Size)

// Len returns the number of bytes.
func (e End) Len() int { return len(e(blank)) }

// before returns the bytes before the seal.
func (e End) before() []byte {
	b := e(blank)
	return b[:bytes.Index(b, []byte(blank))]
}

// Sealed reports whether what r holds ends so. It reads all of it, and keeps none.
func (e End) Sealed(r io.Reader) bool {
	sum, last, buf := sha.New(), []byte(nil), make([]byte, 1<<16)
	for {
		n, err := r.Read(buf)
		last = append(last, buf[:n]...)
		if more := len(last) - e.Len(); more > 0 {
			sum.Write(last[:more])
			last = append(last[:0], last[more:]...)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false
		}
	}
	sum.Write(e.before())
	return bytes.Equal(last, e(hex.EncodeToString(sum.Sum(nil))))
}

// A File takes bytes until one can't be written.
type File struct {
	w   io.Writer
	sum hash.Hash
	err error
}

// New returns a file that is written to w.
func New(w io.Writer) *File { return &File{w: w, sum: sha.New()} }

// Add writes parts of the file.
func (f *File) Add(parts ...[]byte) {
	for _, b := range parts {
		if f.err != nil {
			return
		}
		f.sum.Write(b)
		_, f.err = f.w.Write(b)
	}
}

// Err returns why the last addition can't be written.
func (f *File) Err() error { return f.err }

// Close writes the file's end.
func (f *File) Close(e End) error {
	before := e.before()
	f.Add(before)
	f.Add(e(hex.EncodeToString(f.sum.Sum(nil)))[len(before):])
	return f.err
}
