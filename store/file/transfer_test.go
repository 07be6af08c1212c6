package file

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
)

// Results go from store to store; the same ones are the same bytes, and what is there
// already stays.
func TestExportImport(t *testing.T) {
	s, keys := fill(t, "one", "two", "three")
	var archive bytes.Buffer
	missing := eligen.DigestOf([]byte("nothing"))
	if n, err := s.Export(&archive, append([]eligen.Digest{missing}, keys[:2]...)); err != nil || n != 2 {
		t.Fatalf("%d exported, %v", n, err)
	}
	other, _ := fill(t, "two")
	got, err := other.Import(bytes.NewReader(archive.Bytes()))
	if want := (Imported{Added: 1, Present: 1, Whole: true}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if a, ok, damage := other.Get(keys[0]); !ok || damage != nil || string(a.Data) != "one" {
		t.Errorf("the other store holds %q, %v", a.Data, damage)
	}
	var again bytes.Buffer
	if _, err := other.Export(&again, keys[:2]); err != nil || !bytes.Equal(archive.Bytes(), again.Bytes()) {
		t.Errorf("the same results are other bytes: %v", err)
	}

	// Another content of the same recipe: ours stays.
	if _, err := replace(other, keys[1], "2"); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Import(bytes.NewReader(archive.Bytes())); !errors.Is(err, runtime.ErrNotDeterministic) {
		t.Errorf("other bytes of the same recipe: %v", err)
	}
	if a, _, _ := other.Get(keys[1]); string(a.Data) != "2" {
		t.Errorf("the store's own result became %q", a.Data)
	}
}

// Every byte of an archive is flipped, and it is cut at every length: what comes in is
// what was exported, or nothing.
func TestImportOfDamage(t *testing.T) {
	s, keys := fill(t, "one")
	var archive bytes.Buffer
	if _, err := s.Export(&archive, keys); err != nil {
		t.Fatal(err)
	}
	refused, harmless := 0, 0
	try := func(data []byte) {
		other, _ := fill(t)
		_, err := other.Import(bytes.NewReader(data))
		switch {
		case errors.Is(err, ErrArchive):
			refused++
		case err == nil:
			harmless++
		default:
			t.Errorf("an error of another kind: %v", err)
		}
		entries, err := other.Entries()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			a, ok, damage := other.Get(e.Digest)
			want, _, _ := s.Get(e.Digest)
			if !ok || damage != nil || !bytes.Equal(a.Data, want.Data) {
				t.Errorf("the store now holds %q as %s: %v", a.Data, e.Name, damage)
			}
		}
		other.Close()
	}
	for i := range archive.Len() {
		if i%512 > 160 && archive.Bytes()[i] == 0 && i%7 > 0 {
			continue // padding: one byte of it is like another
		}
		bad := slices.Clone(archive.Bytes())
		bad[i] ^= 0x01
		try(bad)
	}
	flips := refused + harmless
	for n := 0; n < archive.Len(); n += 13 {
		try(archive.Bytes()[:n])
	}
	t.Logf("%d bytes flipped and %d cuts of %d bytes: %d refused, %d without effect", flips, refused+harmless-flips,
		archive.Len(), refused, harmless)
	if refused < 200 {
		t.Errorf("only %d refused", refused)
	}
}

// What is no result doesn't come in, whatever its name.
func TestImportRefuses(t *testing.T) {
	key := eligen.DigestOf([]byte("x"))
	name := "results/" + string(key[:2]) + "/" + string(key)
	for _, c := range []struct {
		name string
		head tar.Header
		want string
	}{
		{"a path out of the store", tar.Header{Typeflag: tar.TypeReg, Name: "../../" + string(key)}, "no result's name"},
		{"another folder", tar.Header{Typeflag: tar.TypeReg, Name: "runs/" + string(key)}, "no result's name"},
		{"a short name", tar.Header{Typeflag: tar.TypeReg, Name: "a"}, "no result's name"},
		{"a link", tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: "/etc/passwd"}, "not a plain file"},
		{"a partial result", tar.Header{Typeflag: tar.TypeReg, Name: name + ".partial"}, "no result's name"},
		{"a name in capitals", tar.Header{Typeflag: tar.TypeReg, Name: strings.ToUpper(name)}, "no result's name"},
		{"an empty result", tar.Header{Typeflag: tar.TypeReg, Name: name}, "not what its digest says"},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := errors.Join(w.WriteHeader(&c.head), w.Close()); err != nil {
			t.Fatal(err)
		}
		s, _ := fill(t)
		if _, err := s.Import(&b); !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// A size that is claimed, and not there: nothing is set aside for it.
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(
		&tar.Header{
			Typeflag: tar.TypeReg,
			Format:   tar.FormatPAX,
			Name:     name,
			Size:     runtime.MaxResult + 1,
		},
	)
	s, _ := fill(t)
	if _, err := s.Import(&b); !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), "at most 4294967296") {
		t.Errorf("a size beyond the limit: %v", err)
	}
}

// boundaries returns where an archive's entries begin, and where the last ends.
func boundaries(t *testing.T, archive []byte) (at []int) {
	t.Helper()
	r := bytes.NewReader(archive)
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return at
		}
		if err != nil {
			t.Fatal(err)
		}
		begin := len(archive) - r.Len() - 512
		at = append(at, begin)
		if h.Name == endName {
			at = append(at, begin+1024)
		}
	}
}

