// Package app is what eligen can do, without a terminal or a socket: open a scene, plan it, make
// its pictures, preview, verify and compare them, and look into what earlier runs have left.
//
// A front end (the command line, a server, a worker) fills in a request, a plain struct, and gets
// values back. Progress comes as events to a callback; cancellation is the context's. Nothing here
// prints, reads flags, ends the process or depends on the working directory, unless a request holds
// a relative path.
package app

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/farm"
	backends "github.com/eligen/eligen/model/backend"
	modelengine "github.com/eligen/eligen/model/engine"
	"github.com/eligen/eligen/model/families"
	"github.com/eligen/eligen/model/family"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/store/file"
	"github.com/eligen/eligen/store/layered"
	"github.com/eligen/eligen/store/remote/bucket"
)

// Options say where an App keeps things, and what it knows of its surroundings.
type Options struct {
	// Folder holds the store, in its folder "store". Without it, operations that need the store
	// return ErrNoFolder.
	Folder string
	// Store holds results in place of the folder's store: one in memory, or a cache that machines share.
	// What operations on the store itself (Entries, Collect, Export…) look into stays the folder's.
	Store runtime.Store
	// Cache is the address of a cache that machines share, in front of which the folder's store is:
	// http or https, of a server that speaks Bazel's protocol, or s3, gs, azblob or file, of a bucket.
	// "" is none. A CacheReadOnly gets nothing.
	Cache         string
	CacheReadOnly bool
	// Queue has workers on other machines make what a run needs of models: Apply puts it there, and Work
	// takes it. Results go to the Cache, or where there is none to a store in the queue. "" is none.
	Queue farm.Options
	// Observe is called as a run of a scene begins; nil is not. What it returns is told the run.
	Observe func(scene string) Observer
	// Worked is told each task that a worker has ended; nil is not.
	Worked func(run, scene string, e farm.WorkEvent)
	// Partials, Leaser and Journals are, where they are nil, the Store if it implements them, or else
	// the folder's store; without a folder, there are none.
	Partials runtime.Partials
	Leaser   runtime.Leaser
	Journals runtime.Journals
	// Env looks up a variable of the environment: scenes' variables, ELIGEN_VAR_name, and where hubs and
	// ComfyUI keep weights. Nil is an empty environment, in which paths alone lead to weights.
	Env func(name string) (string, bool)
	// Families are the kinds of model that scenes may name; nil is families.All.
	Families family.Table
}

// ErrNoFolder says that an App has no folder for its store.
var ErrNoFolder = errors.New("no folder for results is set")

// An Observer is told a run by who watches the program.
type Observer interface {
	Event(e eligen.Event) // the run's events, in order
	Trace() string        // the run's place in a trace, W3C's traceparent, which workers are told
	End(err error)        // the run has ended
}

// ErrClosed says that an App was closed.
var ErrClosed = errors.New("the App is closed")

// An App holds what operations share: the store, and engines, which stay warm from one call to the
// next. Its methods may be called from several goroutines. Close it when it is no longer used.
type App struct {
	options Options
	sources *sources // of weights; nil finds paths alone

	running sync.WaitGroup // calls that use what is shared
	colours colourMaps     // of autoencoders, for pictures of steps

	mu      sync.Mutex
	closed  bool // no call may begin
	store   *file.Store
	shared  *layered.Store // over store, where there is a Cache or a Queue
	bucket  *bucket.Bucket // of the Cache, where it is one
	farm    *farm.Queue    // where it was needed
	engines map[engineKey]engine
}

// An engineKey names an engine of models: its backend, and the folder of the model nano.
type engineKey struct{ backend, nano string }

// elsewhere is the key of the engine that plans for graphics cards that aren't here.
var elsewhere = engineKey{backend: "a card elsewhere"}

type engine struct {
	eligen.Engine
	close func() error
}

// New returns an App. It opens nothing: each operation opens what it needs.
func New(o Options) *App {
	if o.Families == nil {
		o.Families = families.All
	}
	a := &App{options: o, engines: map[engineKey]engine{}}
	if o.Folder != "" {
		a.colours.folder = filepath.Join(o.Folder, "previews")
	}
	if o.Env != nil {
		a.sources = newSources(o.Env, func(names []string) []string { _, files := o.Families.Wanted(names); return files })
	}
	return a
}

// Close waits for the calls that are running, frees engines and closes the store. What is called later
// returns ErrClosed. A callback of a call must not close its App: it would wait for itself.
func (a *App) Close() error {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.running.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	var err error
	for _, e := range a.engines {
		err = errors.Join(err, e.close())
	}
	clear(a.engines)
	if a.shared != nil {
		err = errors.Join(err, a.shared.Close())
		a.shared = nil
	}
	if a.bucket != nil {
		err = errors.Join(err, a.bucket.Close())
		a.bucket = nil
	}
	if a.farm != nil {
		a.farm.Close()
		a.farm = nil
	}
	if a.store != nil {
		err = errors.Join(err, a.store.Close())
		a.store = nil
	}
	return err
}

