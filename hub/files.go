package hub

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"regexp"

	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/sha"
)

var (
	sha256Of = regexp.MustCompile(`^[0-9a-f]{64}$`)
	sha1Of   = commitOf
)

// checkFile returns an error for an entry of a listing that can't be fetched safely.
func checkFile(f File) error {
	if err := checkName(f.Name); err != nil {
		return err
	}
	switch {
	case f.Size < 0:
		return fmt.Errorf("the listing gives %s a size of %d bytes", f.Name, f.Size)
	case f.SHA256 != "" && !sha256Of.MatchString(string(f.SHA256)), f.SHA1 != "" && !sha1Of.MatchString(f.SHA1), f.digest() == "":
		return fmt.Errorf("the listing gives %s no digest by which it could be checked", f.Name)
	case f.Xet != "" && !sha256Of.MatchString(f.Xet):
		return fmt.Errorf("the listing gives %s a name in Xet storage that is none", f.Name)
	}
	return nil
}

// newHash returns the hash by which a file's digest is taken: SHA-256, or git's of a blob.
func (f File) newHash() hash.Hash {
	if f.SHA256 != "" {
		return sha.New()
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", f.Size)
	return h
}

// sum returns the digest of what a hash was given.
func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// check reads a file on the disk, and reports whether it is the hub's.
func (f File) check(path string) (got string, ok bool, err error) {
	in, err := files.Open(path)
	if err != nil {
		return "", false, err
	}
	defer in.Close()
	h := f.newHash()
	if _, err := io.Copy(h, in); err != nil {
		return "", false, err
	}
	got = sum(h)
	return got, got == f.digest(), nil
}

// copyInto writes a file from a stream, atomically.
func copyInto(folder files.Folder, name string, in io.Reader) error {
	w := folder.NewFile(name)
	defer w.Close()
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{in}, make([]byte, 1<<20)); err != nil {
		return err
	}
	return w.Commit()
}
