package stage_test

import (
	"context"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/planner"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage"
	"github.com/eligen/eligen/stage/denoise"
	"github.com/eligen/eligen/stage/encode"
	"github.com/eligen/eligen/stage/image"
	"github.com/eligen/eligen/stage/measure"
	"github.com/eligen/eligen/stage/noise"
	"github.com/eligen/eligen/store/memory"
)

// scenes lists all of the repository's.
func scenes(t *testing.T) []string {
	t.Helper()
	var paths []string
	for _, pattern := range []string{"../scenes/*.hcl", "../scenes/flux/*.hcl", "../scenes/qwen/*.hcl"} {
		list, err := filepath.Glob(pattern)
		if err != nil || len(list) == 0 {
			t.Fatal(list, err)
		}
		paths = append(paths, list...)
	}
	return paths
}

func plan(t *testing.T, path string) *eligen.Plan {
	t.Helper()
	scene, ds := dsl.Load(t.Context(), path, dsl.Vars{})
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	p, ds := planner.Build(t.Context(), scene, paint.Engine{}.ID(), paint.Engine{}.Spec, planner.Options{})
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	return p
}

// sent sends a stage as data and returns what arrives.
func sent(t *testing.T, d stage.Definition) stage.Definition {
	t.Helper()
	data, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := stage.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestScenes: every stage of every scene is the same after it was sent, path and hints
// apart; its JSON is the same too.
func TestScenes(t *testing.T) {
	seen := map[string]int{}
	for _, path := range scenes(t) {
		p := plan(t, path)
		for i, s := range p.Stages {
			d := stage.Of(p, eligen.Ref(i))
			got := sent(t, d)
			if got.Name != d.Name || got.Engine != d.Engine || got.Digest != s.Digest || !slices.Equal(got.Inputs, d.Inputs) ||
				reflect.TypeOf(got.Op) != reflect.TypeOf(s.Op) {
				t.Errorf("%s: %s becomes %+v", path, s.Name, got)
			}
			if digest := eligen.StageDigest(got.Op, p.Engine, got.Inputs); digest != s.Digest {
				t.Errorf("%s: the digest of %s becomes %s", path, s.Name, digest.Short())
			}
			first, err := d.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if again, err := got.Encode(); err != nil || string(again) != string(first) {
				t.Errorf("%s: %s is sent on as\n%s\ninstead of\n%s\n%v", path, s.Name, again, first, err)
			}
			if strings.Contains(string(first), "../scenes") {
				t.Errorf("%s: %s is sent with a path:\n%s", path, s.Name, first)
			}
			seen[s.Op.Kind()]++
		}
	}
	t.Logf("stages by kind: %v", seen)
	if len(seen) < 18 {
		t.Errorf("only %d kinds", len(seen))
	}
}

// TestRuns: stages that were sent make the same bytes, once they are told where pictures
// are.
func TestRuns(t *testing.T) {
	ran := map[string]int{}
	for _, name := range []string{"rain", "transfer", "visitors", "again", "sunrise", "styled"} {
		p := plan(t, "../scenes/"+name+".hcl")
		other := eligen.NewPlan(p.Scene, p.Engine)
		refs := map[eligen.Digest]eligen.Ref{}
		for i, s := range p.Stages {
			got := sent(t, stage.Of(p, eligen.Ref(i)))
			var inputs []eligen.Ref
			for _, in := range got.Inputs {
				inputs = append(inputs, refs[in])
			}
			if picture := stage.PictureOf(got.Op); picture != "" {
				got.Op = stage.WithPath(got.Op, pathOf(t, s.Op))
			}
			refs[got.Digest] = other.Add(got.Name, eligen.Source{}, got.Op, inputs...)
			ran[s.Op.Kind()]++
		}
		p.Outputs = nil
		here, there := memory.New(), memory.New()
		for store, plan := range map[*memory.Store]*eligen.Plan{here: p, there: other} {
			if err := (&runtime.Runner{Store: store, Engine: paint.Engine{}}).Apply(t.Context(), plan); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for _, s := range p.Stages {
			a, err := here.Stat(t.Context(), s.Digest)
			b, otherErr := there.Stat(t.Context(), s.Digest)
			if a != b || err != nil && otherErr == nil {
				t.Errorf("%s: %s: %+v, %v; sent: %+v, %v", name, s.Name, a, err, b, otherErr)
			}
		}
	}
	t.Logf("stages by kind: %v", ran)
}

// pathOf returns where an Op looks for its picture.
func pathOf(t *testing.T, op eligen.Op) string {
	t.Helper()
	switch op := op.(type) {
	case image.Op:
		return op.Path
	case image.Picture:
		return op.Path
	case image.Prompt:
		return op.Path
	case measure.Op:
		return op.Path
	}
	t.Fatalf("%T reads no picture", op)
	return ""
}

// fill sets every field of a value to something.
func fill(v reflect.Value, seed *int) {
	*seed++
	switch v.Interface().(type) {
	case json.RawMessage:
		v.SetBytes([]byte(`{"at":[1,2.5,"<\u003c>"]}`))
		return
	case *eligen.Bitmap:
		v.Set(reflect.ValueOf(eligen.NewBitmap(9+*seed, 7, func(x, y int) bool { return (x+y)%3 > 0 })))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*seed))
	case reflect.Uint64:
		v.SetUint(math.MaxUint64 - uint64(*seed))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(*seed) / 3)
	case reflect.String:
		v.SetString("quoted \" <é> \u2028 𝄞 " + strings.Repeat("x", *seed%7))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), seed)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), seed)
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Name == "Parts" && f.Type == v.Addr().Type() || f.Type == reflect.SliceOf(v.Type()) { // a region of regions
				v.Field(i).Set(reflect.MakeSlice(f.Type, 1, 1))
				v.Field(i).Index(0).FieldByName("Kind").SetString("box")
				continue
			}
			fill(v.Field(i), seed)
		}
	default:
		panic("no value for a " + v.Type().String())
	}
}

