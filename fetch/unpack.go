package fetch

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
)

// Unpack writes files of an archive (.tgz, .tar.gz, .zip, .whl) below dir. keep
// turns a member's name into a slash-separated path below dir, or into "" where
// the member isn't wanted. It reports how many files it wrote.
//
// Nothing is written outside of dir, links are ignored, and it fails rather
// than write more than limit bytes in all.
func Unpack(archive, dir string, limit int64, keep func(member string) string) (int, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	n := 0
	err = members(archive, func(name string, mode os.FileMode, open func() (io.ReadCloser, error)) error {
		to := keep(name)
		if to == "" {
			return nil
		}
		if !filepath.IsLocal(filepath.FromSlash(to)) {
			return fmt.Errorf("the member %q leads out of the folder", name)
		}
		if d := path.Dir(to); d != "." {
			if err := root.MkdirAll(d, 0o755); err != nil {
				return err
			}
		}
		in, err := open()
		if err != nil {
			return err
		}
		defer in.Close()
		out, err := root.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644|mode&0o111)
		if err != nil {
			return err
		}
		written, err := io.Copy(out, io.LimitReader(in, limit+1))
		if cerr := out.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if limit -= written; limit < 0 {
			return fmt.Errorf("%s: %w", name, ErrTooLarge)
		}
		n++
		return nil
	})
	if err != nil {
		return n, fmt.Errorf("%s: %w", archive, err)
	}
	return n, nil
}

// Member writes one member of an archive to a file, whole and with the right
// digest, or not at all. An empty digest is not checked.
func Member(archive, member, to string, digest eligen.Digest) error {
	found := false
	err := members(archive, func(name string, _ os.FileMode, open func() (io.ReadCloser, error)) error {
		if name != member || found {
			return nil
		}
		found = true
		in, err := open()
		if err != nil {
			return err
		}
		defer in.Close()
		return Write(in, to, digest)
	})
	if err == nil && !found {
		err = fmt.Errorf("it has no member %q", member)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", archive, err)
	}
	return nil
}

// Write copies r to a file, whole and with the right digest, or not at all. An empty digest
// is not checked.
func Write(r io.Reader, to string, digest eligen.Digest) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return files.WriteFile(to, func(w io.Writer) error {
		got, n, err := eligen.DigestAll(io.TeeReader(io.LimitReader(r, DefaultLimit+1), w))
		switch {
		case err != nil:
			return err
		case n > DefaultLimit:
			return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, int64(DefaultLimit))
		case digest != "" && got != digest:
			return fmt.Errorf("%w: its SHA-256 is %s, expected %s", ErrDigest, got, digest)
		}
		return nil
	})
}

// members calls visit for every regular file of an archive, in its order.
func members(archive string, visit func(name string, mode os.FileMode, open func() (io.ReadCloser, error)) error) error {
	switch {
	case strings.HasSuffix(archive, ".zip"), strings.HasSuffix(archive, ".whl"):
		z, err := zip.OpenReader(archive)
		if err != nil {
			return err
		}
		defer z.Close()
		for _, m := range z.File {
			if m.Mode().IsRegular() {
				if err := visit(m.Name, m.Mode(), m.Open); err != nil {
					return err
				}
			}
		}
		return nil
	case strings.HasSuffix(archive, ".tgz"), strings.HasSuffix(archive, ".tar.gz"):
		f, err := os.Open(archive)
		if err != nil {
			return err
		}
		defer f.Close()
		g, err := gzip.NewReader(f)
		if err != nil {
			return err
		}
		for t := tar.NewReader(g); ; {
			m, err := t.Next()
			if err == io.EOF {
				_, err = io.Copy(io.Discard, g) // up to the checksum
				return err
			}
			if err != nil {
				return err
			}
			if m.Typeflag == tar.TypeReg {
				if err := visit(m.Name, m.FileInfo().Mode(), func() (io.ReadCloser, error) { return io.NopCloser(t), nil }); err != nil {
					return err
				}
			}
		}
	}
	return fmt.Errorf("not an archive that can be unpacked (.tgz, .tar.gz, .zip, .whl)")
}
