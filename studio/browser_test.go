package studio_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/studio"
)

// A tab is a scene in a studio, and a page that shows it in a real Chromium.
type tab struct {
	t      testing.TB
	ctx    context.Context
	file   string // the scene's
	url    string
	server *studio.Server
	app    *app.App
	folder string // of the store
}

// chromium returns a browser to test with, or skips.
func chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium in PATH: what the page does is not tested")
	return ""
}

// open serves a scene, made by the engine paint.
func open(t testing.TB, name, text string) *tab {
	t.Helper()
	return openWith(t, name, text, "paint")
}

func openWith(t testing.TB, name, text, engine string) *tab {
	t.Helper()
	file := filepath.Join(t.TempDir(), "scenes", name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	x := &tab{t: t, file: file, folder: t.TempDir()}
	x.app = app.New(app.Options{Folder: x.folder})
	t.Cleanup(func() { _ = x.app.Close() })
	s, err := studio.New(studio.Options{App: x.app, Request: app.PlanRequest{Input: app.Input{Path: file}, Engine: engine}})
	if err != nil {
		t.Fatal(err)
	}
	x.server = s
	t.Cleanup(s.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x.url = s.URL(l.Addr())
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return x
}

// show opens a page in a browser of its own.
func (x *tab) show(width, height int) *tab {
	x.t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(x.t)), chromedp.WindowSize(width, height),
		chromedp.Flag("force-device-scale-factor", "1"), chromedp.Flag("hide-scrollbars", false))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium has none for root
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	x.t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	x.t.Cleanup(cancel)
	x.ctx = ctx
	x.do(chromedp.EmulateViewport(int64(width), int64(height)), chromedp.Navigate(x.url), chromedp.WaitVisible(chromedp.CSS(".stage")))
	return x
}

func (x *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	x.t.Helper()
	if err := chromedp.Do(x.ctx, actions...); err != nil {
		x.t.Fatal(err)
	}
}

// text returns what the file holds.
func (x *tab) text() string {
	x.t.Helper()
	data, err := os.ReadFile(x.file)
	if err != nil {
		x.t.Fatal(err)
	}
	return string(data)
}

// until waits for an expression of the page to be true.
func (x *tab) until(what string) {
	x.t.Helper()
	if _, err := chromedp.Run(x.ctx, chromedp.Poll[chromedp.Void](what, chromedp.WithPollingTimeout(5*time.Minute))); err != nil {
		page, _ := chromedp.Run(x.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		x.t.Fatalf("%s: %v. The page says\n%s", what, err, page)
	}
}

// saved waits for the file to hold a text.
func (x *tab) saved(holds func(string) bool) {
	x.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if holds(x.text()) {
			return
		}
	}
	x.t.Fatalf("the file is\n%s", x.text())
}

// eval returns a value of the page.
func eval[T any](x *tab, expression string) T {
	x.t.Helper()
	out, err := chromedp.Run(x.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		x.t.Fatalf("%s: %v", expression, err)
	}
	return out
}

// shot keeps a picture of the page, where ELIGEN_SHOTS names a folder.
func (x *tab) shot(name string) {
	x.t.Helper()
	dir := os.Getenv("ELIGEN_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(x.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		x.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		x.t.Fatal(err)
	}
}

// diff lists the lines that differ, the old ones first.
func diff(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for len(x) > 0 && len(y) > 0 && x[0] == y[0] {
		x, y = x[1:], y[1:]
	}
	for len(x) > 0 && len(y) > 0 && x[len(x)-1] == y[len(y)-1] {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	var out []string
	for _, l := range x {
		out = append(out, "- "+l)
	}
	for _, l := range y {
		out = append(out, "+ "+l)
	}
	return strings.Join(out, "\n")
}
