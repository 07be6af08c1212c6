package farm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/stage"
)

// A job is a task in a worker's hands.
type job struct {
	*worker
	m     jetstream.Msg
	run   Run
	task  task
	began time.Time

	ctx   context.Context
	drop  context.CancelFunc // the run was cancelled, or the worker stops
	freed sync.Once          // the engine, for the next task

	byName map[string]stage.Definition
	doing  Doing

	made    int
	problem *eligen.Diagnostic // of the stage that failed
	failed  stage.Definition
	failure error
}

// handle makes a task, and says how it has ended.
func (w *worker) handle(m jetstream.Msg, run Run) {
	j := &job{worker: w, m: m, run: run, began: time.Now()}
	defer j.free()
	var err error
	if j.task, err = parseTask(m.Data()); err != nil || j.task.Run != run.ID {
		w.logf("a message is no task: %v", err)
		_ = m.TermWithReason("not a task of eligen's")
		return
	}
	if w.avoided(run.ID) { // since it asked for the task
		_ = m.NakWithDelay(w.q.beat())
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	j.ctx, j.drop = ctx, cancel
	if w.o.Stop != nil {
		go func() {
			select {
			case <-w.o.Stop:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	w.mu.Lock()
	if w.cancels[run.ID] == nil {
		w.cancels[run.ID] = map[*job]bool{}
	}
	w.cancels[run.ID][j] = true
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.cancels[run.ID], j)
		if len(w.cancels[run.ID]) == 0 {
			delete(w.cancels, run.ID)
		}
		w.ledger.add(run.ID, time.Since(j.began))
		w.mu.Unlock()
	}()
	alive := make(chan struct{})
	go j.alive(alive)
	defer close(alive)
	j.work()
}

// avoided reports whether a run takes nothing from this worker.
func (w *worker) avoided(run string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.runs[run].Avoid, w.presence.ID)
}

// free lets the worker take the next task.
func (j *job) free() { j.freed.Do(func() { <-j.engine }) }

// alive tells the queue that the task is being made.
func (j *job) alive(until chan struct{}) {
	tick := time.NewTicker(max(j.q.patience/4, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-until:
			return
		case <-tick.C:
			_ = j.m.InProgress() // the next one may come through
		}
	}
}

// work makes the task, unless it is made, or somebody else makes it.
func (j *job) work() {
	t := j.task
	if !t.Again && !t.Repair {
		if info, err := j.o.Far.Stat(j.ctx, t.Digest); err == nil {
			j.finish(info.Content)
			return
		}
	}
	j.enter()
	defer j.leave()
	if !j.begin() {
		return
	}
	stages, err := j.stages()
	if err != nil && !errors.Is(err, errLacking) && j.ctx.Err() == nil {
		j.reject(err)
		return
	}
	if err == nil {
		j.name(stages)
		err = j.pictures(j.ctx, stages)
	}
	if err == nil {
		err = j.apply(stages)
	}
	switch {
	case j.ctx.Err() != nil: // the worker stops, or the run was cancelled: that is no fault of the task
		j.forget()
		_ = j.m.Nak()
		return
	case err != nil && local(err):
		j.fault(err)
		return
	case errors.Is(err, errLacking) || errors.Is(j.failure, errLacking):
		j.lacks(err)
		return
	case err != nil:
		j.again(err)
		return
	}
	info, err := j.stored()
	if err != nil {
		j.fault(fmt.Errorf("the result can't be stored: %w", err))
		return
	}
	j.mu.Lock()
	j.presence.Made++
	j.pauses = 0
	j.mu.Unlock()
	j.forget()
	j.finish(info.Content)
	j.report("")
}

// report tells the front end.
func (j *job) report(problem string) {
	if j.o.Event != nil {
		j.o.Event(j.run.ID, shown(j.run.Scene), WorkEvent{
			Task: j.doing.Stage, Stages: j.made, Seconds: time.Since(j.began).Seconds(), Problem: problem, Trace: j.run.Trace,
		})
	}
}

// local reports whether an error is the machine's, and not the task's.
func local(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission) ||
		errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EMFILE)
}

// tried is what is known of a task that was begun and has not ended.
type tried struct {
	Tries []try  `json:"tries"`
	Last  string `json:"last,omitempty"` // what failed, where it failed
	seq   uint64
}

func (j *job) trySubject() string { return prefix + "try." + string(j.task.Digest) }

