package exec

import (
	"errors"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/eligen/eligen/model/lora"
	"github.com/eligen/eligen/model/quant"
	"github.com/eligen/eligen/model/rows"
)

// A Plan says what a store holds of a network whose blocks run in turn, again and again. Blocks
// that are not held whole are made for each run, the next one while one runs.
type Plan struct {
	Held    int64 // bytes that stay
	Passing int64 // bytes of the two blocks that there are at once; 0 where all is held
	Read    int64 // bytes that are read from files each time around
	Decoded int64 // bytes that are made of weights as files store them, each time around

	stay   map[string]bool // scopes that are held as they are computed with
	packed map[string]bool // scopes that are held as they are stored
}

// Stays reports whether all blocks are held as they are computed with.
func (p Plan) Stays() bool { return p.Passing == 0 }

// packer returns what the loader has of weights as files store them; nil for none.
func (s *Store) packer() quant.Packer {
	p, _ := s.loader.(quant.Packer)
	return p
}

// isPacked reports whether a weight is stored in fewer bits than it is computed with, in a way that
// can be held.
func (s *Store) isPacked(name string) bool {
	f, ok := quant.Of(s.stored[name])
	return ok && !f.Plain() && s.packer() != nil && len(s.shapes[name]) == 2 && !lora.IsBeside(name)
}

// Stored names how most of the bytes of matrices are held: by a dtype, or a format of fewer bits.
func (s *Store) Stored() string {
	of := map[string]int64{}
	for name, shape := range s.shapes {
		if len(shape) != 2 {
			continue
		}
		as := strings.ToLower(s.dtype.String())
		if s.isPacked(name) || s.isIntegers(name) {
			as = strings.TrimSuffix(s.stored[name], rows.Scale(""))
		}
		of[as] += int64(s.shape(name).ByteSize())
	}
	most := ""
	for as, n := range of {
		if most == "" || n > of[most] || n == of[most] && as < most {
			most = as
		}
	}
	return most
}

// Packs reports whether any of the weights are stored in fewer bits than they are computed with.
func (s *Store) Packs() bool {
	for name := range s.shapes {
		if s.isPacked(name) {
			return true
		}
	}
	return false
}

// Plan finds what the store can hold within a number of bytes, of weights that wants chooses, in
// blocks named by scopes. Weights of no scope are held always, and blocks in the order of scopes.
// Room 0 is no limit; blocks that are stored in fewer bits are held so unless unpack says otherwise.
func (s *Store) Plan(scopes []string, wants func(name string) bool, room int64, unpack bool) (p Plan) {
	sizes := s.sizes(scopes, wants)
	p.stay, p.packed = map[string]bool{}, map[string]bool{}
	var largest, whole int64
	packs := false
	for _, b := range sizes {
		largest, whole = max(largest, b.whole), whole+b.whole
		packs = packs || b.stored < b.whole
	}
	fixed := sizes[""].whole // what is of no block
	if (!packs || unpack) && (room == 0 || whole <= room) {
		p.Held = whole
		for _, scope := range scopes {
			p.stay[scope] = true
		}
		return p
	}
	p.Held, p.Passing = fixed, 2*largest
	for _, scope := range scopes {
		b := sizes[scope]
		takes := b.whole
		if b.stored < b.whole {
			takes = b.stored
			p.Decoded += b.whole
		}
		switch fits := room == 0 || p.Held+p.Passing+takes <= room; {
		case !fits:
			p.Read += b.stored
		case takes < b.whole:
			p.packed[scope] = true
			p.Held += takes
		default:
			p.stay[scope] = true
			p.Held += takes
		}
	}
	return p
}

// blockSize is what a block's weights take: as they are computed with, and as files store them.
type blockSize struct{ whole, stored int64 }

func (s *Store) sizes(scopes []string, wants func(name string) bool) map[string]blockSize {
	known := map[string]bool{}
	for _, scope := range scopes {
		known[scope] = true
	}
	of := map[string]blockSize{}
	for name := range s.shapes {
		if !wants(name) {
			continue
		}
		scope := scopeOf(name, known)
		b := of[scope]
		n := int64(s.shape(name).ByteSize())
		b.whole += n
		if s.isPacked(name) {
			n = s.bytes[name]
		}
		b.stored += n
		of[scope] = b
	}
	return of
}

// scopeOf returns the scope that a weight is of: "" where it is of none.
func scopeOf(name string, known map[string]bool) string {
	for i := range len(name) {
		if name[i] == '.' && known[name[:i+1]] {
			return name[:i+1]
		}
	}
	return ""
}

