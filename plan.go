package eligen

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/eligen/eligen/internal/sha"
	"github.com/eligen/eligen/internal/tensor"
)

// A Plan is a list of stages in an order that can be run: a stage's inputs are
// all earlier in the list. So a plan cannot hold a cycle, and needs no sort.
type Plan struct {
	Scene   string // path of the scene file
	Engine  string // engine ID
	Folder  string // outputs are below it
	Renders []PlannedRender
	Stages  []Stage
	Outputs []PlannedOutput
	Checks  []PlannedCheck
	Scenes  []PlannedScene // that were joined; none: it is one scene's plan
	index   map[Digest]Ref
}

// A Stage is one step: an Op, and the earlier stages whose results it reads.
type Stage struct {
	Name   string // address, for people: "render.picnic.denoise"
	Op     Op
	Inputs []Ref
	Digest Digest // of the recipe: the Op, its inputs' digests, and the engine where it is used
	Source Source // the block to blame
	// Record is the Op that would make a file of what this stage's picture is part of,
	// where no stage does: for screens and journals. It is no part of the recipe. nil:
	// there is none.
	Record Op
	// Work is about how much there is to compute, in a unit of the kind's own: twice
	// the work takes twice the time. It is no part of the recipe.
	Work float64
}

// A PlannedRender is what a render asks of the machine, as far as is known.
type PlannedRender struct {
	Address string
	Regions []int // image tokens of each entity's region by the reference's rule, before the render's rule for overlaps
	// What attention is over: tokens of the picture, of the prompt, and of the
	// entities' prompts together.
	Image, Prompt, Entities int
	// Floating-point operations of a step, the negative branch included; 0 is not
	// known. Attention is those of its two products, and part of Total.
	Attention, Total float64
	Memory           int64 // bytes at the peak; 0 is not known

	// Bytes that are held of the transformer and its dtype or format, and of the text encoders; and
	// what a step, and what a prompt, reads from files, since not all can be held.
	Transformer, Text      int64
	Stored                 string
	StepReads, PromptReads int64
}

// Sequence returns how many tokens attention is computed over.
func (r PlannedRender) Sequence() int { return r.Image + r.Prompt + r.Entities }

// A PlannedOutput is a file that a stage's result is copied to.
type PlannedOutput struct {
	Render string // address
	Path   string // in the operating system's form, ready to open
	Stage  Ref
	Source Source
}

// A PlannedCheck is a check, and the stages that measure what its asserts call:
// for each Assert, one for each of its Metrics.
type PlannedCheck struct {
	Check  *Check
	Values [][]Ref
}

// A Ref is a stage's place in its Plan.
type Ref int

// An Op is a kind of step. Its exported fields are its recipe: two Ops with the
// same Kind and fields make the same bytes from the same inputs. A field that
// doesn't affect bytes is tagged `recipe:"-"`. One that came later, and is zero where
// it isn't used, is tagged `recipe:"omitzero"`: recipes of before stay what they were.
type Op interface {
	Kind() string // "denoise/1"; a new number says that old results are stale
	Run(context.Context, *Call) error
}

// An EngineOp is an Op whose bytes depend on the engine that runs it.
type EngineOp interface {
	Op
	UsesEngine()
}

// A Call is one run of an Op.
type Call struct {
	Inputs []Artifact         // results of the stage's inputs, in order
	Out    io.Writer          // takes the result
	Engine Engine             // runs models
	Step   func(step, of int) // reports progress; never nil
	// Show is shown, before the Step, the latents that a step leads to, [channels, h, w]: they are the
	// caller's. Nil where nobody looks.
	Show  func(tensor.Tensor)
	Saved func() ([]byte, int) // what Save kept of an interrupted run, and its step; nil, 0 if nothing. May be nil
	Save  func([]byte, int)    // keeps enough to go on from a step. May be nil
}

// An Artifact is a stage's result, kept in the store.
type Artifact struct {
	Digest Digest `json:"digest"` // of the recipe
	Path   string `json:"path"`   // of the store's entry: a line, then the content
	Size   int64  `json:"size"`   // of the content, bytes
	Data   []byte `json:"-"`      // the content, where it was read and checked

	// Open opens the content, where it is not in Data. It is checked while it is read:
	// damage is an error before the end.
	Open func() (io.ReadCloser, error) `json:"-"`
}

