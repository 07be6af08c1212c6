// Package torch finds the tensors in files that PyTorch's torch.save writes.
//
// Such a file is a zip archive: a pickle, which is a program, and the numbers,
// uncompressed. The program is not run. It is read by a machine that knows
// dictionaries, lists and tensors; whatever else it asks for is an error.
package torch

import (
	"archive/zip"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/eligen/eligen/internal/tensor"
)

// Magic begins such files. Those of PyTorch before 1.6 don't have it, and
// are not read.
const Magic = "PK\x03\x04"

// storages are the kinds of numbers, with safetensors' names and bytes of each.
var storages = map[string]struct {
	dtype string
	size  int64
}{
	"torch.FloatStorage": {"F32", 4}, "torch.HalfStorage": {"F16", 2}, "torch.BFloat16Storage": {"BF16", 2},
	"torch.DoubleStorage": {"F64", 8}, "torch.LongStorage": {"I64", 8}, "torch.IntStorage": {"I32", 4},
	"torch.ShortStorage": {"I16", 2}, "torch.CharStorage": {"I8", 1}, "torch.ByteStorage": {"U8", 1}, "torch.BoolStorage": {"BOOL", 1},
}

// Read lists the tensors of a file of a size, in order of offset. Those in
// dictionaries in dictionaries are named by all keys, with dots between. It trusts
// nothing that the file says.
func Read(r io.ReaderAt, size int64) ([]tensor.Info, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("not a file of PyTorch's, or a damaged one: %w", err)
	}
	a := archive{entries: map[string]*zip.File{}, size: size}
	for _, f := range z.File {
		_, name, _ := strings.Cut(f.Name, "/") // the folder is named after the file
		if a.entries[name] != nil {
			return nil, fmt.Errorf("the archive holds %q twice", f.Name)
		}
		a.entries[name] = f
	}
	if order, err := a.read(r, "byteorder", 16); err == nil && string(order) != "little" {
		return nil, fmt.Errorf("the numbers are stored %q end first, eligen reads little", order)
	}
	program, err := a.read(r, "data.pkl", tensor.MaxHeader)
	if err != nil {
		return nil, err
	}
	top, err := run(program)
	if err != nil {
		return nil, fmt.Errorf("data.pkl: %w", err)
	}
	if err := a.collect("", top, 0); err != nil {
		return nil, err
	}
	slices.SortFunc(a.found, func(x, y tensor.Info) int {
		return cmp.Or(cmp.Compare(x.Offset, y.Offset), cmp.Compare(x.Name, y.Name))
	})
	return a.found, nil
}

// maxName is the longest name of a tensor: dictionaries in dictionaries make long ones of
// few bytes.
const maxName = 1000

type archive struct {
	entries map[string]*zip.File // without their folder
	size    int64                // of the file
	seen    int                  // values that were looked at
	names   map[string]bool
	found   []tensor.Info
}

// locate returns the offset of an entry's bytes in the file.
func (a *archive) locate(name string) (at, n int64, err error) {
	f := a.entries[name]
	if f == nil {
		return 0, 0, fmt.Errorf("the archive has no %s", name)
	}
	if f.Method != zip.Store || f.CompressedSize64 != f.UncompressedSize64 {
		return 0, 0, fmt.Errorf("%s is compressed, as PyTorch leaves nothing", name)
	}
	if at, err = f.DataOffset(); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", name, err)
	}
	if f.UncompressedSize64 > uint64(a.size) || at > a.size-int64(f.UncompressedSize64) {
		return 0, 0, fmt.Errorf("%s is cut off: the file ends before it does", name)
	}
	return at, int64(f.UncompressedSize64), nil
}

func (a *archive) read(r io.ReaderAt, name string, limit int64) ([]byte, error) {
	at, n, err := a.locate(name)
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("%s has %d bytes; the limit is %d", name, n, limit)
	}
	data := make([]byte, n)
	if _, err := r.ReadAt(data, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data, nil
}

// collect takes the tensors out of dictionaries. What else is there, a count of
// steps say, is left.
func (a *archive) collect(name string, v any, depth int) error {
	// A dictionary can hold itself, and one many times over.
	if a.seen++; a.seen > 4*tensor.MaxTensors || depth > 16 {
		return errors.New("dictionaries lie in dictionaries without end")
	}
	switch v := v.(type) {
	case *dict:
		for _, item := range v.items {
			key := fmt.Sprint(item.key)
			if name != "" {
				key = name + "." + key
			}
			if len(key) > maxName {
				return fmt.Errorf("a tensor's name has more than %d characters", maxName)
			}
			if err := a.collect(key, item.value, depth+1); err != nil {
				return err
			}
		}
	case view:
		if a.names == nil {
			a.names = map[string]bool{}
		}
		if a.names[name] {
			return fmt.Errorf("tensor %q is there twice", name)
		}
		a.names[name] = true
		info, err := a.position(v)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		info.Name = name
		a.found = append(a.found, info)
		if len(a.found) > tensor.MaxTensors {
			return fmt.Errorf("more than %d tensors", tensor.MaxTensors)
		}
	}
	return nil
}

