package runtime

import (
	"archive/tar"
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen"
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
	added, present, err := other.Import(bytes.NewReader(archive.Bytes()))
	if err != nil || added != 1 || present != 1 {
		t.Errorf("%d added, %d present, %v", added, present, err)
	}
	if a, ok, damage := other.Get(keys[0]); !ok || damage != nil || string(a.Data) != "one" {
		t.Errorf("the other store holds %q, %v", a.Data, damage)
	}
	var again bytes.Buffer
	if _, err := other.Export(&again, keys[:2]); err != nil || !bytes.Equal(archive.Bytes(), again.Bytes()) {
		t.Errorf("the same results are other bytes: %v", err)
	}

	// Another content of the same recipe: ours stays.
	if _, err := other.replace(keys[1], []byte("2")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := other.Import(bytes.NewReader(archive.Bytes())); !errors.Is(err, ErrNotDeterministic) {
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
		_, _, err := other.Import(bytes.NewReader(data))
		switch {
		case errors.Is(err, ErrDamaged):
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
	t.Logf("%d bytes flipped and %d cuts of %d bytes: %d refused, %d without effect", flips, refused+harmless-flips, archive.Len(), refused, harmless)
	if refused < 200 {
		t.Errorf("only %d refused", refused)
	}
}

// What is no result doesn't come in, whatever its name.
func TestImportRefuses(t *testing.T) {
	key := eligen.DigestOf([]byte("x"))
	for _, c := range []struct {
		name string
		head tar.Header
		want string
	}{
		{"a path out of the store", tar.Header{Typeflag: tar.TypeReg, Name: "../../" + string(key)}, "no result's name"},
		{"another folder", tar.Header{Typeflag: tar.TypeReg, Name: "runs/" + string(key)}, "no result's name"},
		{"a short name", tar.Header{Typeflag: tar.TypeReg, Name: "a"}, "no result's name"},
		{"a link", tar.Header{Typeflag: tar.TypeSymlink, Name: "results/" + string(key[:2]) + "/" + string(key), Linkname: "/etc/passwd"}, "no result's name"},
		{"a partial result", tar.Header{Typeflag: tar.TypeReg, Name: "results/" + string(key[:2]) + "/" + string(key) + ".partial"}, "no result's name"},
		{"a name in capitals", tar.Header{Typeflag: tar.TypeReg, Name: strings.ToUpper("results/" + string(key[:2]) + "/" + string(key))}, "no result's name"},
		{"an empty result", tar.Header{Typeflag: tar.TypeReg, Name: "results/" + string(key[:2]) + "/" + string(key)}, "not what its digest says"},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := errors.Join(w.WriteHeader(&c.head), w.Close()); err != nil {
			t.Fatal(err)
		}
		s, _ := fill(t)
		if _, _, err := s.Import(&b); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// A size that is claimed, and not there: nothing is set aside for it.
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Format: tar.FormatPAX, Name: "results/" + string(key[:2]) + "/" + string(key), Size: maxEntry + 1})
	s, _ := fill(t)
	if _, _, err := s.Import(&b); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "at most 4294967296") {
		t.Errorf("a size beyond the limit: %v", err)
	}
}