// Read returns the content: Data, or all that Open gives.
func (a Artifact) Read() ([]byte, error) {
	if a.Open == nil {
		return a.Data, nil
	}
	r, err := a.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data := make([]byte, a.Size, a.Size+1) // a byte more, in which the end is found
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	switch n, err := r.Read(data[len(data):cap(data)]); {
	case n > 0:
		return nil, fmt.Errorf("the result %s has more than its %d bytes", a.Digest.Short(), a.Size)
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	return data, nil
}

// NewPlan starts an empty plan for an engine. Its outputs are below the scene's
// folder.
func NewPlan(scene, engine string) *Plan {
	return &Plan{Scene: scene, Engine: engine, Folder: filepath.Dir(scene), index: map[Digest]Ref{}}
}

// Add appends a stage, unless the plan already makes the same thing.
func (p *Plan) Add(name string, at Source, op Op, inputs ...Ref) Ref {
	digests := make([]Digest, len(inputs))
	for i, in := range inputs {
		digests[i] = p.Stages[in].Digest
	}
	d := StageDigest(op, p.Engine, digests)
	if ref, ok := p.index[d]; ok {
		return ref
	}
	ref := Ref(len(p.Stages))
	p.Stages = append(p.Stages, Stage{Name: name, Op: op, Inputs: inputs, Digest: d, Source: at})
	p.index[d] = ref
	return ref
}

// Only returns the plan with the stages to keep, whose inputs must be kept too, their files and
// scenes, and no checks. at says where each stage has gone.
func (p *Plan) Only(keep []bool) (part *Plan, at map[Ref]Ref) {
	q := *p
	q.Stages, q.Outputs, q.Checks, q.Scenes, q.index = nil, nil, nil, nil, map[Digest]Ref{}
	at = map[Ref]Ref{}
	for i, s := range p.Stages {
		if !keep[i] {
			continue
		}
		inputs := make([]Ref, len(s.Inputs))
		for k, in := range s.Inputs {
			inputs[k] = at[in]
		}
		s.Inputs = inputs
		ref := Ref(len(q.Stages))
		q.Stages, q.index[s.Digest], at[Ref(i)] = append(q.Stages, s), ref, ref
	}
	for _, o := range p.Outputs {
		if to, ok := at[o.Stage]; ok {
			o.Stage = to
			q.Outputs = append(q.Outputs, o)
		}
	}
	for _, scene := range p.Scenes {
		var stages []Ref
		more := false // than what it may share with others: prompts and noise, which are made of nothing
		for _, i := range scene.Stages {
			if to, ok := at[i]; ok {
				stages = append(stages, to)
				more = more || len(q.Stages[to].Inputs) > 0
			}
		}
		if scene.Stages = stages; more {
			q.Scenes = append(q.Scenes, scene)
		}
	}
	return &q, at
}

// StageDigest returns the digest of a stage: of its Op's kind and fields, of the engine's
// ID if the Op uses the engine, and of the inputs' digests. It panics at what a recipe
// can't hold.
func StageDigest(op Op, engine string, inputs []Digest) Digest {
	h := sha.New()
	w := bufio.NewWriter(h)
	fmt.Fprintf(w, "eligen recipe 1\n%s\n", op.Kind())
	if _, ok := op.(EngineOp); ok {
		fmt.Fprintf(w, "engine %s\n", engine)
	}
	writeRecipe(w, reflect.ValueOf(op))
	for _, in := range inputs {
		fmt.Fprintf(w, "\ninput %s", in)
	}
	_ = w.Flush() // a hash takes everything
	return Digest(hex.EncodeToString(h.Sum(nil)))
}

// writeRecipe writes a value so that different values never write the same
// bytes. JSON would: values behind interfaces, invalid UTF-8 and unexported
// fields collapse there. What it can't tell apart, it refuses by panicking.
func writeRecipe(w *bufio.Writer, v reflect.Value) {
	if v.Kind() == reflect.Int32 && v.NumMethod() == 0 { // regions have millions of tokens
		b := append(w.AvailableBuffer(), 'i')
		_, _ = w.Write(append(strconv.AppendInt(b, v.Int(), 10), ';')) // as Flush
		return
	}
	if r, ok := v.Interface().(interface{ Recipe() string }); ok {
		if v.Kind() == reflect.Pointer && v.IsNil() {
			fmt.Fprint(w, "nil;")
			return
		}
		s := r.Recipe()
		fmt.Fprintf(w, "r%d:%s;", len(s), s)
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		fmt.Fprintf(w, "b%t;", v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		fmt.Fprintf(w, "i%d;", v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		fmt.Fprintf(w, "u%d;", v.Uint())
	case reflect.Float32, reflect.Float64:
		writeFloat(w, v.Float())
	case reflect.String:
		s := v.String()
		if !utf8.ValidString(s) {
			panic(fmt.Sprintf("a recipe holds invalid UTF-8 %q. This is a bug in eligen.", s))
		}
		fmt.Fprintf(w, "s%d:%s;", len(s), s)
	case reflect.Slice, reflect.Array:
		fmt.Fprintf(w, "l%d[", v.Len())
		for i := range v.Len() {
			writeRecipe(w, v.Index(i))
		}
		fmt.Fprint(w, "];")
	case reflect.Pointer:
		if v.IsNil() {
			fmt.Fprint(w, "nil;")
			return
		}
		fmt.Fprint(w, "*")
		writeRecipe(w, v.Elem())
	case reflect.Struct:
		writeFields(w, v)
	default:
		panic(fmt.Sprintf("a recipe holds a %s. This is a bug in eligen.", v.Type()))
	}
}

func writeFloat(w *bufio.Writer, f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		panic(fmt.Sprintf("a recipe holds the number %v. This is a bug in eligen.", f))
	}
	if f == 0 {
		f = 0 // −0 and 0 are one number
	}
	fmt.Fprintf(w, "f%s;", strconv.FormatFloat(f, 'x', -1, 64))
}

func writeFields(w *bufio.Writer, v reflect.Value) {
	t := v.Type()
	fmt.Fprint(w, "{")
	for i := range t.NumField() {
		f := t.Field(i)
		if tag := f.Tag.Get("recipe"); tag == "-" || tag == "omitzero" && v.Field(i).IsZero() {
			continue
		}
		if !f.IsExported() {
			panic(fmt.Sprintf("the recipe %s has an unexported field %s. This is a bug in eligen.", t, f.Name))
		}
		fmt.Fprintf(w, "%s=", f.Name)
		writeRecipe(w, v.Field(i))
	}
	fmt.Fprint(w, "};")
}
