package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/eligen/eligen/internal/tensor"
)

const published = "../testdata/goldens/models/ip-adapter" // PyTorch wrote it, twice

func TestConvert(t *testing.T) {
	out := filepath.Join(t.TempDir(), "ip.safetensors")
	if err := Convert(filepath.FromSlash(published+".bin"), out, false); err != nil {
		t.Fatal(err)
	}
	got, err := tensor.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want, err := tensor.ReadFile(filepath.FromSlash(published + ".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%d tensors are others than the %d of the same file in safetensors", len(got), len(want))
	}
	c, err := Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Kind != KindIPAdapter {
		t.Errorf("what was written is %s", c.Kind)
	}
	before, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := Convert(filepath.FromSlash(published+".bin"), out, false); err == nil || !strings.Contains(err.Error(), "--force replaces it") {
		t.Errorf("a second time: %v", err)
	}
	if err := Convert(filepath.FromSlash(published+".bin"), out, true); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadFile(out); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the same file twice gives other bytes (%v)", err)
	}
}

// What can't be read leaves nothing behind, and takes nothing away.
func TestConvertRefuses(t *testing.T) {
	archive, err := os.ReadFile(filepath.FromSlash(published + ".bin"))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile(filepath.FromSlash(published + ".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	program := bytes.Replace(archive, []byte("ctorch._utils\n_rebuild_tensor_v2"), []byte("cposix._utils\nsystem_of_the_user"), 1)
	if bytes.Equal(program, archive) {
		t.Fatal("the archive's program has another form")
	}
	for _, c := range []struct {
		name, in, out string
		data          []byte
		unreadable    bool
		want          string
	}{
		{"safetensors", "in.bin", "out.safetensors", plain, true, "safetensors file already"},
		{"a pickle alone", "in.bin", "out.safetensors", []byte("\x80\x02}q\x00."), true, "not an archive of PyTorch"},
		{"cut short", "in.bin", "out.safetensors", archive[:len(archive)/2], true, "damaged"},
		{"another program", "in.bin", "out.safetensors", program, true, "posix._utils.system_of_the_user"},
		{"another ending", "in.bin", "out.bin", archive, false, "must end in .safetensors"},
		{"itself", "in.safetensors", "in.safetensors", archive, false, "is the file that is read"},
		{"no file", "", "out.safetensors", nil, false, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			in, out := filepath.Join(dir, c.in), filepath.Join(dir, c.out)
			if c.in == "" {
				in = filepath.Join(dir, "nowhere.bin")
			} else if err := os.WriteFile(in, c.data, 0o644); err != nil {
				t.Fatal(err)
			}
			err := Convert(in, out, true)
			var unreadable ErrUnreadable
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &unreadable) != c.unreadable {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			files, err := os.ReadDir(dir)
			if err != nil || len(files) > 1 || len(files) == 1 && files[0].Name() != c.in {
				t.Errorf("left are %v (%v)", files, err)
			}
		})
	}
}

// An archive whose tensors share their numbers is small, and would be large when each is
// written out: it is refused before a byte is.
func TestConvertRefusesBombs(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.bin"), filepath.Join(dir, "out.safetensors")
	for _, c := range []struct {
		tensors int
		want    string
	}{{4, ""}, {1000, "more than 8 times its"}} {
		if err := os.WriteFile(in, sharing(t, c.tensors), 0o600); err != nil {
			t.Fatal(err)
		}
		err := Convert(in, out, false)
		var unreadable ErrUnreadable
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, &unreadable)) {
			t.Errorf("%d tensors: %v, want %q", c.tensors, err, c.want)
		}
		if _, err := os.Stat(out); (err == nil) != (c.want == "") {
			t.Errorf("%d tensors: %v", c.tensors, err)
		}
		os.Remove(out)
	}
}

func TestConvertLooksForRoom(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.safetensors")
	if _, known := freeSpace(filepath.Dir(out)); !known {
		t.Skip("this system doesn't say how much room a disk has")
	}
	if err := hasRoom(out, 1); err != nil {
		t.Error(err)
	}
	if err := hasRoom(out, 1<<62); err == nil || !strings.Contains(err.Error(), "has room for") {
		t.Errorf("4 EiB: %v", err)
	}
}

// sharing returns an archive of PyTorch's with so many tensors of the same 64 KiB.
func sharing(t *testing.T, tensors int) []byte {
	t.Helper()
	var p bytes.Buffer
	text := func(s string) {
		p.WriteByte('X')
		p.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
		p.WriteString(s)
	}
	p.WriteString("\x80\x02}(")
	for i := range tensors {
		text(fmt.Sprintf("t%d", i))
		p.WriteString("ctorch._utils\n_rebuild_tensor_v2\n((")
		text("storage")
		p.WriteString("ctorch\nFloatStorage\n")
		text("0")
		text("cpu")
		p.WriteString("M\x00\x40tQK\x00M\x00\x40\x85K\x01\x85\x89Nt")
		p.WriteByte('R')
	}
	p.WriteString("u.")
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, data := range map[string][]byte{"x/data.pkl": p.Bytes(), "x/data/0": make([]byte, 4<<14)} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
