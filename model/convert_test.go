package model

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/eligen/eligen"
)

const published = "testdata/goldens/models/ip-adapter" // PyTorch wrote it, twice

func TestConvert(t *testing.T) {
	out := filepath.Join(t.TempDir(), "ip.safetensors")
	if err := Convert(filepath.FromSlash(published+".bin"), out, false); err != nil {
		t.Fatal(err)
	}
	got, err := eligen.ReadTensorFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want, err := eligen.ReadTensorFile(filepath.FromSlash(published + ".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%d tensors are others than the %d of the same file in safetensors", len(got), len(want))
	}
	if r, err := Inspect(out); err != nil || r.Kind != KindIPAdapter || r.Problem != "" {
		t.Errorf("what was written is %+v, %v", r, err)
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
		{"a pickle alone", "in.bin", "out.safetensors", []byte("\x80\x02}q\x00."), true, "no archive of PyTorch"},
		{"cut short", "in.bin", "out.safetensors", archive[:len(archive)/2], true, "damaged"},
		{"another program", "in.bin", "out.safetensors", program, true, "posix._utils.system_of_the_user"},
		{"another ending", "in.bin", "out.bin", archive, false, "doesn't end in .safetensors"},
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
