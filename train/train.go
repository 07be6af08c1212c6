// Package train fits weights: the autoencoder, the transformer with its text
// encoders, and EliGen's LoRA. What is trained is a Task; Run is the loop that
// all of them share: AdamW or Muon in the graph, a running mean of the weights,
// checkpoints that the same call resumes, and a log of JSON lines.
package train

import (
	"context"
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
	// same for the same step on any machine, so that a resumed training does what
	// it would have done without stopping.
	Batch func(step int) ([]*tensors.Tensor, error)
	// Loss is the scalar to make smaller, and further scalars to log.
	Loss func(w nn.Weights, in []*Node) (loss *Node, measures map[string]*Node)
	// Gradients, in place of Batch and Loss, gives a step's loss and what it changes by with each of Params, which
	// it is given as they are: of a model that is more than a graph can hold.
	Gradients func(ctx context.Context, step int, params map[string]tensor.Tensor) (Gradients, error)
	// Pictures is how many pictures a step sees.
	Pictures int
	// Sheet draws samples with the present mean of the weights at a checkpoint,
	// into a PNG at path. It may be nil.
	Sheet func(weights map[string]tensor.Tensor, path string) error
	// Validate gives the loss of what isn't trained on, by the present mean of the weights, before the first step
	// and at each checkpoint. It may be nil.
	Validate func(ctx context.Context, weights map[string]tensor.Tensor) (float64, error)
}

// Gradients are of one step.
type Gradients struct {
	Loss     float64
	Measures map[string]float64
	Of       map[string]tensor.Tensor // by a parameter's name
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
	Pause   <-chan struct{} // each receive pauses, the next one resumes; may be nil
	// Export is given the trained weights at every checkpoint; may be nil.
	Export func(weights map[string]tensor.Tensor) error
}

// Status is a line of the log.
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
	// PeakMemory is how many bytes a training will take, in the note that says so.
	PeakMemory int64 `json:"peak_memory,omitempty"`
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
// directory it resumes from the checkpoint.
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
	log, err := openLog(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.close()) }()
	if s.step > 0 {
		log.note(s, fmt.Sprintf("resumed from step %d", s.step))
	} else if err := s.validate(ctx, t, o, log); err != nil {
		return err
	}
	exec, err := s.compile(t, o)
	if err != nil {
		return err
	}
	defer exec.Finalize()

	return s.steps(ctx, exec, t, o, log)
}

// steps runs all steps that are left.
func (s *state) steps(ctx context.Context, exec *model.Exec, t Task, o Options, log *trainingLog) error {
	bctx, stop := context.WithCancel(ctx)
	defer stop()
	next := s.batches(bctx, t, o)
	every := max(1, o.Recipe.Every)
	mean := newMeans()
	for s.step < o.Recipe.Steps {
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), s.save(o, log))
		case <-o.Pause:
			if err := s.pause(ctx, o, log); err != nil {
				return err
			}
		default:
		}
		b, ok := next()
		if !ok || b.err != nil && ctx.Err() != nil {
			return errors.Join(ctx.Err(), s.save(o, log))
		}
		if b.err != nil {
			return fmt.Errorf("making the batch of step %d: %w", s.step, b.err)
		}
		rate := Rate(o.Recipe.Optimizer, s.step, o.Recipe.Steps)
		if err := s.advance(exec, t, b, rate, o, mean); err != nil {
			return err
		}
		last := s.step == o.Recipe.Steps
		if s.step%max(1, min(20, every)) == 0 || last {
			log.add(mean.status(s, rate, t.Pictures))
			mean = newMeans()
		}
		if s.step%every == 0 || last {
			if err := s.checkpoint(ctx, t, o, log); err != nil {
				return err
			}
			mean.since = time.Now() // a checkpoint's time is no step's
		}
	}
	return nil
}

// stepInputs are those of a step, or why they couldn't be made. Of gradients, loss and measures come with them.
type stepInputs struct {
	in       []*tensors.Tensor
	err      error
	loss     float64
	measures map[string]float64
	took     time.Duration
}

// batches returns what gives each step its inputs, until there are no more.
func (s *state) batches(ctx context.Context, t Task, o Options) func() (stepInputs, bool) {
	if t.Gradients == nil {
		made := makeBatches(ctx, t, s.step, o.Recipe.Steps)
		return func() (stepInputs, bool) {
			b, ok := <-made
			return b, ok
		}
	}
	return func() (b stepInputs, _ bool) {
		params := map[string]tensor.Tensor{}
		for _, p := range s.params {
			data, err := s.data("/w/" + p.Name)
			if err != nil {
				return stepInputs{err: err}, true
			}
			params[p.Name] = tensor.Tensor{Shape: p.Shape, Data: data}
		}
		began := time.Now()
		g, err := t.Gradients(ctx, s.step, params)
		if err != nil {
			return stepInputs{err: err}, true
		}
		b.loss, b.measures, b.took = g.Loss, g.Measures, time.Since(began)
		for _, p := range s.params {
			d, ok := g.Of[p.Name]
			if !ok {
				d = tensor.New(p.Shape...)
			}
			b.in = append(b.in, tensors.FromFlatDataAndDimensions(d.Data, p.Shape...))
		}
		return b, true
	}
}