// begin notes that this worker begins the task. It reports whether it should: not where another one is at it,
// or where too many have died of it.
func (j *job) begin() bool {
	before, err := j.before()
	if err != nil {
		_ = j.m.NakWithDelay(j.q.beat())
		return false
	}
	if n := len(before.Tries); n > 0 && j.isMaking(before.Tries[n-1]) {
		_ = j.m.NakWithDelay(max(j.q.patience/4, 50*time.Millisecond))
		return false
	}
	if len(before.Tries) >= j.q.most {
		j.giveUp(before)
		return false
	}
	before.Tries = append(before.Tries, try{j.presence.ID, j.presence.Name})
	data, err := json.Marshal(before)
	if err == nil {
		_, err = j.q.js.Publish(j.ctx, j.trySubject(), data, jetstream.WithExpectLastSequencePerSubject(before.seq))
	}
	if err != nil { // somebody else was quicker, or the queue is away
		_ = j.m.NakWithDelay(j.q.beat())
	}
	return err == nil
}

// before returns who has begun the task and not ended it.
func (j *job) before() (tried, error) {
	var t tried
	last, err := j.q.tries().GetLastMsgForSubject(j.ctx, j.trySubject())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return t, nil
	}
	if err != nil {
		return t, err
	}
	if json.Unmarshal(last.Data, &t) != nil {
		t = tried{}
	}
	t.seq = last.Sequence
	return t, nil
}

// isMaking reports whether a worker is there and makes this very task.
func (j *job) isMaking(t try) bool {
	if t.Worker == j.presence.ID {
		return false // of an earlier delivery, which has ended
	}
	e, err := j.q.here().Get(j.ctx, t.Worker)
	var p Presence
	if err != nil || json.Unmarshal(e.Value(), &p) != nil {
		return false
	}
	for _, d := range p.Doing {
		if d.Task == j.task.Digest {
			return true
		}
	}
	return false
}

// forget drops the note of begin: the task has ended, one way or another.
func (j *job) forget() {
	_ = j.q.tries().Purge(context.WithoutCancel(j.ctx), jetstream.WithPurgeSubject(j.trySubject())) // else it runs out
}

// giveUp sets the task aside: workers have died of it, or failed at it.
func (j *job) giveUp(t tried) {
	var names []string
	for _, w := range t.Tries {
		names = append(names, shown(w.Name))
	}
	problem := eligen.Problem(eligen.Error, nil, "Stage was set aside", "")
	if t.Last != "" {
		problem.Detail = fmt.Sprintf("It failed %d times, on %s: %s", len(names), listed(once(names)), shown(t.Last))
	} else {
		problem.Detail = fmt.Sprintf("%d workers died while they made it: %s. Make it on one machine, without --queue, to see why.",
			len(names), listed(names))
	}
	j.setAside(problem, names)
}

