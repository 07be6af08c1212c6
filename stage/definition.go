package stage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/eligen/eligen"
)

// A Definition is a planned stage as data: all that its result depends on. It names
// inputs, weights and picture files by digest, and holds no paths. Whoever runs it finds
// a picture by PictureOf and WithPath.
type Definition struct {
	Name   string // address, for people; not hashed
	Op     eligen.Op
	Engine string          // ID; "" where the Op uses no engine
	Inputs []eligen.Digest // of the stages whose results it reads, in order
	Digest eligen.Digest   // of all but Name
}

// Limits of an encoded Definition.
const (
	MaxDefinition = 32 << 20 // bytes
	maxInputs     = 100_000  // as many as a plan has stages
	maxText       = 4 << 10  // bytes of an address and of an engine's ID
	maxNesting    = 1000     // a scene's regions are far less deep
)

// message is a Definition as JSON.
type message struct {
	Format int             `json:"format"`
	Name   string          `json:"name,omitempty"`
	Kind   string          `json:"kind"`
	Engine string          `json:"engine,omitempty"`
	Fields json.RawMessage `json:"fields"` // the Op's that are hashed
	Inputs []eligen.Digest `json:"inputs,omitempty"`
	Digest eligen.Digest   `json:"digest"`
}

// format is of message.
const format = 1

// Of returns the Definition of a plan's stage.
func Of(p *eligen.Plan, ref eligen.Ref) Definition {
	s := p.Stages[ref]
	d := Definition{Name: s.Name, Op: s.Op, Digest: s.Digest}
	if _, ok := s.Op.(eligen.EngineOp); ok {
		d.Engine = p.Engine
	}
	for _, in := range s.Inputs {
		d.Inputs = append(d.Inputs, p.Stages[in].Digest)
	}
	return d
}

// Encode returns the Definition as JSON. Fields of the Op that are not hashed are left
// out. It fails where Decode would not give the same Definition.
func (d Definition) Encode() ([]byte, error) {
	fields, err := marshal(hashed(d.Op))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Name, err)
	}
	data, err := marshal(message{format, d.Name, d.Op.Kind(), d.Engine, fields, d.Inputs, d.Digest})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.Name, err)
	}
	if _, err := Decode(data); err != nil {
		return nil, fmt.Errorf("%s can't be sent as data: %w", d.Name, err)
	}
	return data, nil
}

// marshal returns a value as JSON. Unlike json.Marshal, it leaves JSON inside the value as
// it is, which is hashed as text.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// hashed returns an Op without the fields that are not hashed.
func hashed(op eligen.Op) any {
	v := reflect.New(reflect.TypeOf(op)).Elem()
	v.Set(reflect.ValueOf(op))
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("recipe") == "-" {
			v.Field(i).SetZero()
		}
	}
	return v.Interface()
}

// Decode reads a Definition, which may come from anybody. What it returns is consistent:
// its kind and fields are known, and its digest is right. That the numbers make sense is
// the Op's to check when it runs.
func Decode(data []byte) (Definition, error) {
	if len(data) > MaxDefinition {
		return Definition{}, fmt.Errorf("a stage's definition has %d bytes; the limit is %d", len(data), MaxDefinition)
	}
	if n := nesting(data); n > maxNesting {
		return Definition{}, fmt.Errorf("a stage's definition is nested %d deep; the limit is %d", n, maxNesting)
	}
	var m message
	if err := strict(data, &m); err != nil {
		return Definition{}, fmt.Errorf("not the definition of a stage: %w", err)
	}
	if err := m.check(); err != nil {
		return Definition{}, err
	}
	kind, ok := kinds[m.Kind]
	if !ok {
		return Definition{}, unknownKind(m.Kind)
	}
	v := reflect.New(kind)
	if err := strict(m.Fields, v.Interface()); err != nil {
		return Definition{}, fmt.Errorf("the fields of a stage of kind %s: %w", m.Kind, err)
	}
	if err := checkFields(v.Elem()); err != nil {
		return Definition{}, fmt.Errorf("the fields of a stage of kind %s: %w", m.Kind, err)
	}
	d := Definition{m.Name, v.Elem().Interface().(eligen.Op), m.Engine, m.Inputs, m.Digest}
	if _, ok := d.Op.(eligen.EngineOp); ok == (m.Engine == "") {
		return Definition{}, fmt.Errorf("a stage of kind %s with the engine %q: only stages that use an engine name one", m.Kind, m.Engine)
	}
	if got := eligen.StageDigest(d.Op, m.Engine, m.Inputs); got != m.Digest {
		return Definition{}, fmt.Errorf("the digest of %s is %s, and of its definition %s", strconv.Quote(m.Name),
			m.Digest.Short(), got.Short())
	}
	return d, nil
}

// check reports what is wrong with a message apart from its fields.
func (m message) check() error {
	if m.Format != format {
		return fmt.Errorf("the definition of a stage has format %d; this version of eligen reads %d", m.Format, format)
	}
	if len(m.Name) > maxText || len(m.Engine) > maxText {
		return fmt.Errorf("a stage's address and its engine's ID have at most %d bytes", maxText)
	}
	if len(m.Inputs) > maxInputs {
		return fmt.Errorf("a stage with %d inputs; the limit is %d", len(m.Inputs), maxInputs)
	}
	for _, d := range append(slices.Clip(m.Inputs), m.Digest) {
		if !isDigest(d) {
			return fmt.Errorf("%.80q is no digest", d)
		}
	}
	if len(m.Fields) == 0 {
		return errors.New("a stage's definition has no fields")
	}
	return nil
}

func isDigest(d eligen.Digest) bool {
	if len(d) != 64 {
		return false
	}
	for _, c := range d {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func unknownKind(kind string) error {
	name, _, _ := strings.Cut(kind, "/")
	for known := range kinds {
		if strings.HasPrefix(known, name+"/") {
			return fmt.Errorf("this version of eligen makes stages of kind %s, and not %.80q", known, kind)
		}
	}
	return fmt.Errorf("this version of eligen has no stages of kind %.80q", kind)
}

// strict reads one JSON value, all of whose fields must be known.
func strict(data []byte, to any) error {
	if !utf8.Valid(data) {
		return errors.New("invalid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}

// nesting returns how deep JSON is nested. Deep input would cost whoever walks it a deep
// stack.
func nesting(data []byte) (most int) {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
			most = max(most, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return most
}

// maxPixels is how many pixels a mask may have: four times as many as in a scene.
const maxPixels = 64 << 20

// checkFields looks at what a digest doesn't cover: fields that are not hashed must be
// empty, and a mask's pixels must be what its digest says.
func checkFields(v reflect.Value) error {
	if b, ok := v.Interface().(*eligen.Bitmap); ok {
		if b != nil && b.W*b.H > maxPixels {
			return fmt.Errorf("a mask of %d×%d pixels; the limit is %d", b.W, b.H, maxPixels)
		}
		return b.Check()
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return checkFields(v.Elem())
		}
	case reflect.Slice:
		if k := v.Type().Elem().Kind(); k != reflect.Struct && k != reflect.Pointer {
			return nil // there are many numbers, and nothing in them
		}
		for i := range v.Len() {
			if err := checkFields(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Tag.Get("recipe") == "-" && !v.Field(i).IsZero() {
				return fmt.Errorf("%s is no part of a definition", f.Name)
			}
			if err := checkFields(v.Field(i)); err != nil {
				return err
			}
		}
	}
	return nil
}