// streaming is how a store holds a network whose blocks pass through.
type streaming struct {
	plan  Plan
	order []string            // in which blocks run, again and again; a block may run several times in it
	at    int                 // in order: the place behind the last one that ran
	names map[string][]string // by scope
	next  string              // scope that is being made; "" for none
	made  chan passing
}

type passing struct {
	weights map[string]*tensors.Tensor
	err     error
}

// Stream has the store hold what a plan says from the next run on. Blocks run in an order, in which each
// may come several times; another one costs time and nothing else.
func (s *Store) Stream(p Plan, order []string, wants func(name string) bool) error {
	if err := s.Settle(); err != nil {
		return err
	}
	s.streaming = nil
	if p.Stays() {
		return nil
	}
	known := map[string]bool{}
	for _, scope := range order {
		known[scope] = true
	}
	t := &streaming{plan: p, order: order, names: map[string][]string{}}
	for name := range s.shapes {
		if scope := scopeOf(name, known); scope != "" && wants(name) && !p.stay[scope] {
			t.names[scope] = append(t.names[scope], name)
		}
	}
	s.streaming = t
	// What passes through was held for another plan, perhaps.
	return s.ReleaseExcept(func(name string) bool { return len(t.names[scopeOf(name, known)]) == 0 })
}

// Settle frees the block that was made ahead of the run that never came.
func (s *Store) Settle() (err error) {
	t := s.streaming
	if t == nil || t.next == "" {
		return nil
	}
	ahead := <-t.made
	t.next = ""
	return errors.Join(ahead.err, ahead.free())
}

func (p passing) free() (err error) {
	for _, t := range p.weights {
		err = errors.Join(err, t.FinalizeAll())
	}
	return err
}

// take returns the weights of a run that pass through, and begins to make those of the next one.
func (s *Store) take(scope string) (passing, error) {
	t := s.streaming
	if t == nil || t.names[scope] == nil {
		return passing{}, nil
	}
	var p passing
	if t.next == scope {
		p = <-t.made
		t.next = ""
	} else {
		if err := s.Settle(); err != nil {
			return p, err
		}
		p = s.makeBlock(scope)
	}
	if p.err != nil {
		return p, errors.Join(p.err, p.free())
	}
	if t.next = t.after(scope); t.next != "" {
		t.made = make(chan passing, 1)
		go func(scope string, made chan<- passing) { made <- s.makeBlock(scope) }(t.next, t.made)
	}
	return p, nil
}

// after returns the scope that passes through next, after one that runs now; "" where it is the same one.
func (t *streaming) after(scope string) string {
	n := len(t.order)
	for i := range n {
		if at := (t.at + i) % n; t.order[at] == scope {
			t.at = at + 1
			break
		}
	}
	for i := range n - 1 {
		if next := t.order[(t.at+i)%n]; t.names[next] != nil {
			return next
		}
	}
	return ""
}

// makeBlock makes the weights of a scope, several at a time.
func (s *Store) makeBlock(scope string) passing {
	names := s.streaming.names[scope]
	loaded, err := s.loadAll(names, func(name string) (*tensors.Tensor, error) {
		if !s.streaming.plan.packed[scope] || !s.isPacked(name) {
			return s.loadTensor(name)
		}
		return s.unpack(name)
	})
	p := passing{weights: map[string]*tensors.Tensor{}, err: err}
	for i, t := range loaded {
		if t != nil {
			p.weights[names[i]] = t
		}
	}
	return p
}

// unpack makes a weight of what is held of it as it is stored, which is read the first time.
func (s *Store) unpack(name string) (*tensors.Tensor, error) {
	s.packing.Lock()
	t, ok := s.packed[name]
	s.packing.Unlock()
	if !ok {
		var err error
		if t, ok, err = s.packer().Packed(name); err != nil {
			return nil, err
		}
		if !ok {
			return s.loadTensor(name) // a LoRA is in it
		}
		s.packing.Lock()
		s.packed[name] = t
		s.packing.Unlock()
	}
	return s.loadFrom(name, decoded{t})
}

// decoded is a tensor that is held as it is stored.
type decoded struct{ t quant.Tensor }

func (d decoded) Floats(_ string, from int, dst []float32) error {
	d.t.Decode(dst, from)
	return nil
}

func (d decoded) Bytes(string, []byte) (bool, error) { return false, nil }

// packedBytes returns what is held of weights as files store them.
func (s *Store) packedBytes() (n int64) {
	s.packing.Lock()
	defer s.packing.Unlock()
	for _, t := range s.packed {
		n += t.Bytes()
	}
	return n
}
