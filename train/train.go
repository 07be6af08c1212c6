// Package train fits weights: the autoencoder, the transformer with its text
// encoders, and EliGen's LoRA. What is trained is a Task; Run is the loop that
// all of them share: AdamW or Muon in the graph, a running mean of the weights,
// checkpoints that the same call resumes, and a log of JSON lines.
package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/files"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/nn"
)

// A Task is something to train.
type Task struct {
	Params []Param // what is trained
	Frozen []tensor.Named
	// Batch makes the inputs of a step's graph: float32 or int32 tensors, the
	// same for the same step on any machine, so that a resumed training goes on
	// as if it had not stopped.
	Batch func(step int) ([]*tensors.Tensor, error)
	// Loss is the scalar to make smaller, and further scalars to log.
	Loss func(w nn.Weights, in []*Node) (loss *Node, measures map[string]*Node)
	// Pictures is how many pictures a step sees.
	Pictures int
	// Sheet draws samples with the present mean of the weights at a checkpoint,
	// into a PNG at path. It may be nil.
	Sheet func(weights map[string]tensor.Tensor, path string) error
}

// A Param is one trained tensor.
type Param struct {
	Name  string
	Shape []int
	Init  []float32 // numbers to start from; nil draws them by Initial
}

// Options say where and how a Task runs.
type Options struct {
	Recipe  eligen.Recipe
	Backend compute.Backend
	Dir     string // checkpoints, log and sheets go here
	Report  func(Status)
	Pause   <-chan struct{} // each receive pauses, the next one goes on; may be nil
	// Export is given the trained weights at every checkpoint; may be nil.
	Export func(weights map[string]tensor.Tensor) error
}

// Status is what the log holds of a step.
type Status struct {
	Step     int                `json:"step"` // steps done
	Of       int                `json:"of"`
	Loss     float64            `json:"loss"` // mean since the last line
	Rate     float64            `json:"rate"`
	Norm     float64            `json:"norm"` // of the gradient, before clipping
	Measures map[string]float64 `json:"measures,omitempty"`
	Pictures int                `json:"pictures"` // seen in all, over every resumption
	Seconds  float64            `json:"seconds"`  // spent in all, over every resumption
	Speed    float64            `json:"pictures_per_second"`
	Note     string             `json:"note,omitempty"` // "resumed from step 400", "checkpoint", "paused"
}

// CheckpointFile and WeightsFile are the names of a training's files: the first
// holds everything that resuming needs, the second the trained weights alone
// (their running mean where the recipe asks for one).
const (
	CheckpointFile = "checkpoint.safetensors"
	WeightsFile    = "weights.safetensors"
	LogFile        = "log.jsonl"
)