// An archive that was cut between two results is no sound one, and neither is one from
// which a result was taken, or to which one was added. What it holds is kept.
func TestImportOfCuts(t *testing.T) {
	s, keys := fill(t, "one", "two", "three")
	var b bytes.Buffer
	if _, err := s.Export(&b, keys); err != nil {
		t.Fatal(err)
	}
	archive := b.Bytes()
	at := boundaries(t, archive) // begin, three results, end, end of end
	if len(at) != 6 {
		t.Fatalf("the archive's entries begin at %v", at)
	}
	trailer := make([]byte, 1024)
	for _, c := range []struct {
		name    string
		archive []byte
		added   int
		want    string
	}{
		{"nothing", nil, 0, "cut off"},
		{"cut behind its begin", archive[:at[1]], 0, "cut off"},
		{"cut behind two results", archive[:at[3]], 2, "cut off"},
		{"cut behind two results, and ended as tar would", slices.Concat(archive[:at[3]], trailer), 2, "cut off"},
		{"cut before its end", archive[:at[4]], 3, "cut off"},
		{"without its second result", slices.Concat(archive[:at[2]], archive[at[3]:]), 2, "does not fit"},
		{"with a result twice", slices.Concat(archive[:at[2]], archive[at[1]:]), 3, "does not fit"},
		{"one behind the other", slices.Concat(archive, archive), 3, "follows its end"},
		{"two in one", slices.Concat(archive[:at[5]], archive), 3, "follows its end"},
	} {
		other, _ := fill(t)
		got, err := other.Import(bytes.NewReader(c.archive))
		if !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), c.want) || got.Added != c.added || got.Whole {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
	other, _ := fill(t)
	if got, err := other.Import(bytes.NewReader(archive)); err != nil || got != (Imported{Added: 3, Whole: true}) {
		t.Errorf("whole: %+v, %v", got, err)
	}
	if got, err := other.Import(bytes.NewReader(slices.Concat(archive, make([]byte, 10240)))); err != nil ||
		got != (Imported{Present: 3, Whole: true}) {
		t.Errorf("whole, in records of 10 KiB: %+v, %v", got, err)
	}

	// Archives of before 0.2 are results and nothing else: they are taken, and don't
	// count as whole.
	before := slices.Concat(archive[at[1]:at[4]], trailer)
	other, _ = fill(t)
	if got, err := other.Import(bytes.NewReader(before)); err != nil || got != (Imported{Added: 3}) {
		t.Errorf("of before: %+v, %v", got, err)
	}
}

// A sparse file of two kilobytes stands for four gigabytes of zeros. None is read.
func TestImportOfHoles(t *testing.T) {
	key := eligen.DigestOf([]byte("x"))
	name := "results/" + string(key[:2]) + "/" + string(key)
	const size = runtime.MaxResult - 1
	record := func(k, v string) string {
		n := len(k) + len(v) + 3
		for len(fmt.Sprint(n))+len(k)+len(v)+3 != n {
			n = len(fmt.Sprint(n)) + len(k) + len(v) + 3
		}
		return fmt.Sprintf("%d %s=%s\n", n, k, v)
	}
	// What GNU tar writes of a file that is one hole: tar --sparse, in its formats.
	posix := func(records ...string) []byte {
		return slices.Concat(block('x', "PaxHeaders/x", strings.Join(records, "")), block('0', "GNUSparseFile.0/x", "0\n"))
	}
	for format, archive := range map[string][]byte{
		"posix 1.0": posix(record("GNU.sparse.major", "1"), record("GNU.sparse.minor", "0"), record("GNU.sparse.name", name),
			record("GNU.sparse.realsize", fmt.Sprint(int64(size)))),
		"posix 0.1": slices.Concat(block('x', "PaxHeaders/x", record("GNU.sparse.size", fmt.Sprint(int64(size)))+
			record("GNU.sparse.numblocks", "0")+record("GNU.sparse.map", "")+record("GNU.sparse.name", name)), block('0', name, "")),
	} {
		s, _ := fill(t)
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		_, err := s.Import(bytes.NewReader(append(archive, make([]byte, 1024)...)))
		goruntime.ReadMemStats(&after)
		if !errors.Is(err, ErrArchive) {
			t.Errorf("%s: %v", format, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
			t.Errorf("%s: %d MiB were taken", format, took>>20)
		}
	}
}

// block returns a file of a tar archive, as bytes.
func block(kind byte, name, content string) []byte {
	head := make([]byte, 512)
	copy(head, name)
	copy(head[100:], "0000644\x000000000\x000000000\x00")
	copy(head[124:], fmt.Sprintf("%011o\x0000000000000\x00        ", len(content)))
	head[156] = kind
	copy(head[257:], "ustar\x0000")
	sum := 0
	for _, b := range head {
		sum += int(b)
	}
	copy(head[148:], fmt.Sprintf("%06o\x00 ", sum))
	data := []byte(content)
	return append(head, append(data, make([]byte, (512-len(data)%512)%512)...)...)
}

// What is imported is not held: a result of 64 MiB takes little memory on its way.
func TestImportStreams(t *testing.T) {
	s, keys := fill(t, strings.Repeat("sixteen letters.", 4<<20))
	var b bytes.Buffer
	if _, err := s.Export(&b, keys); err != nil {
		t.Fatal(err)
	}
	other, _ := fill(t)
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	if _, err := other.Import(bytes.NewReader(b.Bytes())); err != nil {
		t.Fatal(err)
	}
	goruntime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
		t.Errorf("%d MiB were taken", took>>20)
	}
	if a, ok, err := other.Get(keys[0]); !ok || err != nil || len(a.Data) != 64<<20 {
		t.Errorf("it came as %d bytes: %v", len(a.Data), err)
	}
}
