package studio_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/studio"
)

// TestStop: a run that is stopped keeps the steps that it has taken, and the next goes on from there.
func TestStop(t *testing.T) {
	if testing.Short() {
		t.Skip("short: nano denoises")
	}
	x := openWith(t, "rain.hcl", `render "rain" {
  prompt = "a frog in a meadow"
  size   = [128, 128]

  sampler {
    steps = 30
  }
}

entity "frog" {
  prompt = "a frog"
  box    = xywh(0.25, 0.25, 0.5, 0.5)
}
`, "model").show(1440, 900)
	x.click("#run")
	x.until("document.querySelectorAll('.steps img').length >= 5")
	x.click("#stop")
	x.until("document.querySelector('#run') && document.querySelector('.dock').textContent.includes('Stopped')")
	x.shot("stopped")
	x.click("#run")
	x.until("document.querySelector('#stop')") // until then, the steps are those of the first run
	x.until("document.querySelectorAll('.steps img').length >= 1")
	first := eval[string](x, "document.querySelector('.steps img').closest('li').textContent")
	x.until("document.querySelector('.plan b')?.textContent.startsWith('Nothing to do')")
	if first == "1" || first == "2" {
		t.Errorf("the second run begins at step %s", first)
	}
}

// TestKilled: a server that is killed while it writes leaves the text of before or of after, and nothing else.
func TestKilled(t *testing.T) {
	file := os.Getenv("ELIGEN_TEST_WRITES")
	if file != "" {
		write(t, file)
		return
	}
	file = filepath.Join(t.TempDir(), "harbor.hcl")
	long := harbor + strings.Repeat("# a line that makes the file long\n", 20_000)
	if err := os.WriteFile(file, []byte(long), 0o644); err != nil {
		t.Fatal(err)
	}
	torn, killed := 0, 0
	for range 12 {
		c := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		c.Env = append(os.Environ(), "ELIGEN_TEST_WRITES="+file)
		out, err := c.StdoutPipe()
		if err != nil || c.Start() != nil {
			t.Fatal(err)
		}
		line := make([]byte, 6)
		if _, err := io.ReadFull(out, line); err != nil { // it writes from now on
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
		_ = c.Process.Kill()
		_ = c.Wait()
		killed++
		text, err := os.ReadFile(file)
		_, ds := dsl.Format(file, text)
		if err != nil || ds.HasErrors() || len(text) < len(long)-8 || !bytes.HasSuffix(text, []byte("file long\n")) {
			torn++
		}
	}
	if torn > 0 {
		t.Errorf("the file is torn after %d of %d kills", torn, killed)
	}
}

// TestAtOnce: what another editor writes right behind the studio is followed, and never taken for the studio's own.
func TestAtOnce(t *testing.T) {
	x := open(t, "harbor.hcl", harbor)
	address, _ := url.Parse(x.url)
	for n := range 40 {
		before := x.text()
		done := make(chan int)
		go func() {
			done <- x.post(address, fmt.Sprintf(`{"kind":"change","name":"n%d","changes":[{"kind":"numbers","block":"entity.duck",`+
				`"attribute":"box","numbers":["0.%d","","",""]}]}`, n, 10+n))
		}()
		for x.text() == before {
			runtime.Gosched()
		}
		other := regexp.MustCompile(`# .* at sea`).ReplaceAllString(x.text(), fmt.Sprintf("# Night %d at sea", n))
		if err := os.WriteFile(x.file, []byte(other), 0o644); err != nil {
			t.Fatal(err)
		}
		if status := <-done; status != http.StatusOK {
			t.Fatal(status)
		}
		sum := sha256.Sum256([]byte(other))
		status := x.post(address, fmt.Sprintf(`{"kind":"text","text":%s,"base":"%x"}`, asJSON(other), sum[:8]))
		if status != http.StatusOK || x.text() != other {
			t.Fatalf("round %d: status %d; the file is\n%s", n, status, x.text())
		}
	}
}

// post sends an edit as the page does, and returns the answer's status.
func (x *tab) post(address *url.URL, body string) int {
	x.t.Helper()
	r, err := http.NewRequest("POST", "http://"+address.Host+"/api/edit", strings.NewReader(body))
	if err != nil {
		x.t.Error(err)
		return 0
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", "http://"+address.Host)
	r.Header.Set("Cookie", "eligen-studio-"+address.Port()+"="+address.Query().Get("token"))
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		x.t.Error(err)
		return 0
	}
	_, _ = io.Copy(io.Discard, reply.Body)
	_ = reply.Body.Close()
	return reply.StatusCode
}

// write edits a scene as fast as it can, until it is killed.
func write(t *testing.T, file string) {
	a := app.New(app.Options{Folder: t.TempDir()})
	request := app.PlanRequest{Input: app.Input{Path: file}, Engine: "paint"}
	s, err := studio.New(studio.Options{App: a, Request: request, Token: strings.Repeat("t", 32)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	host := server.Listener.Addr().String()
	server.Config.Handler = s.Handler(host)
	server.Start()
	_, port, _ := strings.Cut(host, ":")
	fmt.Print("ready\n")
	for n := 0; ; n++ {
		body := fmt.Sprintf(`{"kind":"change","name":"n%d","changes":[{"kind":"numbers","block":"entity.duck","attribute":"box",`+
			`"numbers":["0.%d","","",""]}]}`, n, 10+n%60)
		r, err := http.NewRequest("POST", "http://"+host+"/api/edit", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Origin", "http://"+host)
		r.Header.Set("Cookie", "eligen-studio-"+port+"="+strings.Repeat("t", 32))
		reply, err := http.DefaultClient.Do(r)
		if err != nil || reply.StatusCode != http.StatusOK {
			t.Fatal(err, reply.StatusCode)
		}
		_, _ = io.Copy(io.Discard, reply.Body)
		_ = reply.Body.Close()
	}
}

// TestFromNothing: a scene that is drawn from nothing, with the keyboard and the pointer alone, is one that
// people would write.
func TestFromNothing(t *testing.T) {
	x := open(t, "new.hcl", "render \"new\" {\n  prompt = \"\"\n}\n").show(1440, 900)
	x.do(chromedp.Focus(chromedp.CSS("#prompt")), chromedp.KeyEvent("a duck under a rainbow"))
	x.do(chromedp.Evaluate[chromedp.Void]("document.activeElement.blur()"))
	x.saved(func(s string) bool { return strings.Contains(s, "under a rainbow") })
	for i, prompt := range []string{"a duck", "a rainbow"} {
		x.press("b")
		x.drag(0.125+0.375*float64(i), 0.25, 0.375+0.375*float64(i), 0.5, true)
		x.until("document.activeElement?.id == 'naming'")
		x.do(chromedp.KeyEvent(prompt + "\r"))
		x.until(fmt.Sprintf("document.querySelectorAll('.ents li').length == %d", i+1))
	}
	want := `render "new" {
  prompt = "a duck under a rainbow"
}

entity "duck" {
  prompt = "a duck"
  box    = xywh(0.125, 0.25, 0.25, 0.25)
}

entity "rainbow" {
  prompt = "a rainbow"
  box    = xywh(0.50, 0.25, 0.25, 0.25)
}
`
	if x.text() != want {
		t.Errorf("the file is\n%s", x.text())
	}
	if formatted, _ := dsl.Format("new.hcl", []byte(x.text())); string(formatted) != x.text() {
		t.Error("the file isn't formatted")
	}
}
