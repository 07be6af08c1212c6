package torch

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eligen/eligen/internal/tensor"
)

const golden = "../testdata/goldens/models/ip-adapter"

// The same tensors are in a file of PyTorch's and in one of safetensors.
func TestReadIsSafetensors(t *testing.T) {
	data, err := os.ReadFile(filepath.FromSlash(golden + ".bin"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.FromSlash(golden + ".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := tensor.ReadHeader(bytes.NewReader(want), int64(len(want)))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(list) {
		t.Errorf("%d tensors, want %d", len(got), len(list))
	}
	for _, w := range list {
		i := slices.IndexFunc(got, func(x tensor.Info) bool { return x.Name == w.Name })
		if i < 0 {
			t.Errorf("no tensor %q", w.Name)
			continue
		}
		g := got[i]
		if g.DType != w.DType || !slices.Equal(g.Shape, w.Shape) || !bytes.Equal(data[g.Offset:g.Offset+g.Size], want[w.Offset:w.Offset+w.Size]) {
			t.Errorf("%+v is not %+v", g, w)
		}
	}
}

// save makes an archive with a pickle and one storage of 24 bytes.
func save(pickle string, more ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	files := append([]string{"data.pkl", pickle, "data/0", strings.Repeat("abcd", 6)}, more...)
	for i := 0; i < len(files); i += 2 {
		w, err := z.CreateHeader(&zip.FileHeader{Name: "x/" + files[i], Method: zip.Store})
		if err == nil {
			_, err = w.Write([]byte(files[i+1]))
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func text(s string) string { return fmt.Sprintf("X%c\x00\x00\x00%s", len(s), s) }

// matrix pickles a tensor of 2×3 float32.
func matrix(kind, key string, offset byte, strides string) string {
	return "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" + kind + "\n" + text(key) + text("cpu") + "K\x06tQ" +
		"K" + string(rune(offset)) + "K\x02K\x03\x86" + strides + "\x89ccollections\nOrderedDict\n)RtR"
}

const rows = "K\x03K\x01\x86" // strides of a contiguous matrix of 2×3

func TestRead(t *testing.T) {
	w := matrix("FloatStorage", "0", 0, rows)
	for _, c := range []struct {
		what, pickle string
		want         string // the tensors, or part of the error
	}{
		{"a dictionary", "\x80\x02}" + text("w") + w + "s.", "w F32 [2 3] 24"},
		{"in another, with attributes", "\x80\x02ccollections\nOrderedDict\n)R(" + text("a") + "}" + text("b") + w + "su}b.", "a.b F32 [2 3] 24"},
		{"kept and recalled", "\x80\x02}(" + text("v") + w + "q\x01" + text("w") + "h\x01u.", "v F32 [2 3] 24; w F32 [2 3] 24"},
		{"beside numbers, under a number", "\x80\x02}(" + text("step") + "K\x07" + "K\x01" + w + "u.", "1 F32 [2 3] 24"},
		{"half as long", "\x80\x02}" + text("w") + matrix("HalfStorage", "0", 6, rows) + "s.", "w F16 [2 3] 12"},
		{"no dictionary", "\x80\x02K\x07.", ""},

		{"a program", "\x80\x02cposix\nsystem\n(" + text("rm") + "tR.", "asks for posix.system"},
		{"a program of a later protocol", "\x80\x04\x8c\x05posix\x8c\x06system\x93.", "asks for posix.system"},
		{"an object", "\x80\x02ctorch\nFloatStorage\n)\x81.", "an instruction 0x81"},
		{"a call of what is no function", "\x80\x02ctorch\nFloatStorage\n)R.", "torch.FloatStorage of 0 arguments"},
		{"a number that is called", "\x80\x02K\x01)R.", "another kind"},
		{"columns first", "\x80\x02}" + text("w") + matrix("FloatStorage", "0", 0, "K\x01K\x02\x86") + "s.", "contiguous"},
		{"past the end", "\x80\x02}" + text("w") + matrix("FloatStorage", "0", 1, rows) + "s.", "does not fit"},
		{"twice as long", "\x80\x02}" + text("w") + matrix("LongStorage", "0", 0, rows) + "s.", "does not fit"},
		{"of another storage", "\x80\x02}" + text("w") + matrix("FloatStorage", "1", 0, rows) + "s.", "has no data/1"},
		{"one name twice", "\x80\x02}(" + text("w") + w + text("w") + w + "u.", "twice"},
		{"itself", "\x80\x02}q\x00" + text("w") + "h\x00s.", "without end"},
		{"cut off", "\x80\x02}(" + text("w"), "cut off"},
		{"no mark", "\x80\x02}u.", "a mark that isn't there"},
		{"nothing", "\x80\x02.", "more values than there are"},
		{"never kept", "\x80\x02h\x05.", "recalls"},
		{"an old protocol", "\x80\x01}.", "protocol 1"},
	} {
		data := save(c.pickle)
		got, err := Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			if c.want == "" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", c.what, err)
			}
			continue
		}
		var list []string
		for _, x := range got {
			list = append(list, fmt.Sprint(x.Name, " ", x.DType, " ", x.Shape, " ", x.Size))
		}
		if s := strings.Join(list, "; "); s != c.want {
			t.Errorf("%s: %q, want %q", c.what, s, c.want)
		}
	}
}

func TestReadArchive(t *testing.T) {
	good := "\x80\x02}" + text("w") + matrix("FloatStorage", "0", 0, rows) + "s."
	for _, c := range []struct {
		what string
		data []byte
		want string
	}{
		{"the other end first", save(good, "byteorder", "big"), "end first"},
		{"a name twice", save(good, "data/0", "x"), "twice"},
		{"cut off", save(good)[:300], "damaged"},
	} {
		if _, err := Read(bytes.NewReader(c.data), int64(len(c.data))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// Whatever a pickle says, its tensors lie in the file.
func FuzzRead(f *testing.F) {
	w := matrix("FloatStorage", "0", 0, rows)
	f.Add("\x80\x02}" + text("w") + w + "s.")
	f.Add("\x80\x02ccollections\nOrderedDict\n)R(" + text("a") + "}q\x01" + text("b") + w + "s" + text("c") + "h\x01u}b.")
	f.Fuzz(func(t *testing.T, pickle string) {
		data := save(pickle)
		list, err := Read(bytes.NewReader(data), int64(len(data)))
		for _, x := range list {
			if err != nil || x.Offset < 0 || x.Size < 0 || x.Offset+x.Size > int64(len(data)) {
				t.Errorf("%+v in %d bytes, %v", x, len(data), err)
			}
		}
	})
}
