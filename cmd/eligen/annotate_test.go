package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/dataset"
	"github.com/eligen/eligen/internal/pixels"
)

// A looker stands for a vision-language model behind OpenAI's API. It looks at the pixels of the picture that it
// is sent, and lists what stands out from the picture's edges, in one way of writing boxes.
type looker struct {
	*httptest.Server
	form string
	tell func(img *image.NRGBA) string // the list for a picture that it knows; "" for others

	mu    sync.Mutex
	asked map[string]int               // by question and picture
	other func(n int) http.HandlerFunc // what answers request n in its place
	total int
	freed chan struct{}
}

func newLooker(t *testing.T, form string) *looker {
	l := &looker{form: form, asked: map[string]int{}, freed: make(chan struct{})}
	l.Server = httptest.NewServer(l)
	t.Cleanup(func() {
		close(l.freed)
		l.Close()
	})
	return l
}

// set says what answers in the looker's place.
func (l *looker) set(other func(n int) http.HandlerFunc) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.other = other
}

// ServeHTTP answers a question.
func (l *looker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var req struct {
		Messages []struct {
			Content []struct {
				Text  string
				Image struct{ URL string } `json:"image_url"`
			}
		}
	}
	if err != nil || json.Unmarshal(body, &req) != nil || r.URL.Path != "/v1/chat/completions" || len(req.Messages) != 1 {
		http.Error(w, "what?", http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	l.total++
	n, other := l.total, l.other
	l.asked[string(eligen.DigestOf(body))]++
	l.mu.Unlock()
	if other != nil {
		if h := other(n); h != nil {
			h(w, r)
			return
		}
	}
	var question, address string
	for _, c := range req.Messages[0].Content {
		question, address = question+c.Text, address+c.Image.URL
	}
	text := "Yes."
	if strings.Contains(question, "bbox_2d") {
		data, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(address, "data:image/png;base64,"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if text, err = l.list(data); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	} else if strings.HasPrefix(question, "Describe") {
		text = "Some things."
	}
	says(text)(w, r)
}

// list answers with what stands out.
func (l *looker) list(data []byte) (string, error) {
	img, err := pixels.Decode(data)
	if err != nil {
		return "", err
	}
	if l.tell != nil {
		if text := l.tell(img); text != "" {
			return text, nil
		}
	}
	w, h := float64(img.Rect.Dx()), float64(img.Rect.Dy())
	type item struct {
		Label string     `json:"label"`
		Box   [4]float64 `json:"bbox_2d"`
	}
	var out []item
	for _, p := range standingOut(img) {
		b := [4]float64{float64(p.at.Min.X), float64(p.at.Min.Y), float64(p.at.Max.X), float64(p.at.Max.Y)}
		switch l.form {
		case "xyxy/1000":
			b = [4]float64{b[0] / w * 1000, b[1] / h * 1000, b[2] / w * 1000, b[3] / h * 1000}
		case "yxyx/1000":
			b = [4]float64{b[1] / h * 1000, b[0] / w * 1000, b[3] / h * 1000, b[2] / w * 1000}
		}
		out = append(out, item{"a " + p.colour + " thing", b})
	}
	text, err := json.Marshal(out)
	return "```json\n" + string(text) + "\n```", err
}

// A patch is what stands out in one piece.
type patch struct {
	at     image.Rectangle
	colour string
}

// standingOut returns connected pixels that differ from those at both ends of their row.
func standingOut(img *image.NRGBA) (out []patch) {
	w, h := img.Rect.Dx(), img.Rect.Dy()
	differs := func(x, y int) bool {
		p, left, right := img.Pix[y*img.Stride+4*x:], img.Pix[y*img.Stride+4:], img.Pix[y*img.Stride+4*(w-2):]
		d := 0
		for c := range 3 {
			d += abs(int(p[c]) - (int(left[c])+int(right[c]))/2)
		}
		return d > 60
	}
	seen := make([]bool, w*h)
	for start := range seen {
		if seen[start] || !differs(start%w, start/w) {
			continue
		}
		box, n, sum, todo := image.Rectangle{}, 0, [3]int{}, []int{start}
		seen[start] = true
		for len(todo) > 0 {
			at := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			x, y := at%w, at/w
			n++
			box = box.Union(image.Rect(x, y, x+1, y+1))
			for c := range 3 {
				sum[c] += int(img.Pix[y*img.Stride+4*x+c])
			}
			for _, next := range []int{at - 1, at + 1, at - w, at + w} {
				if next >= 0 && next < w*h && abs(next%w-x) <= 1 && !seen[next] && differs(next%w, next/w) {
					seen[next] = true
					todo = append(todo, next)
				}
			}
		}
		if n > w*h/130 {
			most := 0
			for c := range 3 {
				if sum[c] > sum[most] {
					most = c
				}
			}
			out = append(out, patch{box, [3]string{"red", "green", "blue"}[most]})
		}
	}
	return out
}

func abs(n int) int { return max(n, -n) }

// TestAnnotateNano: pictures that nano drew are annotated by a model that sees their pixels alone, however it writes
// boxes; the boxes fit those that were measured by eye.
func TestAnnotateNano(t *testing.T) {
	truth := map[string][]image.Rectangle{
		"twins":    {image.Rect(80, 28, 176, 127), image.Rect(193, 37, 249, 129), image.Rect(15, 136, 98, 234), image.Rect(160, 133, 241, 237)},
		"visitors": {image.Rect(36, 147, 126, 220), image.Rect(148, 18, 224, 96)},
	}
	photos := t.TempDir()
	for name := range truth {
		data, err := os.ReadFile(filepath.Join("../../docs/gallery", name+".png"))
		if err == nil {
			err = os.WriteFile(filepath.Join(photos, name+".png"), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	captions := map[string]string{"twins": "two dogs", "visitors": "a frog and a star under a night sky"} // the latter is the picture's own
	if err := errors.Join(os.WriteFile(filepath.Join(photos, "twins.txt"), []byte("two dogs\n"), 0o600),
		os.WriteFile(filepath.Join(photos, "broken.png"), []byte("\x89PNG"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"xyxy/1000", "xyxy/px", "yxyx/1000"} {
		l, out := newLooker(t, form), filepath.Join(t.TempDir(), "data")
		if got := run([]string{"dataset", "annotate", photos, "--endpoint", l.URL + "/v1", "--model", "m", "--out", out}); got != exitOK {
			t.Fatalf("%s: exit code %d", form, got)
		}
		folder, err := dataset.Read(out, eligen.Size{})
		if err != nil {
			t.Fatal(err)
		}
		if folder.Len() != len(truth) {
			t.Errorf("%d pictures", folder.Len())
		}
		for i := range folder.Len() {
			s, err := folder.Sample(i)
			if err != nil {
				t.Fatal(err)
			}
			if s.Prompt != captions[s.Name] || len(s.Entities) != len(truth[s.Name]) {
				t.Errorf("%s, %s: %q, %d entities", form, s.Name, s.Prompt, len(s.Entities))
			}
			for _, want := range truth[s.Name] {
				best := 0.0
				for _, e := range s.Entities {
					n := e.Region.Numbers
					best = max(best, iouOf(want, [4]float64{n[0] * 256, n[1] * 256, n[2] * 256, n[3] * 256}))
				}
				if best < 0.8 {
					t.Errorf("%s, %s: the thing at %v has an IoU of %.3f: %v", form, s.Name, want, best, s.Entities)
				}
			}
		}
		if got := run([]string{"validate", filepath.Join(out, "scenes.hcl")}); got != exitOK {
			t.Errorf("%s: the scenes are not valid", form)
		}
	}
}

func iouOf(r image.Rectangle, b [4]float64) float64 {
	w := min(float64(r.Max.X), b[2]) - max(float64(r.Min.X), b[0])
	h := min(float64(r.Max.Y), b[3]) - max(float64(r.Min.Y), b[1])
	both := max(0, w) * max(0, h)
	return both / (float64(r.Dx()*r.Dy()) + (b[2]-b[0])*(b[3]-b[1]) - both)
}

// TestAnnotateResumes: a run is killed while a question is out, at each question in turn. The next run asks that one,
// and no question that was answered.
func TestAnnotateResumes(t *testing.T) {
	photos := t.TempDir()
	for i, colour := range []color.NRGBA{{220, 40, 40, 255}, {40, 40, 220, 255}} {
		square(t, filepath.Join(photos, fmt.Sprintf("%d.png", i)), image.Rect(60, 50, 180, 200), colour)
	}
	const questions = 1 + 2*3 // rectangles; and a caption, a list and a crop of each picture
	l, out := newLooker(t, "xyxy/px"), filepath.Join(t.TempDir(), "data")
	args := []string{"dataset", "annotate", photos, "--endpoint", l.URL + "/v1", "--model", "m", "--out", out, "--price", "1,10"}
	for n := 1; n <= questions; n++ {
		// Each run asks the question again that the last one was killed in, and is killed in the next.
		waits := make(chan struct{})
		l.set(func(k int) http.HandlerFunc {
			if k != 2*n-1 {
				return nil
			}
			return func(http.ResponseWriter, *http.Request) {
				close(waits)
				<-l.freed
			}
		})
		c := exec.Command("eligen", args...)
		c.Env = append(os.Environ(), "ELIGEN_CACHE_DIR="+t.TempDir())
		var said bytes.Buffer
		c.Stderr = &said
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = c.Wait() // it is killed
		}()
		select {
		case <-waits:
		case <-ended:
			t.Fatalf("run %d ended without its question:\n%s", n, said.String())
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-ended
	}
	l.set(nil)
	stderr, code := captured(t, args)
	if code != exitOK || !strings.Contains(stderr, "Asked 1 question; 6 were answered before. 1000 tokens in, 100 out; cost 0.0020.") {
		t.Errorf("exit code %d:\n%s", code, stderr)
	}
	if len(l.asked) != questions || l.total != 2*questions {
		t.Errorf("%d questions in %d requests, want %d: each once unanswered, and once answered", len(l.asked), l.total, questions)
	}
	for q, n := range l.asked {
		if n != 2 {
			t.Errorf("question %s was asked %d times", q, n)
		}
	}
	data, err := os.ReadFile(filepath.Join(out, "answers.jsonl"))
	if err != nil || bytes.Count(data, []byte("\n")) != questions {
		t.Errorf("%d answers are kept: %v", bytes.Count(data, []byte("\n")), err)
	}
}

// square writes a picture of 280×280 pixels with a rectangle on grey.
func square(t *testing.T, path string, at image.Rectangle, colour color.NRGBA) {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, 280, 280))
	draw.Draw(img, img.Rect, image.NewUniform(color.NRGBA{200, 200, 200, 255}), image.Point{}, draw.Src)
	draw.Draw(img, at, image.NewUniform(colour), image.Point{}, draw.Src)
	var b bytes.Buffer
	if err := errors.Join(png.Encode(&b, img), os.WriteFile(path, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// captured runs a command, and returns what it printed on standard error.
func captured(t *testing.T, args []string) (stderr string, code int) {
	t.Helper()
	c := exec.Command("eligen", args...)
	c.Env = append(os.Environ(), "ELIGEN_CACHE_DIR="+t.TempDir())
	var b bytes.Buffer
	c.Stderr = &b
	err := c.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return b.String(), c.ProcessState.ExitCode()
}

// says answers with a model's text.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{"message": map[string]any{"content": text}}},
			"usage": map[string]int{"prompt_tokens": 1000, "completion_tokens": 100}})
	}
}

// raw answers with any status and body.
func raw(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// TestAnnotateServers: how a server answers the one list of a picture, and what comes of it. Good answers make a dataset,
// broken ones are sent back once, hostile ones do no harm; a server that is busy is asked again, one that fails ends the
// run with what was answered kept.
func TestAnnotateServers(t *testing.T) {
	const box = `[{"label": "a red square", "bbox_2d": [214, 178, 643, 714]}]`
	hook := `{"choices": [{"message": {"content": null, "refusal": "I won't."}, "finish_reason": "stop"}]}`
	cut := `{"choices": [{"message": {"content": "[{"}, "finish_reason": "length"}]}`
	for _, c := range []struct {
		name    string
		answers []http.HandlerFunc // the last one is repeated
		code    int
		said    string // on standard error
		asked   int    // requests for lists
	}{
		{"good", []http.HandlerFunc{says(box)}, exitOK, "1 of 1  red.png: 1 entity", 1},
		{"good, in words", []http.HandlerFunc{says("There is one.\n```json\n" + box + "\n```")}, exitOK, "1 entity", 1},
		{"broken, then good", []http.HandlerFunc{says("A square."), says(box)}, exitOK, "1 entity", 2},
		{"broken", []http.HandlerFunc{says("A square.")}, exitError, "Left out: red.png: the model's answer was still of no use", 2},
		{"nothing", []http.HandlerFunc{says("[]")}, exitError, "no picture has an entity", 1},
		{"beyond the picture", []http.HandlerFunc{says(`[{"label": "a", "bbox_2d": [10, 10, 5000, 900]}]`)}, exitError,
			"reaches beyond the picture", 2},
		{"refuses", []http.HandlerFunc{raw(200, hook, "Content-Type", "application/json")}, exitError, "refuse", 1},
		{"cut off", []http.HandlerFunc{raw(200, cut, "Content-Type", "application/json")}, exitError, "Left out: red.png", 1},
		{"busy, then good", []http.HandlerFunc{raw(429, `{"error": {"message": "slow down"}}`, "Retry-After", "0"),
			raw(503, "", "Retry-After", "0"),
			says(box)}, exitOK, "1 entity", 3},
		{"busy for ever", []http.HandlerFunc{raw(429, `{"error": {"message": "no quota"}}`, "Retry-After", "0")}, exitError, "no quota", 3},
		{"no key", []http.HandlerFunc{raw(401, `{"error": {"message": "who are you?"}}`)}, exitError, "who are you?", 1},
		{"fails", []http.HandlerFunc{raw(500, "Traceback")}, exitError, "500", 1},
		{"a page", []http.HandlerFunc{raw(200, "<html>Log in</html>", "Content-Type", "text/html")}, exitError, "is not JSON", 1},
		{"no choices", []http.HandlerFunc{raw(200, `{"choices": []}`, "Content-Type", "application/json")}, exitError, "no choices", 1},
		{"sends the picture on", []http.HandlerFunc{raw(307, "", "Location", "http://127.0.0.1:1/v1/chat/completions")}, exitError,
			"redirects to http://127.0.0.1:1/v1/chat/completions", 1},
		{"never ends", []http.HandlerFunc{raw(200, strings.Repeat(" ", 40<<20), "Content-Type", "application/json")}, exitError, "more than", 1},
		{"writes to the terminal", []http.HandlerFunc{says(`[{"label": "a \u001b]0;mine\u0007 \u202esquare", "bbox_2d": [214, 178, 643, 714]}]`)},
			exitOK, "1 entity", 1},
		{"writes HCL", []http.HandlerFunc{says(`[{"label": "\"} ${file(\"/etc/passwd\")} %{ if true }", "bbox_2d": [214, 178, 643, 714]}]`)},
			exitOK, "1 entity", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			photos, out := t.TempDir(), filepath.Join(t.TempDir(), "data")
			square(t, filepath.Join(photos, "red.png"), image.Rect(60, 50, 180, 200), color.NRGBA{220, 40, 40, 255})
			if err := os.WriteFile(filepath.Join(photos, "red.txt"), []byte("a red square"), 0o600); err != nil {
				t.Fatal(err)
			}
			l := newLooker(t, "xyxy/1000")
			l.set(func(k int) http.HandlerFunc { return c.answers[min(k, len(c.answers))-1] })
			stderr, code := captured(t, []string{"dataset", "annotate", photos, "--endpoint", l.URL + "/v1", "--model", "m", "--out", out,
				"--boxes", "xyxy/1000", "--unchecked", "--retries", "2"})
			if code != c.code || !strings.Contains(stderr, c.said) || l.total != c.asked {
				t.Errorf("exit code %d, %d requests, want %d and %d, and %q:\n%s", code, l.total, c.code, c.asked, c.said, stderr)
			}
			if strings.ContainsAny(stderr, "\x1b\x07\u202e") || strings.Contains(stderr, "root:") {
				t.Errorf("a terminal would obey %q", stderr)
			}
			if code != exitOK {
				return
			}
			if stderr, code := captured(t, []string{"validate", filepath.Join(out, "scenes.hcl")}); code != exitOK {
				t.Errorf("the scenes are not valid:\n%s", stderr)
			}
			if text, err := os.ReadFile(filepath.Join(out, "scenes.hcl")); err != nil || bytes.ContainsAny(text, "\x1b\x07\u202e") {
				t.Errorf("%v: %q", err, text)
			}
		})
	}
}