// makeBatches makes each step's inputs while the step before runs.
func makeBatches(ctx context.Context, t Task, from, steps int) <-chan stepInputs {
	out := make(chan stepInputs, 2)
	go func() {
		defer close(out)
		for step := from; step < steps; step++ {
			in, err := t.Batch(step)
			select {
			case out <- stepInputs{in: in, err: err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return out
}

// advance runs a step.
func (s *state) advance(exec *model.Exec, t Task, b stepInputs, rate float64, o Options, m *means) error {
	began := time.Now()
	loss, norm, measures, err := s.run(exec, b.in, rate, o)
	if err != nil {
		return err
	}
	if t.Gradients != nil {
		loss, measures = b.loss, b.measures
	}
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("the loss is %v at step %d: lower the optimizer's rate or its clip; the checkpoint before it is kept", loss, s.step)
	}
	s.step++
	s.pictures += t.Pictures
	s.seconds += (b.took + time.Since(began)).Seconds()
	m.loss, m.norm, m.steps = m.loss+loss, m.norm+norm, m.steps+1
	for k, v := range measures {
		m.sums[k], m.counts[k] = m.sums[k]+v, m.counts[k]+1
	}
	return nil
}

// pause writes a checkpoint and waits until the training is to resume.
func (s *state) pause(ctx context.Context, o Options, log *trainingLog) error {
	log.note(s, "paused")
	if err := s.save(o, log); err != nil {
		return err
	}
	select {
	case <-o.Pause:
	case <-ctx.Done():
		return ctx.Err()
	}
	log.note(s, "resumed")
	return nil
}

// validate logs the loss of what isn't trained on.
func (s *state) validate(ctx context.Context, t Task, o Options, log *trainingLog) error {
	if t.Validate == nil {
		return nil
	}
	w, err := s.trained(o)
	if err != nil {
		return err
	}
	loss, err := t.Validate(ctx, w)
	if err != nil {
		return fmt.Errorf("validating at step %d: %w", s.step, err)
	}
	log.add(Status{Step: s.step, Pictures: s.pictures, Seconds: s.seconds, Measures: map[string]float64{"validation": loss},
		Note: fmt.Sprintf("validation loss %.4f", loss)})
	return nil
}

// checkpoint writes a checkpoint, validates it, and draws the task's sheet.
func (s *state) checkpoint(ctx context.Context, t Task, o Options, log *trainingLog) error {
	if err := errors.Join(s.save(o, log), s.validate(ctx, t, o, log)); err != nil {
		return err
	}
	if t.Sheet == nil {
		return nil
	}
	w, err := s.trained(o)
	if err != nil {
		return err
	}
	if err := t.Sheet(w, filepath.Join(o.Dir, fmt.Sprintf("sheet-%06d.png", s.step))); err != nil {
		return fmt.Errorf("drawing the sheet of step %d: %w", s.step, err)
	}
	return nil
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
		trained := map[string]*Node{}
		for _, p := range s.params {
			trained[p.Name] = s.value(g, "/w/"+p.Name)
		}
		if t.Gradients != nil {
			norm := s.move(opt, in, trained, s.params, in[4:])
			return []*Node{norm, norm}
		}
		used := map[string]bool{}
		w := nn.Weights(func(name string) *Node {
			if n, ok := trained[name]; ok {
				used[name] = true
				return n
			}
			return s.value(g, "/frozen/"+name)
		})
		loss, measures := t.Loss(w, in[4:])
		// A parameter that a step doesn't use stays as it is; else it would move in the
		// direction of the steps before.
		var params []Param
		var nodes []*Node
		for _, p := range s.params {
			if used[p.Name] {
				params, nodes = append(params, p), append(nodes, trained[p.Name])
			}
		}
		out := []*Node{loss, s.move(opt, in, trained, params, Gradient(loss, nodes...))}
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

// move moves parameters by their gradients, and returns the length of all of these before they are clipped.
func (s *state) move(opt eligen.Optimizer, in []*Node, trained map[string]*Node, params []Param, grads []*Node) *Node {
	norm := length(grads)
	factor := OnesLike(norm)
	if opt.Clip > 0 {
		factor = Min(factor, Div(Scalar(norm.Graph(), dtypes.Float32, opt.Clip), AddScalar(norm, 1e-6)))
	}
	u := update{state: s, Optimizer: opt, rate: in[0], c1: in[1], c2: in[2], mean: in[3]}
	for i, p := range params {
		u.apply(p, trained[p.Name], Mul(grads[i], factor))
	}
	return norm
}

// value returns a variable in a graph.
func (s *state) value(g *Graph, path string) *Node { return s.store.GetVariable(path).NodeValue(g) }

func (s *state) run(exec *model.Exec, in []*tensors.Tensor, rate float64, o Options) (loss, norm float64,
	measures map[string]float64, err error) {
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

// trained returns the weights that the training would end with now.
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

// save writes the checkpoint and the weights, each atomically.
func (s *state) save(o Options, log *trainingLog) error {
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
	log.note(s, "checkpoint")
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