// TestKinds: of every kind, an Op with something in every field arrives as it was, except
// for fields that are not hashed: those are not sent.
func TestKinds(t *testing.T) {
	for _, op := range stage.Ops() {
		v := reflect.New(reflect.TypeOf(op)).Elem()
		seed := 0
		fill(v, &seed)
		full := v.Interface().(eligen.Op)
		d := stage.Definition{Name: "a", Op: full, Inputs: []eligen.Digest{eligen.DigestOf([]byte("in"))}}
		if _, ok := full.(eligen.EngineOp); ok {
			d.Engine = "engine"
		}
		d.Digest = eligen.StageDigest(full, d.Engine, d.Inputs)
		got := sent(t, d)
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("recipe") == "-" {
				v.Field(i).SetZero()
			}
		}
		if diff := cmp.Diff(v.Interface(), any(got.Op), cmp.AllowUnexported(eligen.Bitmap{}), cmp.FilterPath(
			func(p cmp.Path) bool { return p.Last().String() == ".bits" || p.Last().String() == ".ends" }, cmp.Ignore())); diff != "" {
			t.Errorf("%s:\n%s", op.Kind(), diff)
		}
	}
}

// TestTable: the table of kinds has every Op there is in this folder.
func TestTable(t *testing.T) {
	var known []string
	for _, op := range stage.Ops() {
		known = append(known, reflect.TypeOf(op).String())
	}
	files, err := filepath.Glob("*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Recv == nil || fn.Name.Name != "Kind" || strings.HasSuffix(name, "_test.go") {
				continue
			}
			found++
			if op := f.Name.Name + "." + fn.Recv.List[0].Type.(*ast.Ident).Name; !slices.Contains(known, op) {
				t.Errorf("%s is not in the table of kinds.go", op)
			}
		}
	}
	if found != len(known) {
		t.Errorf("%d kinds in the table, %d in the folders", len(known), found)
	}
}