// position returns the position of a tensor's numbers.
func (a *archive) position(t view) (info tensor.Info, err error) {
	kind := storages[t.in.kind]
	at, n, err := a.locate("data/" + t.in.key)
	if err != nil {
		return info, err
	}
	count := int64(1)
	shape := make([]int, len(t.shape))
	for i := len(t.shape) - 1; i >= 0; i-- {
		d := t.shape[i]
		if d < 0 || d > 0 && count > math.MaxInt64/16/d {
			return info, fmt.Errorf("impossible shape %v", t.shape)
		}
		if d > 1 && count > 0 && t.strides[i] != count {
			return info, fmt.Errorf("its shape is %v, but its numbers lie %v apart: save a contiguous copy of it", t.shape, t.strides)
		}
		shape[i] = int(d)
		count *= d
	}
	if t.offset < 0 || t.offset > n/kind.size || count > n/kind.size-t.offset {
		return info, fmt.Errorf("%s%v at %d does not fit into the %d bytes of data/%s", kind.dtype, t.shape, t.offset, n, t.in.key)
	}
	return tensor.Info{DType: kind.dtype, Shape: shape, Offset: at + t.offset*kind.size, Size: count * kind.size}, nil
}

// What the machine knows, besides int64, float64, bool, string and nil.
type (
	list   struct{ items []any }
	tuple  []any
	dict   struct{ items []item }
	item   struct{ key, value any }
	global string // a name that the pickle imports
	mark   struct{}

	storage struct{ kind, key string }
	view    struct {
		in             storage
		offset         int64 // elements
		shape, strides []int64
	}
)

// imports are all names that a pickle may use, besides those of storages.
var imports = []global{"torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter", "collections.OrderedDict", "torch.Size"}

// A machine reads a pickle.
type machine struct {
	code  *bytes.Reader
	stack []any
	memo  map[uint32]any
}

// broken is a pickle that makes no sense. The machine's helpers panic with it.
type broken string

// run returns the value that a pickle describes.
func run(program []byte) (result any, err error) {
	m := &machine{code: bytes.NewReader(program), memo: map[uint32]any{}}
	defer func() {
		if r := recover(); r != nil {
			b, ok := r.(broken)
			if !ok {
				panic(r)
			}
			err = errors.New(string(b))
		}
	}()
	for {
		op := m.bytes(1)[0]
		if op == '.' {
			return m.pop(), nil
		}
		if !m.pushes(op) && !m.collects(op) && !m.remembers(op) {
			panic(broken(fmt.Sprintf("it holds more than tensors: an instruction %#x", op)))
		}
	}
}

// pushes runs an instruction that pushes a value of its own, and reports whether it is one.
func (m *machine) pushes(op byte) bool {
	switch op {
	case 0x80: // PROTO
		if v := m.number(1); v < 2 || v > 5 {
			panic(broken(fmt.Sprintf("a pickle of protocol %d", v)))
		}
	case 0x95: // FRAME
		m.bytes(8)
	case '(':
		m.push(mark{})
	case 'N':
		m.push(nil)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		m.push(op == 0x88)
	case 'K': // BININT1
		m.push(m.number(1))
	case 'M': // BININT2
		m.push(m.number(2))
	case 'J': // BININT
		m.push(int64(int32(m.number(4))))
	case 0x8a: // LONG1
		n := m.number(1)
		if n > 8 {
			panic(broken("a number of more than 64 bits"))
		}
		v := m.number(n)
		if n > 0 && n < 8 && v>>(8*n-1) != 0 {
			v -= 1 << (8 * n)
		}
		m.push(v)
	case 'G': // BINFLOAT, the other end first
		b := m.bytes(8)
		slices.Reverse(b)
		m.push(math.Float64frombits(uint64(little(b))))
	case 'X': // BINUNICODE
		m.push(string(m.bytes(m.number(4))))
	case 0x8c: // SHORT_BINUNICODE
		m.push(string(m.bytes(m.number(1))))
	default:
		return false
	}
	return true
}