// once returns names without those that came before.
func once(names []string) (out []string) {
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// setAside keeps a task from being made again in this run, and tells the run.
func (j *job) setAside(problem eligen.Diagnostic, names []string) {
	a := Aside{Format: format, Run: j.task.Run, Task: j.task.Digest, Stage: j.task.Digest, Problem: problem, Workers: names, Time: j.q.now()}
	if j.failed.Digest != "" {
		a.Stage, a.Name = j.failed.Digest, j.failed.Name
	} else if stages, err := j.stages(); err == nil {
		a.Name = stages[len(stages)-1].Name
	}
	data, err := json.Marshal(a)
	if err == nil {
		_, err = j.q.set().Put(context.WithoutCancel(j.ctx), string(a.Task), data)
	}
	if err != nil {
		_ = j.m.NakWithDelay(j.q.beat())
		return
	}
	j.forget()
	j.mu.Lock()
	j.presence.Failed++
	j.mu.Unlock()
	j.note(note{Type: eligen.Failed, Stage: a.Stage, Problem: &problem})
	_ = j.m.TermWithReason("set aside: " + problem.Summary)
	j.logf("%s is set aside: %s", shown(a.Name), problem.Detail)
}

// reject sets a task aside that no worker of this version could make.
func (j *job) reject(err error) {
	why := fmt.Sprintf("The worker %s refuses it: %s.", shown(j.presence.Name), shown(err.Error()))
	j.setAside(eligen.Problem(eligen.Error, nil, "Task refused", why), []string{j.presence.Name})
}

// lacks has the run put what the task needs into the shared store again. The task comes back then, and this
// time counts for no try, unless it has come often: perhaps there is no run.
func (j *job) lacks(err error) {
	if _, away := j.o.Far.Stat(j.ctx, j.run.Mark); away != nil && !errors.Is(away, fs.ErrNotExist) {
		j.fault(fmt.Errorf("the shared store doesn't answer: %w", away))
		return
	}
	if about, e := j.m.Metadata(); e == nil && about.NumDelivered > mostArrivals {
		j.again(err)
		return
	}
	j.logf("%s: %v; the run sends it again", shown(cmp.Or(j.doing.Stage, "task "+j.task.Digest.Short())), err)
	before, e := j.before()
	if n := len(before.Tries); e == nil && n > 0 && before.Tries[n-1].Worker == j.presence.ID {
		before.Tries = before.Tries[:n-1]
	}
	if data, bad := json.Marshal(before); e == nil && bad == nil && len(before.Tries) > 0 {
		_, _ = j.q.js.Publish(context.WithoutCancel(j.ctx), j.trySubject(), data) // else it counts as one
	} else {
		j.forget()
	}
	j.note(note{Lacks: true})
	_ = j.m.NakWithDelay(j.q.beat() / 2)
}

// again has another worker try, or sets the task aside where enough have.
func (j *job) again(err error) {
	j.logf("%s: %v", shown(j.doing.Stage), err)
	j.report(err.Error())
	before, e := j.before()
	if e != nil {
		_ = j.m.NakWithDelay(j.q.beat())
		return
	}
	before.Last = err.Error()
	if j.problem != nil {
		before.Last = j.problem.Detail
	}
	if len(before.Tries) >= j.q.most || j.problem != nil && sure(j.failure) {
		j.giveUp(before)
		return
	}
	data, e := json.Marshal(before)
	if e == nil {
		_, e = j.q.js.Publish(context.WithoutCancel(j.ctx), j.trySubject(), data)
	}
	if e != nil {
		j.logf("the queue doesn't answer: %v", e)
	}
	_ = j.m.NakWithDelay(j.q.beat() / 2)
}

// sure reports whether a stage would fail on every worker: its bytes differ from those of the store.
func sure(err error) bool { return errors.Is(err, runtime.ErrNotDeterministic) }

// fault is of this machine, and not of the task: another worker should have it, and this one takes a rest.
func (j *job) fault(err error) {
	j.mu.Lock()
	j.pauses++
	rest := min(j.q.patience, time.Duration(1<<min(j.pauses, 10))*j.q.beat())
	j.pausedTo = time.Now().Add(rest)
	j.presence.Unfit = ofAny + err.Error()
	j.mu.Unlock()
	j.logf("%v; takes nothing for %v", err, rest.Round(time.Millisecond))
	j.report(err.Error())
	j.forget()
	_ = j.m.NakWithDelay(j.q.beat() / 2)
}

// stages returns the task's stages, checked.
func (j *job) stages() ([]stage.Definition, error) {
	body := []byte(j.task.Stages)
	if j.task.Body != "" {
		var err error
		if body, err = blob(j.ctx, j.o.Far, j.task.Body, maxBody); err != nil {
			return nil, err
		}
	}
	stages, err := parseStages(body, j.task.Digest)
	if err != nil {
		return nil, err
	}
	for _, d := range stages {
		if d.Engine != "" && d.Engine != j.presence.Engine {
			return nil, fmt.Errorf("it runs the engine %s, and the stage needs %s", j.presence.Engine, d.Engine)
		}
		for _, weights := range stage.WeightsOf(d.Op) {
			if j.o.Has != nil && !j.o.Has(weights) {
				return nil, fmt.Errorf("it was not given the weights %s", weights.Short())
			}
		}
	}
	return stages, nil
}

// enter has the worker's presence say what it makes, before it begins: another worker may ask at once.
func (j *job) enter() {
	j.doing = Doing{Run: j.run.ID, Task: j.task.Digest, Since: j.q.now()}
	j.mu.Lock()
	j.presence.Doing = append(j.presence.Doing, j.doing)
	j.mu.Unlock()
	_ = j.say(j.ctx) // or at the next beat
}

// name has it say the stage.
func (j *job) name(stages []stage.Definition) {
	j.doing.Stage = shown(stages[len(stages)-1].Name)
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, d := range j.presence.Doing {
		if d.Task == j.doing.Task {
			j.presence.Doing[i].Stage = j.doing.Stage
		}
	}
}

func (j *job) leave() {
	j.mu.Lock()
	for i, d := range j.presence.Doing {
		if d.Task == j.doing.Task {
			j.presence.Doing = append(j.presence.Doing[:i:i], j.presence.Doing[i+1:]...)
			break
		}
	}
	j.mu.Unlock()
	_ = j.say(context.WithoutCancel(j.ctx)) // or at the next beat
}

// given stands for a result that a task needs and doesn't make.
type given struct{}

// Kind names it.
func (given) Kind() string { return "given/1" }

// Run fails: the result should have been in the store.
func (given) Run(context.Context, *eligen.Call) error {
	return errLacking
}

// apply makes the task's stages in a plan of their own.
func (j *job) apply(stages []stage.Definition) error {
	p := &eligen.Plan{Scene: j.run.Scene, Engine: j.presence.Engine}
	at := map[eligen.Digest]eligen.Ref{}
	add := func(s eligen.Stage) {
		at[s.Digest] = eligen.Ref(len(p.Stages))
		p.Stages = append(p.Stages, s)
	}
	j.byName = map[string]stage.Definition{}
	r := j.o.Runner
	lastEngine := ""
	for _, d := range stages {
		var inputs []eligen.Ref
		for _, in := range d.Inputs {
			if _, ok := at[in]; !ok {
				add(eligen.Stage{Name: "input " + in.Short(), Op: given{}, Digest: in})
			}
			inputs = append(inputs, at[in])
		}
		name := shown(d.Name)
		for _, taken := j.byName[name]; taken; _, taken = j.byName[name] {
			name += "'"
		}
		j.byName[name] = d
		if d.Engine != "" {
			lastEngine = name
		}
		add(eligen.Stage{Name: name, Op: d.Op, Inputs: inputs, Digest: d.Digest})
		if j.task.Again {
			r.Replace = append(r.Replace, at[d.Digest])
		}
	}
	r.Unrecorded = true
	r.Emit = func(e eligen.Event) { j.event(e, lastEngine) }
	err := r.Apply(j.ctx, p)
	if j.failure == nil {
		var failed *runtime.StageError
		if errors.As(err, &failed) {
			j.failure = failed.Err
		}
	}
	return err
}

// event passes on what happens to a stage.
func (j *job) event(e eligen.Event, lastEngine string) {
	d, ok := j.byName[e.Stage]
	if !ok {
		if e.Problem != nil && e.Type == eligen.Failed { // an input
			j.problem = e.Problem
		}
		if e.Problem != nil && e.Type == eligen.Reported {
			j.logf("%s: %s", e.Problem.Summary, e.Problem.Detail)
		}
		return
	}
	switch e.Type {
	case eligen.Started:
		j.note(note{Type: e.Type, Stage: d.Digest})
	case eligen.Stepped:
		j.mu.Lock()
		for i := range j.presence.Doing {
			if p := &j.presence.Doing[i]; p.Task == j.task.Digest {
				p.Stage, p.Step, p.Of = e.Stage, e.Step, e.Of
			}
		}
		j.mu.Unlock()
		j.note(note{Type: e.Type, Stage: d.Digest, Step: e.Step, Of: e.Of})
	case eligen.Done, eligen.Cached:
		n := note{Type: eligen.Done, Stage: d.Digest}
		if e.Artifact != nil {
			n.Size = e.Artifact.Size
		}
		if e.Type == eligen.Done {
			j.made++
		}
		j.note(n)
	case eligen.Failed:
		j.problem, j.failed = e.Problem, d
	}
	if e.Stage == lastEngine && e.Type == eligen.Done {
		j.free() // what is left needs no engine
	}
}

// note tells the run something. It may get lost.
func (j *job) note(n note) {
	n.Format, n.Task, n.Worker, n.Name = format, j.task.Digest, j.presence.ID, j.presence.Name
	if data, err := json.Marshal(n); err == nil {
		_ = j.q.conn.Publish(prefix+"note."+j.task.Run, data)
	}
}

// stored returns what the shared store has of the task's result, after it was uploaded.
func (j *job) stored() (runtime.Info, error) {
	info, err := j.o.Far.Stat(j.ctx, j.task.Digest)
	if j.task.Repair || errors.Is(err, runtime.ErrCorrupt) {
		info, err = j.repair()
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("the shared store has not taken it")
	}
	return info, err
}

// repair puts this machine's copy in the place of a damaged one.
func (j *job) repair() (runtime.Info, error) {
	info, err := runtime.Verify(j.ctx, j.o.Far, j.task.Digest)
	if err == nil {
		return info, nil
	}
	from, err := j.o.Runner.Store.Open(j.ctx, j.task.Digest)
	if err != nil {
		return info, err
	}
	defer from.Close()
	to, err := j.o.Far.Create(j.ctx, j.task.Digest)
	if err != nil {
		return info, err
	}
	defer to.Close()
	if _, err := io.Copy(to, from); err != nil {
		return info, err
	}
	return to.Commit(true)
}

// finish says that the task is made, and takes it out of the queue. Where that gets lost, it comes again, and
// the store has its result.
func (j *job) finish(content eligen.Digest) {
	j.note(note{Type: eligen.Ended, Content: content, Made: j.made})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(j.ctx), 5*time.Second)
	defer cancel()
	_ = j.m.DoubleAck(ctx)
}