// example returns a Definition in which every part matters.
func example(t testing.TB) string {
	t.Helper()
	op := denoise.Op{
		Transformer: eligen.DigestOf([]byte("weights")), Schedule: denoise.Schedule{Name: "flow", Steps: 4, Strength: 1}, CFG: 1,
		Entities: []denoise.Entity{{Tokens: []int32{1, 2, 3}, Bucket: 4, Strength: 1}},
	}
	d := stage.Definition{
		Name:   "render.a.denoise",
		Op:     op,
		Engine: "engine-1",
		Inputs: []eligen.Digest{eligen.DigestOf([]byte("noise")), eligen.DigestOf([]byte("prompt"))},
	}
	d.Digest = eligen.StageDigest(op, d.Engine, d.Inputs)
	data, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestDecodeRefuses: what is not exactly the definition of a stage that this version
// knows is an error that says what is wrong.
func TestDecodeRefuses(t *testing.T) {
	sound := example(t)
	if _, err := stage.Decode([]byte(sound)); err != nil {
		t.Fatal(err)
	}
	picture := image.Picture{Picture: eligen.DigestOf([]byte("photo")), Size: eligen.Size{W: 8, H: 8}}
	withPicture := func(op eligen.Op) string {
		d := stage.Definition{Name: "a", Op: op, Digest: eligen.StageDigest(op, "", nil)}
		data, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	mask := eligen.NewBitmap(16, 16, func(_, y int) bool { return y < 5 })
	masked := withPicture(measure.Op{Metric: "placement", Regions: []eligen.Region{{Kind: "image", Bitmap: mask}}})
	runs, err := json.Marshal(eligen.NewBitmap(16, 16, func(_, y int) bool { return y < 6 }))
	if err != nil {
		t.Fatal(err)
	}
	var parts struct{ Runs string }
	if err := json.Unmarshal(runs, &parts); err != nil {
		t.Fatal(err)
	}
	at := strings.Index(masked, `"runs":"`) + len(`"runs":"`)
	mutated := masked[:at] + parts.Runs + masked[at+strings.Index(masked[at:], `"`):]
	for _, c := range []struct{ name, data, want string }{
		{"nothing", "", "EOF"},
		{"not JSON", "stage", "invalid character"},
		{"another kind", strings.Replace(sound, "denoise/1", "dream/1", 1), `no stages of kind "dream/1"`},
		{"a later version of a kind", strings.Replace(sound, "denoise/1", "denoise/2", 1), `makes stages of kind denoise/1, and not "denoise/2"`},
		{"a later format", strings.Replace(sound, `"format":1`, `"format":2`, 1), "has format 2; this version of eligen reads 1"},
		{"an unknown field", strings.Replace(sound, `"CFG":1`, `"CFG":1,"Magic":2`, 1), `unknown field "Magic"`},
		{"an unknown part", strings.Replace(sound, `"format":1`, `"format":1,"run":"rm"`, 1), `unknown field "run"`},
		{"another value", strings.Replace(sound, `"CFG":1`, `"CFG":2`, 1), "and of its definition"},
		{"another engine", strings.Replace(sound, "engine-1", "engine-2", 1), "and of its definition"},
		{"no engine", strings.Replace(sound, `"engine":"engine-1",`, "", 1), "only stages that use an engine"},
		{"a text for a number", strings.Replace(sound, `"CFG":1`, `"CFG":"1"`, 1), "cannot unmarshal"},
		{"a number that overflows", strings.Replace(sound, "[1,2,3]", "[1,2,3000000000]", 1), "cannot unmarshal"},
		{"two values", sound + sound, "more than one value"},
		{"an input that is no digest", strings.Replace(sound, string(eligen.DigestOf([]byte("noise"))), "../../etc/passwd", 1), "is no digest"},
		{"deep nesting", strings.Replace(sound, `"CFG":1`, `"CFG":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000), 1), "nested 5002 deep"},
		{"a long address", strings.Replace(sound, "render.a.denoise", strings.Repeat("a", 5000), 1), "at most 4096 bytes"},
		{"too long", strings.Repeat(" ", stage.MaxDefinition) + sound, "the limit is"},
		{"invalid UTF-8", strings.Replace(sound, "render.a", "render.\xff", 1), "invalid UTF-8"},
		{"a path", strings.Replace(withPicture(picture), `"Path":""`, `"Path":"/etc/passwd"`, 1), "Path is no part of a definition"},
		{"a mask with other pixels", mutated, "is not the one of its digest"},
	} {
		if c.data == sound || c.data == masked || c.data == withPicture(picture) {
			t.Errorf("%s: nothing was changed", c.name)
		}
		_, err := stage.Decode([]byte(c.data))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	if _, err := (stage.Definition{Name: "a", Op: stranger{}}).Encode(); err == nil {
		t.Error("an Op of no known kind is sent")
	}
}

// A stranger is an Op that no table has.
type stranger struct{ Word string }

func (stranger) Kind() string { return "stranger/1" }

func (stranger) Run(context.Context, *eligen.Call) error { return os.ErrInvalid }

// FuzzDecode: what strangers send is a sound definition, which is sent on as the same
// one, or an error.
func FuzzDecode(f *testing.F) {
	f.Add(example(f))
	for _, op := range []eligen.Op{
		encode.Op{Text: "weights", Prompt: "a frog", Length: 8},
		noise.Op{Seed: 1, Shape: []int{16, 8, 8}, Variant: noise.AVX2, DType: "float32"},
		measure.Op{Metric: "placement", Regions: []eligen.Region{eligen.Box(0, 0, 1, 0.5)}},
	} {
		d := stage.Definition{Name: "render.a." + op.Kind(), Op: op}
		if _, ok := op.(eligen.EngineOp); ok {
			d.Engine = "engine-1"
		}
		d.Digest = eligen.StageDigest(op, d.Engine, nil)
		data, err := d.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, data string) {
		d, err := stage.Decode([]byte(data))
		if err != nil {
			return
		}
		again := sent(t, d)
		if again.Digest != d.Digest || eligen.StageDigest(again.Op, again.Engine, again.Inputs) != d.Digest {
			t.Errorf("%s is sent on as %s", d.Digest, again.Digest)
		}
	})
}

// FuzzFields: whatever the fields of a kind are, they are hashed, and what is sent arrives
// with the same digest.
func FuzzFields(f *testing.F) {
	f.Add("encode/1", `{"Text":"weights","Prompt":"a frog <\u003c> \u2028","Length":8}`)
	f.Add("noise/1", `{"Seed":18446744073709551615,"Shape":[16,8,8],"Variant":"avx2"}`)
	f.Add("measure/2", `{"Metric":"placement","Regions":[{"kind":"invert","parts":[{"kind":"box","numbers":[0,-0.0,1e300,5e-324]}]}]}`)
	f.Add("composite/1", `{"Region":{"kind":"image","bitmap":{"w":8,"h":8,"bits":"AAECAwQFBgc="}},"Size":{"w":8,"h":8}}`)
	f.Add("gif/1", `{"Resolved":{"frames":2,"timeline":{"a": "<", "b":[1,2]},"first":null}}`)
	f.Add("denoise/1", `{"Entities":[{"Tokens":[1,2],"Bucket":2,"Strength":1}],"Fusion":{"Paint":[]},"Images":[1]}`)
	f.Fuzz(func(t *testing.T, kind, fields string) {
		for _, op := range stage.Ops() {
			if op.Kind() != kind {
				continue
			}
			v := reflect.New(reflect.TypeOf(op))
			if json.Unmarshal([]byte(fields), v.Interface()) != nil {
				return
			}
			d := stage.Definition{Name: "a", Op: v.Elem().Interface().(eligen.Op)}
			if _, ok := d.Op.(eligen.EngineOp); ok {
				d.Engine = "engine-1"
			}
			d.Digest = eligen.StageDigest(d.Op, d.Engine, nil)
			data, err := d.Encode()
			if err != nil {
				return
			}
			if got, err := stage.Decode(data); err != nil || got.Digest != d.Digest {
				t.Errorf("%s arrives as %s: %v", data, got.Digest, err)
			}
		}
	})
}
