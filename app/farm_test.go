package app_test

import (
	"bytes"
	"context"
	"os"
	"sync"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/farm"
	"github.com/eligen/eligen/farm/server"
)

// startQueue starts a server of one's own, and returns its address.
func startQueue(t *testing.T) string {
	t.Helper()
	s, err := server.Start(server.Options{Listen: "127.0.0.1:0", Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s.URL("")
}

// work has a worker with a store of its own, until the test ends.
func work(t *testing.T, queue, name string) {
	t.Helper()
	a := app.New(app.Options{Folder: t.TempDir(), Queue: farm.Options{URL: queue}})
	ctx, drain := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ready := make(chan bool)
	ended.Go(func() {
		err := a.Work(ctx, app.WorkRequest{Engine: "paint", Name: name, Log: t.Logf}, func(farm.Presence) { close(ready) })
		if err != nil {
			t.Error(err)
		}
	})
	<-ready
	t.Cleanup(func() {
		drain()
		ended.Wait()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestFarm: a clip whose frames two workers make has the bytes of one that was made here. The same run is in
// the store of whoever applies next, who makes nothing.
func TestFarm(t *testing.T) {
	apply := func(o app.Options) (clip []byte, p eligen.Progress) {
		t.Helper()
		a := app.New(o)
		defer a.Close()
		f := frontEnd{a, t.TempDir()}
		made, err := a.Apply(t.Context(), f.planned(t, f.request("walk.hcl", clipScene)), app.Run{Events: p.Add})
		if err != nil || len(made.Files) != 1 {
			t.Fatal(made, err)
		}
		if clip, err = os.ReadFile(made.Files[0].Path); err != nil {
			t.Fatal(err)
		}
		return clip, p
	}
	alone, one := apply(app.Options{Folder: t.TempDir()})
	queue := startQueue(t)
	work(t, queue, "anvil")
	work(t, queue, "bellows")
	together, many := apply(app.Options{Folder: t.TempDir(), Queue: farm.Options{URL: queue}})
	if !bytes.Equal(alone, together) || len(many.Reports) > 0 {
		t.Errorf("the same clip: %v; reports %v", bytes.Equal(alone, together), many.Reports)
	}
	if a, b := one.Counts()[eligen.Done], many.Counts()[eligen.Done]; a != b {
		t.Errorf("%d stages here, %d on the farm", a, b)
	}
	again, p := apply(app.Options{Folder: t.TempDir(), Queue: farm.Options{URL: queue}})
	if n := p.Counts()[eligen.Done]; n != 0 || !bytes.Equal(alone, again) {
		t.Errorf("afterwards, %d stages were made; the same clip: %v", n, bytes.Equal(alone, again))
	}
}