// Run trains until the recipe's last step, or until ctx ends: then it writes a
// checkpoint and returns the context's error. Called again with the same
// directory it goes on from the checkpoint.
func Run(ctx context.Context, t Task, o Options) (err error) {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return err
	}
	removeNew(o.Dir)
	s, err := newState(t, o)
	if err != nil {
		return err
	}
	defer s.store.Finalize()
	log, err := os.OpenFile(filepath.Join(o.Dir, LogFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	var unlogged error
	defer func() { err = errors.Join(err, unlogged, log.Close()) }()
	report := func(st Status) {
		st.Of = o.Recipe.Steps
		line, _ := json.Marshal(st)
		_, werr := log.Write(append(line, '\n'))
		if o.Report != nil {
			o.Report(st)
		}
		if werr == nil || unlogged != nil {
			return
		}
		// A training of days doesn't end for its log, but says at once that it has none.
		unlogged = fmt.Errorf("the log can't be written: %w", werr)
		if o.Report != nil {
			o.Report(Status{Step: st.Step, Of: st.Of, Pictures: st.Pictures, Seconds: st.Seconds, Note: unlogged.Error()})
		}
	}
	if s.step > 0 {
		report(Status{Step: s.step, Pictures: s.pictures, Seconds: s.seconds, Note: fmt.Sprintf("resumed from step %d", s.step)})
	}
	exec, err := s.compile(t, o)
	if err != nil {
		return err
	}
	defer exec.Finalize()

	type batch struct {
		in  []*tensors.Tensor
		err error
	}
	batches := make(chan batch, 2) // made while the step before runs
	bctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer close(batches)
		for step := s.step; step < o.Recipe.Steps; step++ {
			in, err := t.Batch(step)
			select {
			case batches <- batch{in, err}:
			case <-bctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()

	every := max(1, o.Recipe.Every)
	logEvery := max(1, min(20, every))
	var sum, norm float64
	sums, counts := map[string]float64{}, map[string]int{} // of measures, which not every step has
	n, since := 0, time.Now()
	for s.step < o.Recipe.Steps {
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), s.save(o, report))
		case <-o.Pause:
			report(Status{Step: s.step, Pictures: s.pictures, Seconds: s.seconds, Note: "paused"})
			if err := s.save(o, report); err != nil {
				return err
			}
			select {
			case <-o.Pause:
			case <-ctx.Done():
				return ctx.Err()
			}
			report(Status{Step: s.step, Pictures: s.pictures, Seconds: s.seconds, Note: "going on"})
		default:
		}
		b, ok := <-batches
		if !ok {
			return errors.Join(ctx.Err(), s.save(o, report))
		}
		if b.err != nil {
			return fmt.Errorf("making the batch of step %d: %w", s.step, b.err)
		}
		began := time.Now()
		rate := Rate(o.Recipe.Optimizer, s.step, o.Recipe.Steps)
		loss, gnorm, measures, err := s.run(exec, b.in, rate, o)
		if err != nil {
			return err
		}
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return fmt.Errorf("the loss is %v at step %d: lower the optimizer's rate or its clip; the checkpoint before it is kept", loss, s.step)
		}
		s.step++
		s.pictures += t.Pictures
		s.seconds += time.Since(began).Seconds()
		sum, norm, n = sum+loss, norm+gnorm, n+1
		for k, v := range measures {
			sums[k], counts[k] = sums[k]+v, counts[k]+1
		}
		if s.step%logEvery == 0 || s.step == o.Recipe.Steps {
			for k := range sums {
				sums[k] /= float64(counts[k])
			}
			report(Status{Step: s.step, Loss: sum / float64(n), Norm: norm / float64(n), Rate: rate, Measures: sums,
				Pictures: s.pictures, Seconds: s.seconds, Speed: float64(n*t.Pictures) / time.Since(since).Seconds()})
			sum, norm, n, since = 0, 0, 0, time.Now()
			sums, counts = map[string]float64{}, map[string]int{}
		}
		if s.step%every == 0 || s.step == o.Recipe.Steps {
			if err := s.save(o, report); err != nil {
				return err
			}
			if t.Sheet != nil {
				w, err := s.trained(o)
				if err != nil {
					return err
				}
				if err := t.Sheet(w, filepath.Join(o.Dir, fmt.Sprintf("sheet-%06d.png", s.step))); err != nil {
					return fmt.Errorf("drawing the sheet of step %d: %w", s.step, err)
				}
			}
			since = time.Now()
		}
	}
	return nil
}

// Rate is the learning rate of a step, counted from 0.
func Rate(o eligen.Optimizer, step, steps int) float64 {
	r := o.Rate
	if o.Decay == "reference" {
		// The reference's ConstantLR with its default arguments.
		if step < 5 {
			return r / 3
		}
		return r
	}
	if step < o.Warmup {
		return r * float64(step+1) / float64(o.Warmup)
	}
	if o.Decay == "cosine" {
		x := float64(step-o.Warmup) / float64(max(1, steps-o.Warmup))
		return r * (0.02 + 0.98*0.5*(1+math.Cos(math.Pi*x)))
	}
	return r
}

// state is a training's numbers: variables under /w, /m, /v and /ema.
type state struct {
	store    *model.Store
	params   []Param
	ema      bool
	step     int
	pictures int
	seconds  float64
	measures map[string][]string // names of a graph's measures, by the shape of its first input
}

