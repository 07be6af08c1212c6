package farm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/eligen/eligen/internal/words"
)

// values reads all values of a bucket.
func values[T any](ctx context.Context, kv jetstream.KeyValue, check func(key string, v T) bool) ([]T, error) {
	keys, err := kv.ListKeys(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for key := range keys.Keys() {
		names = append(names, key)
	}
	var out []T
	for _, key := range names {
		e, err := kv.Get(ctx, key)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var v T
		if json.Unmarshal(e.Value(), &v) == nil && check(key, v) {
			out = append(out, v)
		}
	}
	return out, nil
}

// Workers lists the workers that are there, by name.
func (q *Queue) Workers(ctx context.Context) ([]Presence, error) {
	out, err := values(ctx, q.here(), func(key string, p Presence) bool { return p.Format == format && p.ID == key && isToken(key) })
	slices.SortFunc(out, func(a, b Presence) int { return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID)) })
	return out, err
}

// A Waiting is a run, and what of it is in the queue.
type Waiting struct {
	Run
	Queued int `json:"queued"` // tasks that nobody has begun
	Making int `json:"making"` // tasks that workers have
}

// Runs lists the runs that are there, the one that goes first first.
func (q *Queue) Runs(ctx context.Context) ([]Waiting, error) {
	runs, err := values(ctx, q.runs(), func(key string, r Run) bool { return r.Format == format && r.ID == key && isToken(key) })
	if err != nil {
		return nil, err
	}
	var out []Waiting
	for _, r := range runs {
		w := Waiting{Run: r}
		for _, c := range r.Classes {
			if from, err := q.js.Consumer(ctx, workStream, consumer(r.ID, c.ID)); err == nil {
				info := from.CachedInfo()
				w.Queued, w.Making = w.Queued+int(info.NumPending), w.Making+info.NumAckPending //nolint:gosec // a run's tasks
			}
		}
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b Waiting) int { return cmp.Or(cmp.Compare(b.Priority, a.Priority), a.Began.Compare(b.Began)) })
	return out, nil
}

// SetAside lists the tasks that were set aside, the latest last.
func (q *Queue) SetAside(ctx context.Context) ([]Aside, error) {
	out, err := values(ctx, q.set(), func(key string, a Aside) bool { return a.Format == format && string(a.Task) == key })
	slices.SortFunc(out, func(a, b Aside) int { return a.Time.Compare(b.Time) })
	return out, err
}

// Cancel takes a run out of the queue, and has workers stop making it.
func (q *Queue) Cancel(ctx context.Context, run string) error {
	if !isToken(run) {
		return fmt.Errorf("%q is no name of a run", run)
	}
	err := q.runs().Purge(ctx, run)
	err = errors.Join(err, q.conn.Publish(prefix+"cancel."+run, nil))
	names := q.work().ConsumerNames(ctx)
	for name := range names.Name() {
		if strings.HasPrefix(name, run+"-") {
			err = errors.Join(err, q.js.DeleteConsumer(ctx, workStream, name))
		}
	}
	return errors.Join(err, names.Err(), q.work().Purge(ctx, jetstream.WithPurgeSubject(prefix+"work."+run+".>")))
}

// sweep takes out of the queue what runs have left there that were killed. It is done along the way, as far as it goes: a run
// whose connection was away for long puts its tasks back.
func (q *Queue) sweep(ctx context.Context) {
	keys, err := q.runs().ListKeys(ctx)
	if err != nil {
		return
	}
	there := map[string]bool{}
	for key := range keys.Keys() {
		there[key] = true
	}
	gone := map[string]bool{}
	names := q.work().ConsumerNames(ctx)
	for name := range names.Name() {
		if run, _, ok := strings.Cut(name, "-"); ok && !there[run] {
			gone[run] = true
		}
	}
	if info, err := q.work().Info(ctx, jetstream.WithSubjectFilter(prefix+"work.>")); err == nil {
		for subject := range info.State.Subjects {
			run, _, _ := strings.Cut(strings.TrimPrefix(subject, prefix+"work."), ".")
			if !there[run] {
				gone[run] = true
			}
		}
	}
	for run := range gone {
		_ = q.Cancel(ctx, run) // or the next one does
	}
}

// Drain has workers finish what they make, and end: those of names or IDs, or all where there are none. It
// returns whom it told.
func (q *Queue) Drain(ctx context.Context, names []string) ([]Presence, error) {
	all, err := q.Workers(ctx)
	if err != nil {
		return nil, err
	}
	told, known := []Presence{}, map[string]bool{}
	for _, p := range all {
		known[p.Name], known[p.ID] = true, true
		if len(names) == 0 || slices.Contains(names, p.Name) || slices.Contains(names, p.ID) {
			if err := q.conn.Publish(prefix+"drain."+p.ID, nil); err != nil {
				return told, err
			}
			told = append(told, p)
		}
	}
	for _, n := range names {
		if !known[n] {
			return told, fmt.Errorf("there is no worker %q. List them with\n\n    eligen workers", n)
		}
	}
	return told, q.conn.FlushTimeout(5 * time.Second)
}

// listed joins names for a sentence.
func listed(names []string) string { return words.Listed(names, "and") }