// collects runs an instruction that makes a value of others.
func (m *machine) collects(op byte) bool {
	switch op {
	case '}':
		m.push(&dict{})
	case ']':
		m.push(&list{})
	case ')':
		m.push(tuple{})
	case 't':
		m.push(tuple(m.toMark()))
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		m.push(tuple(m.popN(int(op - 0x84))))
	case 'a', 'e': // APPEND, APPENDS
		items := m.some(op == 'e', 1)
		as[*list](m.top()).items = append(as[*list](m.top()).items, items...)
	case 's', 'u': // SETITEM, SETITEMS
		items := m.some(op == 'u', 2)
		d := as[*dict](m.top())
		if len(items)%2 != 0 {
			panic(broken("a key without a value"))
		}
		for i := 0; i < len(items); i += 2 {
			switch items[i].(type) {
			case string, int64:
			default:
				panic(broken("a key that is neither text nor a number"))
			}
			d.items = append(d.items, item{items[i], items[i+1]})
		}
	case 'c': // GLOBAL
		m.push(known(m.line() + "." + m.line()))
	case 0x93: // STACK_GLOBAL
		names := m.popN(2)
		m.push(known(as[string](names[0]) + "." + as[string](names[1])))
	case 'R': // REDUCE
		args := as[tuple](m.pop())
		m.push(call(as[global](m.pop()), args))
	case 'b': // BUILD: attributes, such as a state dictionary's versions, which nothing reads
		m.pop()
		m.top()
	case 'Q': // BINPERSID
		id := as[tuple](m.pop())
		if len(id) != 5 || id[0] != "storage" {
			panic(broken("something that is stored, and no tensor"))
		}
		m.push(storage{string(as[global](id[1])), as[string](id[2])})
	default:
		return false
	}
	return true
}

// remembers runs an instruction that keeps a value, or recalls one.
func (m *machine) remembers(op byte) bool {
	switch op {
	case 'q': // BINPUT
		m.memo[uint32(m.number(1))] = m.top()
	case 'r': // LONG_BINPUT
		m.memo[uint32(m.number(4))] = m.top()
	case 0x94: // MEMOIZE
		m.memo[uint32(len(m.memo))] = m.top()
	case 'h': // BINGET
		m.recall(m.number(1))
	case 'j': // LONG_BINGET
		m.recall(m.number(4))
	default:
		return false
	}
	return true
}

// known refuses names that stand for code.
func known(name string) global {
	if _, ok := storages[name]; !ok && !slices.Contains(imports, global(name)) {
		panic(broken(fmt.Sprintf("it holds more than tensors, and asks for %s. eligen runs nothing that a file brings along", name)))
	}
	return global(name)
}

// call returns what PyTorch makes of arguments.
func call(name global, args tuple) any {
	at := func(i int) any {
		if i >= len(args) {
			panic(broken(fmt.Sprintf("%s of %d arguments", name, len(args))))
		}
		return args[i]
	}
	switch name {
	case "torch._utils._rebuild_tensor_v2":
		t := view{in: as[storage](at(0)), offset: as[int64](at(1)), shape: numbers(at(2)), strides: numbers(at(3))}
		if _, ok := storages[t.in.kind]; !ok || len(t.strides) != len(t.shape) {
			panic(broken("a tensor that makes no sense"))
		}
		return t
	case "torch._utils._rebuild_parameter":
		return as[view](at(0))
	case "torch.Size":
		return as[tuple](at(0))
	case "collections.OrderedDict":
		if len(args) == 0 {
			return &dict{}
		}
	}
	panic(broken(fmt.Sprintf("%s of %d arguments", name, len(args))))
}

func numbers(v any) (list []int64) {
	for _, x := range as[tuple](v) {
		list = append(list, as[int64](x))
	}
	return list
}

// as returns a value that must be of a type.
func as[T any](v any) T {
	x, ok := v.(T)
	if !ok {
		panic(broken("a value of another kind than belongs there"))
	}
	return x
}

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

func (m *machine) top() any { return m.peek(1)[0] }

func (m *machine) peek(n int) []any {
	if n > len(m.stack) {
		panic(broken("it takes more values than there are"))
	}
	return m.stack[len(m.stack)-n:]
}

func (m *machine) popN(n int) []any {
	list := slices.Clone(m.peek(n))
	m.stack = m.stack[:len(m.stack)-n]
	return list
}

func (m *machine) pop() any { return m.popN(1)[0] }

// toMark pops everything since the last mark.
func (m *machine) toMark() []any {
	for i := len(m.stack) - 1; i >= 0; i-- {
		if m.stack[i] == (mark{}) {
			list := m.popN(len(m.stack) - i - 1)
			m.pop()
			return list
		}
	}
	panic(broken("it goes back to a mark that isn't there"))
}

// some pops everything since the last mark, or n values.
func (m *machine) some(marked bool, n int) []any {
	if marked {
		return m.toMark()
	}
	return m.popN(n)
}

func (m *machine) recall(at int64) {
	v, ok := m.memo[uint32(at)]
	if !ok {
		panic(broken("it recalls what it didn't keep"))
	}
	m.push(v)
}

func (m *machine) bytes(n int64) []byte {
	if n > int64(m.code.Len()) {
		panic(broken("it is cut off"))
	}
	b := make([]byte, n)
	_, _ = m.code.Read(b) // as many are there
	return b
}

func little(b []byte) (v int64) {
	for i, x := range b {
		v |= int64(x) << (8 * i)
	}
	return v
}

func (m *machine) number(n int64) int64 { return little(m.bytes(n)) }

func (m *machine) line() string {
	var b strings.Builder
	for {
		c := m.bytes(1)[0]
		if c == '\n' {
			return b.String()
		}
		b.WriteByte(c)
	}
}