// begin has Close wait until the call is done, or returns ErrClosed.
func (a *App) begin() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return ErrClosed
	}
	a.running.Add(1)
	return nil
}

// StoreFolder returns the path of the store's folder.
func (a *App) StoreFolder() (string, error) {
	if a.options.Folder == "" {
		return "", ErrNoFolder
	}
	return filepath.Join(a.options.Folder, "store"), nil
}

// results returns the store, opened.
func (a *App) results() (*file.Store, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrClosed
	}
	if a.store != nil {
		return a.store, nil
	}
	dir, err := a.StoreFolder()
	if err != nil {
		return nil, err
	}
	a.store, err = file.Open(dir)
	return a.store, err
}

// Engines are the kinds of engine: "model" runs models, and "paint" fills regions with flat colours.
var Engines = []string{"model", "paint"}

// made returns the store of results: that of the options, or the folder's.
func (a *App) made() (runtime.Store, error) {
	if a.options.Store != nil {
		return a.options.Store, nil
	}
	own, err := a.results()
	if err != nil {
		return own, err
	}
	return a.layered(context.Background(), own)
}

// runner returns what applies plans, with its stores.
func (a *App) runner() (runtime.Runner, error) {
	o := a.options
	store, err := a.made()
	r := runtime.Runner{Store: store, Partials: o.Partials, Leaser: o.Leaser, Journals: o.Journals}
	if err != nil || o.Cache == "" && o.Queue.URL == "" && (o.Store == nil || o.Folder == "") {
		return r, err // the runner looks itself at what the store implements
	}
	_, partials := store.(runtime.Partials)
	_, leases := store.(runtime.Leaser)
	_, journals := store.(runtime.Journals)
	partials, leases, journals = partials || r.Partials != nil, leases || r.Leaser != nil, journals || r.Journals != nil
	if partials && leases && journals {
		return r, nil
	}
	own, err := a.results()
	if err != nil {
		return r, err
	}
	if !partials {
		r.Partials = own
	}
	if !leases {
		r.Leaser = own
	}
	if !journals {
		r.Journals = own
	}
	return r, nil
}

// result reads what a stage has made, whole. ok is false where the store lacks it.
func result(ctx context.Context, store runtime.Store, d eligen.Digest) (made eligen.Artifact, ok bool, err error) {
	made, err = runtime.Get(ctx, store, d)
	if errors.Is(err, fs.ErrNotExist) {
		return made, false, nil
	}
	return made, err == nil, err
}

// has returns what reports whether a store holds a stage's result. It looks, and doesn't read.
func has(ctx context.Context, store runtime.Store) func(eligen.Digest) bool {
	return func(d eligen.Digest) bool {
		_, err := store.Stat(ctx, d)
		return err == nil
	}
}

// engine returns the engine of a kind, "" being "model", made where no call has needed it before. It
// reads no weights and starts no backend: a plan whose results are all in the store needs neither.
func (a *App) engine(kind, backend string) (eligen.Engine, error) {
	switch kind {
	case "paint":
		return a.painter(), nil
	case "", "model":
		return a.modelEngine(backend, "")
	}
	return nil, Unknown("engine", kind, "engine", Engines)
}

// painter returns the engine that needs no weights.
func (a *App) painter() paint.Engine { return paint.Engine{Families: a.options.Families} }

// modelEngine returns the engine that runs models, with nano from a folder; "" is the usual one.
func (a *App) modelEngine(backend, nano string) (eligen.Engine, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrClosed
	}
	backend, err := backends.Choose(backend) // "" is one of the others, whose weights it shares
	if err != nil {
		return nil, err
	}
	return a.opened(engineKey{backend, nano}, modelengine.Options{Backend: backend, Embedded: nano})
}

// elsewhere returns the engine that plans for graphics cards that aren't here, and runs nothing.
func (a *App) elsewhere() (eligen.Engine, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrClosed
	}
	return a.opened(elsewhere, modelengine.Options{Elsewhere: "xla:cuda"})
}

// opened returns the engine of a key, which it makes where there is none yet. a.mu is locked.
func (a *App) opened(key engineKey, o modelengine.Options) (eligen.Engine, error) {
	if e, ok := a.engines[key]; ok {
		return e, nil
	}
	o.Families = a.options.Families
	if a.sources != nil {
		o.Sources = a.sources
	}
	e, err := modelengine.New(o)
	if err != nil {
		return nil, err
	}
	a.engines[key] = engine{e, e.Close}
	return e, nil
}