func newState(t Task, o Options) (*state, error) {
	s := &state{store: model.NewStore(), params: t.Params, ema: o.Recipe.EMA > 0, measures: map[string][]string{}}
	saved, meta, err := readCheckpoint(filepath.Join(o.Dir, CheckpointFile))
	if err != nil {
		return nil, err
	}
	if saved != nil {
		s.step, _ = strconv.Atoi(meta["step"])
		s.pictures, _ = strconv.Atoi(meta["pictures"])
		s.seconds, _ = strconv.ParseFloat(meta["seconds"], 64)
	}
	rng := rand.New(rand.NewPCG(o.Recipe.Seed, 0x1417))
	for _, p := range t.Params {
		w := p.Init
		if w == nil {
			w = Initial(rng, p.Name, p.Shape)
		}
		values := map[string][]float32{"w": w, "m": make([]float32, len(w))}
		if !orthogonal(o.Recipe.Optimizer.Kind, p) {
			values["v"] = make([]float32, len(w))
		}
		if s.ema {
			values["ema"] = w
		}
		for kind, data := range values {
			key := kind + "/" + p.Name
			if saved != nil {
				got, ok := saved[key]
				if !ok && kind == "ema" {
					got, ok = saved["w/"+p.Name]
				}
				if !ok || len(got.Data) != len(data) {
					return nil, fmt.Errorf("%s does not hold %q of shape %v: it belongs to another recipe; give another folder or delete it",
						filepath.Join(o.Dir, CheckpointFile), key, p.Shape)
				}
				data = got.Data
			}
			if err := s.put("/"+key, p.Shape, data); err != nil {
				return nil, err
			}
		}
	}
	for _, f := range t.Frozen {
		if err := s.put("/frozen/"+f.Name, f.Shape, f.Data); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *state) put(path string, shape []int, data []float32) error {
	_, err := s.store.CreateVariable(path, tensors.FromFlatDataAndDimensions(data, shape...))
	return err
}

// compile builds the step: (rate, bias corrections, inputs…) → loss, norm, measures.
func (s *state) compile(t Task, o Options) (*model.Exec, error) {
	opt := withDefaults(o.Recipe.Optimizer)
	exec, err := model.NewExec(o.Backend, s.store, func(scope *model.Scope, in []*Node) []*Node {
		g := in[0].Graph()
		rate, c1, c2, mean := in[0], in[1], in[2], in[3]
		value := func(path string) *Node { return s.store.GetVariable(path).NodeValue(g) }
		trained := map[string]*Node{}
		for _, p := range s.params {
			trained[p.Name] = value("/w/" + p.Name)
		}
		used := map[string]bool{}
		w := nn.Weights(func(name string) *Node {
			if n, ok := trained[name]; ok {
				used[name] = true
				return n
			}
			return value("/frozen/" + name)
		})
		loss, measures := t.Loss(w, in[4:])
		// What a step has no use for stays as it is: it would go on in the direction of steps before.
		var params []Param
		var nodes []*Node
		for _, p := range s.params {
			if used[p.Name] {
				params, nodes = append(params, p), append(nodes, trained[p.Name])
			}
		}
		grads := Gradient(loss, nodes...)
		var total *Node
		for _, d := range grads {
			q := ReduceAllSum(Square(d))
			if total == nil {
				total = q
			} else {
				total = Add(total, q)
			}
		}
		norm := Sqrt(total)
		factor := OnesLike(norm)
		if opt.Clip > 0 {
			factor = Min(factor, Div(Scalar(g, dtypes.Float32, opt.Clip), AddScalar(norm, 1e-6)))
		}
		for i, p := range params {
			d := Mul(grads[i], factor)
			m := Add(MulScalar(value("/m/"+p.Name), opt.Betas[0]), MulScalar(d, 1-opt.Betas[0]))
			var move *Node
			if orthogonal(opt.Kind, p) {
				// Nesterov's look ahead; the length doesn't matter here, so no bias correction.
				move = orthogonalize(Add(MulScalar(m, opt.Betas[0]), MulScalar(d, 1-opt.Betas[0])))
			} else {
				v := Add(MulScalar(value("/v/"+p.Name), opt.Betas[1]), MulScalar(Square(d), 1-opt.Betas[1]))
				s.store.GetVariable("/v/" + p.Name).SetNodeValue(v)
				move = Div(Mul(m, c1), AddScalar(Sqrt(Mul(v, c2)), opt.Epsilon))
			}
			x := nodes[i]
			if opt.Weight > 0 && decays(p) {
				x = Sub(x, Mul(x, MulScalar(rate, opt.Weight)))
			}
			x = Sub(x, Mul(move, rate))
			s.store.GetVariable("/m/" + p.Name).SetNodeValue(m)
			s.store.GetVariable("/w/" + p.Name).SetNodeValue(x)
			if s.ema {
				e := s.store.GetVariable("/ema/" + p.Name)
				old := e.NodeValue(g)
				e.SetNodeValue(Add(old, Mul(Sub(x, old), mean)))
			}
		}
		out := []*Node{loss, norm}
		names := sortedKeys(measures)
		for _, k := range names {
			out = append(out, measures[k])
		}
		s.measures[in[4].Shape().String()] = names
		return out
	})
	if err != nil {
		return nil, err
	}
	exec.SetMaxCache(-1)
	return exec, nil
}

// decays reports whether weight decay applies: not to norms and biases.
func decays(p Param) bool { return len(p.Shape) > 1 }

func (s *state) run(exec *model.Exec, in []*tensors.Tensor, rate float64, o Options) (loss, norm float64, measures map[string]float64, err error) {
	opt := withDefaults(o.Recipe.Optimizer)
	n := float64(s.step + 1)
	scalar := func(x float64) any { return float32(x) }
	// The mean warms up, or the random start would weigh on it for long.
	mean := 1 - math.Min(o.Recipe.EMA, (1+n)/(10+n))
	args := []any{scalar(rate), scalar(1 / (1 - math.Pow(opt.Betas[0], n))), scalar(1 / (1 - math.Pow(opt.Betas[1], n))), scalar(mean)}
	for _, t := range in {
		args = append(args, t)
	}
	out, err := exec.Call(args...)
	if err != nil {
		return 0, 0, nil, err
	}
	value := func(t *tensors.Tensor) float64 { return float64(tensors.ToScalar[float32](t)) }
	loss, norm = value(out[0]), value(out[1])
	measures = map[string]float64{}
	for i, k := range s.measures[in[0].Shape().String()] {
		measures[k] = value(out[2+i])
	}
	for _, t := range append(out, in...) {
		// XLA's memory is invisible to the garbage collector.
		if err := t.FinalizeAll(); err != nil {
			return 0, 0, nil, err
		}
	}
	return loss, norm, measures, nil
}

func withDefaults(o eligen.Optimizer) eligen.Optimizer {
	if o.Betas == ([2]float64{}) {
		o.Betas = [2]float64{0.9, 0.999}
	}
	if o.Epsilon == 0 {
		o.Epsilon = 1e-8
	}
	return o
}

// trained is the weights that the training would end with now.
func (s *state) trained(o Options) (map[string]tensor.Tensor, error) {
	kind := "w"
	if s.ema {
		kind = "ema"
	}
	out := map[string]tensor.Tensor{}
	for _, p := range s.params {
		data, err := s.data("/" + kind + "/" + p.Name)
		if err != nil {
			return nil, err
		}
		out[p.Name] = tensor.Tensor{Shape: p.Shape, Data: data}
	}
	return out, nil
}

func (s *state) data(path string) ([]float32, error) {
	t, err := s.store.GetVariable(path).Value()
	if err != nil {
		return nil, err
	}
	return tensors.CopyFlatData[float32](t)
}

// save writes the checkpoint and the weights, each whole or not at all.
func (s *state) save(o Options, report func(Status)) error {
	kinds := []string{"w", "m", "v"}
	if s.ema {
		kinds = append(kinds, "ema")
	}
	var all []tensor.Named
	for _, kind := range kinds {
		for _, p := range s.params {
			if kind == "v" && orthogonal(o.Recipe.Optimizer.Kind, p) {
				continue
			}
			data, err := s.data("/" + kind + "/" + p.Name)
			if err != nil {
				return err
			}
			all = append(all, tensor.Named{Name: kind + "/" + p.Name, Tensor: tensor.Tensor{Shape: p.Shape, Data: data}})
		}
	}
	meta := map[string]string{"step": strconv.Itoa(s.step), "pictures": strconv.Itoa(s.pictures),
		"seconds": strconv.FormatFloat(s.seconds, 'f', 1, 64), "recipe": o.Recipe.Name}
	if err := writeTensors(filepath.Join(o.Dir, CheckpointFile), meta, all...); err != nil {
		return err
	}
	w, err := s.trained(o)
	if err != nil {
		return err
	}
	var list []tensor.Named
	for _, p := range s.params {
		list = append(list, tensor.Named{Name: p.Name, Tensor: w[p.Name]})
	}
	if err := writeTensors(filepath.Join(o.Dir, WeightsFile), meta, list...); err != nil {
		return err
	}
	if o.Export != nil {
		if err := o.Export(w); err != nil {
			return err
		}
	}
	report(Status{Step: s.step, Pictures: s.pictures, Seconds: s.seconds, Note: "checkpoint"})
	return nil
}

func writeTensors(path string, meta map[string]string, list ...tensor.Named) (err error) {
	return files.WriteFile(path, func(w io.Writer) error { return tensor.Write(w, meta, list...) })
}

func readCheckpoint(path string) (map[string]tensor.Tensor, map[string]string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	_, meta, err := tensor.ReadHeader(f, fi.Size())
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	saved, err := tensor.ReadFile(path)
	return saved, meta, err
}
