package draft

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A server speaks /v1/chat/completions, and gives its answers one after the other.
type server struct {
	*httptest.Server
	answers  []func(w http.ResponseWriter)
	requests []request
}

// A request is what the tests look at of one.
type request struct {
	path, key string
	Model     string `json:"model"`
	Messages  []struct {
		Role, Content string
	} `json:"messages"`
	Format struct {
		Type   string `json:"type"`
		Schema struct {
			Strict bool           `json:"strict"`
			Schema map[string]any `json:"schema"`
		} `json:"json_schema"`
	} `json:"response_format"`
}

func serve(t *testing.T, answers ...func(w http.ResponseWriter)) *server {
	s := &server{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := request{path: r.URL.Path, key: r.Header.Get("Authorization")}
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			t.Errorf("a request that is not JSON: %v", err)
		}
		s.requests = append(s.requests, req)
		if n := len(s.requests); n <= len(s.answers) {
			s.answers[n-1](w)
			return
		}
		t.Errorf("request %d was not expected", len(s.requests))
	}))
	t.Cleanup(s.Close)
	return s
}

// says returns a completion with a text.
func says(text string) func(w http.ResponseWriter) {
	return choice(map[string]any{"role": "assistant", "content": text}, "stop")
}

func choice(message map[string]any, finish string) func(w http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"id": "1", "object": "chat.completion", "created": 1, "model": "m",
			"choices": []any{map[string]any{"index": 0, "message": message, "finish_reason": finish}}})
	}
}

// raw returns an answer byte for byte.
func raw(code int, kind, body string) func(w http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

const good = `{"prompt": "a cat on a mat", "entities": [
	{"name": "mat", "prompt": "a mat", "x": 0.1, "y": 0.7, "w": 0.8, "h": 0.25},
	{"name": "cat", "prompt": "a cat", "x": 0.3, "y": 0.333, "w": 0.4, "h": 0.402}]}`

func (s *server) model() Model {
	return Model{Endpoint: s.URL + "/v1", Name: "m", Key: "secret", Timeout: time.Minute}
}

func TestModel(t *testing.T) {
	t.Setenv("OPENAI_BASE_URL", "http://127.0.0.1:1")     // nothing is taken from there
	t.Setenv("OPENAI_CUSTOM_HEADERS", "Authorization: x") // nor from there
	for name, text := range map[string]string{
		"plain": good, "fenced": "```json\n" + good + "\n```", "after thinking": "<think>\nhm {\n</think>\n" + good,
	} {
		s := serve(t, says(text))
		d, notes, err := s.model().Plan(t.Context(), "a cat on a mat", small)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := `# a cat on a mat

render "mat_cat" {
  prompt = "a cat on a mat"
}

entity "mat" {
  prompt = "a mat"
  box    = xywh(0.10, 0.70, 0.80, 0.25)
}

entity "cat" {
  prompt = "a cat"
  box    = xywh(0.30, 0.33, 0.40, 0.41)
}
`
		if got := string(d.HCL()); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
		if got := strings.Join(notes, "|"); got != "nano wasn't trained on: mat." {
			t.Errorf("%s: %s", name, got)
		}
		r := s.requests[0]
		if r.path != "/v1/chat/completions" || r.key != "Bearer secret" || r.Model != "m" || r.Format.Type != "json_schema" ||
			!r.Format.Schema.Strict || r.Format.Schema.Schema["type"] != "object" ||
			len(r.Messages) != 2 || r.Messages[0].Role != "system" || r.Messages[1].Content != "The picture: a cat on a mat" {
			t.Errorf("%s: request %+v", name, r)
		}
	}
}

// A server that takes no schema is asked for plain JSON.
func TestModelWithoutSchema(t *testing.T) {
	s := serve(t, raw(400, "application/json", `{"error": {"message": "response_format json_schema is not supported."}}`), says(good))
	d, notes, err := s.model().Plan(t.Context(), "a cat on a mat", Vocabulary{})
	if err != nil || len(d.Entities) != 2 {
		t.Fatalf("%v %v", d, err)
	}
	if want := "The server takes no JSON schema (response_format json_schema is not supported): asked for plain JSON."; strings.Join(notes,
		"|") != want {
		t.Errorf("notes %q", notes)
	}
	if got := s.requests[1].Format.Type; got != "json_object" {
		t.Errorf("the second request asked for %s", got)
	}
}

// What a model means is taken, whatever stands around it and however it is spelt.
func TestModelIsUnderstood(t *testing.T) {
	repaired := "The answer was not quite JSON, and was repaired."
	box := `"x": 0.3, "y": 0.3, "w": 0.4, "h": 0.4`
	one := func(name, prompt string) string {
		return fmt.Sprintf(`{"prompt": "a cat", "entities": [{"name": %q, "prompt": %q, %s}]}`, name, prompt, box)
	}
	message := func(m map[string]any) func(http.ResponseWriter) { return choice(m, "stop") }
	quoted, _ := json.Marshal(good)
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		names  string // of the entities
		note   string
	}{
		"a fence":                {says("```\n" + good + "\n```"), "mat cat", ""},
		"a fence in capitals":    {says("```JSON\n" + good + "\n```"), "mat cat", ""},
		"a fence of tildes":      {says("~~~json\n" + good + "\n~~~"), "mat cat", ""},
		"a sentence before":      {says("Sure, {here} it is:\n```json\n" + good + "\n```"), "mat cat", ""},
		"a sentence after":       {says(good + "\n\nTell me what to change {if anything}."), "mat cat", ""},
		"thoughts":               {says("<think>\na mat {is} below\n</think>\n\n```json\n" + good + "\n```"), "mat cat", ""},
		"thoughts with a plan":   {says("<think>" + one("dog", "a dog") + "</think>" + good), "mat cat", ""},
		"a lone end of thoughts": {says("The user wants a cat.\n</think>\n" + good), "mat cat", ""},
		"thinking":               {says("<thinking>\nhm\n</thinking>\n" + good), "mat cat", ""},
		"reasoning":              {says("<reasoning>hm</reasoning>" + good), "mat cat", ""},
		"seed:think":             {says("<seed:think>hm</seed:think>" + good), "mat cat", ""},
		"harmony channels": {says("<|channel|>analysis<|message|>" + one("dog", "a dog") +
			"<|end|><|start|>assistant<|channel|>final<|message|>" + good + "<|return|>"), "mat cat", ""},
		"a byte order mark": {says("\ufeff" + good), "mat cat", ""},
		"a list of one":     {says("[" + good + "]"), "mat cat", ""},
		"JSON in a string":  {says(string(quoted)), "mat cat", ""},
		"one plan twice":    {says(good + "\n" + good), "mat cat", ""},
		"two plans": {says(one("dog", "a dog") + "\nBetter:\n" + good), "mat cat",
			"The answer had 2 plans; the last one is taken."},
		"a comma too many":          {says(strings.Replace(good, "}]", "},]", 1)), "mat cat", repaired},
		"single quotes":             {says(strings.ReplaceAll(good, `"`, `'`)), "mat cat", repaired},
		"a comment":                 {says(strings.Replace(good, "{", "{ // the plan\n", 1)), "mat cat", repaired},
		"keys in capitals":          {says(strings.ReplaceAll(good, `"prompt"`, `"Prompt"`)), "mat cat", ""},
		"numbers as strings":        {says(strings.ReplaceAll(good, "0.1,", `"0.1",`)), "mat cat", ""},
		"a name of two words":       {says(one("Big Cat", "a big cat")), "big_cat", ""},
		"a name with a hyphen":      {says(one("big-cat", "a big cat")), "big_cat", ""},
		"a name in other letters":   {says(one("猫", "a cat")), "cat", ""},
		"no name":                   {says(one("", "a cat")), "cat", ""},
		"a name of HCL":             {says(one(`a" { } render "b`, "a cat")), "a_render_b", ""},
		"a prompt of two lines":     {says(one("cat", "a cat\nwith a \"sign\" ${x}")), "cat", ""},
		"a name twice":              {says(strings.ReplaceAll(good, `"mat"`, `"cat"`)), "cat cat_2", ""},
		"a name in two cases":       {says(strings.ReplaceAll(good, `"mat"`, `"Cat"`)), "cat cat_2", ""},
		"parts":                     {message(map[string]any{"content": []any{map[string]any{"type": "text", "text": good}}}), "mat cat", ""},
		"the answer among thoughts": {message(map[string]any{"content": "", "reasoning_content": "So: " + good}), "mat cat", ""},
		"the call of a tool": {message(map[string]any{"content": nil, "tool_calls": []any{map[string]any{
			"id": "1", "type": "function", "function": map[string]any{"name": "picture", "arguments": good}}}}), "mat cat", ""},
		"a stream": {raw(200, "text/event-stream", "data: "+event(good[:30])+"\n\ndata: "+event(good[30:])+"\n\ndata: [DONE]\n\n"), "mat cat",
			""},
	} {
		t.Run(name, func(t *testing.T) {
			d, notes, err := serve(t, c.answer).model().Plan(t.Context(), "a cat", Vocabulary{})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, e := range d.Entities {
				names = append(names, e.Name)
			}
			if got := strings.Join(names, " "); got != c.names || strings.Join(notes, "|") != c.note {
				t.Errorf("entities %s, notes %q; want %s, %q", got, notes, c.names, c.note)
			}
		})
	}
}

// event returns a part of a streamed answer.
func event(text string) string {
	b, _ := json.Marshal(map[string]any{"choices": []any{map[string]any{"delta": map[string]any{"content": text}}}})
	return string(b)
}

// A server that knows no form of answers is asked for text in the end; one whose
// failure is about something else is not asked again.
func TestModelForms(t *testing.T) {
	for name, c := range map[string]struct {
		answers []func(http.ResponseWriter)
		forms   string
	}{
		"no schema": {[]func(http.ResponseWriter){raw(500, "application/json", `{"error": {"message": "invalid JSON schema in format"}}`),
			says(good)}, "json_schema json_object"},
		"a grammar": {[]func(http.ResponseWriter){raw(400, "application/json", `{"error": {"message": "Failed to compile grammar"}}`),
			says(good)}, "json_schema json_object"},
		"a list of what": {[]func(http.ResponseWriter){raw(422, "application/json", `{"detail": [{"loc": ["body", "response_format"], "msg": `+
			`"extra fields not permitted"}]}`), raw(422, "application/json", `{"detail": "response_format"}`), says(good)},
			"json_schema json_object "},
		"only text": {[]func(http.ResponseWriter){raw(400, "application/json", `{"error": "schema not supported"}`),
			raw(400, "application/json", `{"error": "'response_format.type' must be 'json_schema' or 'text'"}`), says(good)},
			"json_schema json_object "},
	} {
		s := serve(t, c.answers...)
		if _, _, err := s.model().Plan(t.Context(), "a cat", Vocabulary{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var forms []string
		for _, r := range s.requests {
			forms = append(forms, r.Format.Type)
		}
		if got := strings.Join(forms, " "); got != c.forms {
			t.Errorf("%s: asked for %q, want %q", name, got, c.forms)
		}
	}
}

// A wrong answer is sent back once, with what is wrong with it.
func TestModelRepairs(t *testing.T) {
	s := serve(t, says(`{"prompt": "a cat", "entities": [{"name": "Cat", "prompt": "a cat", "x": 0.5, "y": 0, "w": 0.8, "h": 0.5}]}`),
		says(good))
	d, notes, err := s.model().Plan(t.Context(), "a cat on a mat", Vocabulary{})
	if err != nil || len(d.Entities) != 2 {
		t.Fatalf("%v %v", d, err)
	}
	wrong := []string{
		`entity 1, "Cat": the box x=0.5, y=0, w=0.8, h=0.5 is not on the canvas, where x+w and y+h are at most 1`,
	}
	if got, want := strings.Join(notes, "|"), "The first answer was invalid and was sent back: "+strings.Join(wrong, "; ")+"."; got != want {
		t.Errorf("notes\n%s\nwant\n%s", got, want)
	}
	talk := s.requests[1].Messages
	if len(talk) != 4 || talk[2].Role != "assistant" || !strings.Contains(talk[2].Content, `"Cat"`) ||
		!strings.Contains(talk[3].Content, "- "+wrong[0]) {
		t.Errorf("the conversation was %+v", talk)
	}
}

// What is wrong, hostile or broken gives an error that says so, and no draft. An
// answer of text is given twice, since it is sent back once.
func TestModelRefuses(t *testing.T) {
	entity := func(name, prompt, box string) string {
		return fmt.Sprintf(`{"prompt": "p", "entities": [{"name": %q, "prompt": %q, %s}]}`, name, prompt, box)
	}
	const box = `"x": 0, "y": 0, "w": 0.5, "h": 0.5`
	many := `{"prompt": "p", "entities": [` + strings.TrimSuffix(strings.Repeat(`{"name": "a"},`, 4000), ",") + `]}`
	const notJSON = "it is not the requested JSON: "
	const noPlan = notJSON + "it holds no JSON object with prompt and entities. It begins: "
	const begins = `. It begins: "{\"prompt\": \"p\", \"entities\": [{\"name\": \"a\", \"prompt\": \"b\", \"x…"`
	again := "m: the answer was still invalid after one correction:\n  "
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		twice  bool
		want   string // URL stands for the endpoint
	}{
		"prose":  {says("Here is your picture!"), true, again + noPlan + `"Here is your picture!"`},
		"empty":  {says(""), true, again + "it is empty"},
		"a list": {says("[]"), true, again + noPlan + `"[]"`},
		"nested": {says(strings.Repeat("[", 20000)), true, again + noPlan + `"` + strings.Repeat("[", 60) + `…"`},
		"NaN":    {says(entity("a", "b", `"x": NaN, "y": 0, "w": 1, "h": 1`)), true, again + notJSON + `"NaN" is not a number` + begins},
		"1e999": {says(entity("a", "b", `"x": 1e999, "y": 0, "w": 1, "h": 1`)), true,
			again + notJSON + `1e999 is not a number` + begins},
		"1e99": {says(entity("a", "b", `"x": 1e99, "y": 0, "w": 1, "h": 1`)), true,
			again + `entity 1, "a": the box x=1e+99, y=0, w=1, h=1 is not in fractions of the canvas, from 0 to 1`},
		"negative": {says(entity("a", "b", `"x": 0, "y": 0, "w": -0.5, "h": 1`)), true,
			again + `entity 1, "a": the box x=0, y=0, w=-0.5, h=1 is not on the canvas, where x+w and y+h are at most 1`},
		"tiny": {says(entity("a", "b", `"x": 0, "y": 0, "w": 0.001, "h": 0.001`)), true,
			again + "a: the box xywh(0.00, 0.00, 0.00, 0.00) is too small; 0.04 is the least width and height"},
		"no box":        {says(entity("a", "b", `"x": 0`)), true, again + `entity 1, "a": y is missing`},
		"no entities":   {says(`{"prompt": "p"}`), true, again + "there are no entities"},
		"many":          {says(many), true, again + "there are 4000 entities; 40 is the most"},
		"right to left": {says(entity("a", "b\u202ec", box)), true, again + "a: the prompt has a line break or another control character"},
		"an empty text": {says(entity("a", " ", box)), true, again + "a: the prompt is empty"},
		"a long text":   {says(entity("a", strings.Repeat("x", 300), box)), true, again + "a: the prompt has 300 characters; 200 is the most"},
		"one box twice": {says(`{"prompt": "p", "entities": [{"name": "a", "prompt": "b", ` + box + `}, {"name": "a", "prompt": "c", ` + box +
			`}]}`), true, again + "a_2: the box is nearly that of a"},
		"huge": {raw(200, "application/json", `{"choices": "`+strings.Repeat("x", maxBody)+`"}`), false,
			"URL: the server's answer has more than 1048576 bytes"},
		"a long answer": {says(`{"prompt": "` + strings.Repeat("x", maxAnswer) + `"}`), false,
			"URL: the model's answer has 65550 bytes; 65536 is the most"},
		"a page": {raw(200, "text/html", "<html>\n<title>\x1b[31mHi</title>"), false,
			"URL: the server's answer is not JSON: <html> <title> [31mHi</title>"},
		"another API": {raw(200, "application/json", `{"models": []}`), false,
			"URL: the server's answer has no choices: is this an endpoint for chat completions?"},
		"odd choices": {raw(200, "application/json", `{"choices": {"a": 1}}`), false,
			"URL: the server's answer has no choices: is this an endpoint for chat completions?"},
		"cut off": {choice(map[string]any{"content": good[:40]}, "length"), false,
			"URL: the model's answer was cut off for its length. Use a model or a server with room for longer answers"},
		"a refusal": {choice(map[string]any{"refusal": "I can't\nhelp with that."}, "stop"), false,
			"URL: the model refuses: I can't help with that"},
		"no key": {raw(401, "application/json", `{"error": {"message": "Incorrect API key"}}`), false,
			"URL: 401 Unauthorized: Incorrect API key. Set the key in ELIGEN_LLM_KEY or OPENAI_API_KEY"},
		"no model": {raw(404, "application/json", `{"error": "model 'm' not found"}`), false,
			"URL: 404 Not Found: model 'm' not found. Most endpoints end in /v1, and --model is the server's name for it"},
		"an error, bare": {raw(500, "text/plain", "out of memory\n"), false, "URL: 500 Internal Server Error: out of memory"},
		"sent elsewhere": {func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://192.0.2.1/steal")
			w.WriteHeader(307)
		}, false, "URL: the server redirects to http://192.0.2.1/steal, and eligen sends words to the named server only. If you trust the " +
			"other one, name it as --endpoint"},
		"cut off in thought": {says("<think>\nIt could be " + good), true,
			again + notJSON +
				`it ends before the model has stopped thinking. It begins: "<think> It could be {\"prompt\": \"a cat on a mat\", \"entities\":…"`},
		"half a plan": {says(good[:60]), true, again + noPlan + `"{\"prompt\": \"a cat on a mat\", \"entities\": [ {\"name\": \"mat\","`},
		"many braces": {says(strings.Repeat("{", 60000)), true, again + noPlan + `"` + strings.Repeat("{", 60) + `…"`},
		"deep":        {says(strings.Repeat(`{"a":`, 12000)), true, again + noPlan + `"` + strings.Repeat(`{\"a\":`, 12) + `…"`},
		"only thoughts": {choice(map[string]any{"content": nil, "reasoning_content": "A cat needs\na mat."}, "stop"), false,
			`URL: the model's answer is empty, and its reasoning contains no plan; it begins: "A cat needs a mat"`},
		"an error in a 200": {raw(200, "application/json", `{"error": {"message": "model overloaded", "code": 503}}`), false,
			"URL: the server's answer is an error: model overloaded"},
		"hung up": {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, false, "URL: EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			answers := []func(w http.ResponseWriter){c.answer}
			if c.twice {
				answers = append(answers, c.answer)
			}
			s := serve(t, answers...)
			d, _, err := s.model().Plan(t.Context(), "a cat", Vocabulary{})
			if err == nil || len(d.Entities) > 0 {
				t.Fatalf("no error, and %v", d)
			}
			if got := strings.ReplaceAll(err.Error(), s.URL+"/v1", "URL"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Error("the key is in the message")
			}
			if len(s.requests) != len(answers) {
				t.Errorf("%d requests instead of %d", len(s.requests), len(answers))
			}
		})
	}
}

// A server that does not answer is not waited for longer than asked; nor is a user
// who interrupts.
func TestModelIsSlow(t *testing.T) {
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(release) }) // before the server's, which waits
	m := Model{Endpoint: slow.URL, Name: "m"}
	m.Timeout = time.Millisecond
	if _, _, err := m.Plan(t.Context(), "a cat", Vocabulary{}); err == nil ||
		err.Error() != m.Endpoint+": no answer in 1ms. Give it longer with --timeout" {
		t.Errorf("%v", err)
	}
	m.Timeout = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := m.Plan(ctx, "a cat", Vocabulary{}); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("%v", err)
	}
}

func TestEndpoints(t *testing.T) {
	for endpoint, want := range map[string]string{
		"localhost:11434":        `the endpoint "localhost:11434" is not a URL such as http://localhost:11434/v1`,
		"file:///etc/passwd":     `the endpoint "file:///etc/passwd" is not a URL such as http://localhost:11434/v1`,
		"http://me:pw@host/v1":   "the endpoint contains a name or a password. Put the key into ELIGEN_LLM_KEY",
		"http://host/v1?key=abc": `the endpoint "http://host/v1?key=abc" has more than a path`,
		"http://[::1":            "the endpoint is not a URL: missing ']' in host",
	} {
		if _, _, err := (Model{Endpoint: endpoint, Name: "m"}).Plan(t.Context(), "a cat", Vocabulary{}); err == nil || err.Error() != want {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
	s := serve(t)
	s.Close()
	if _, _, err := s.model().Plan(t.Context(), "a cat", Vocabulary{}); err == nil ||
		!strings.HasSuffix(err.Error(), "Is the server running?") {
		t.Errorf("%v", err)
	}
}

// A model changes a scene: what can't be changed must come back as it was.
func TestModelRefines(t *testing.T) {
	before := Draft{Words: []string{"a cat"}, Name: "cat", Prompt: "a cat and a tree", Entities: []Entity{
		{Name: "cat", Prompt: "a cat", Box: Box{50, 50, 30, 30}, line: 7},
		{Name: "tree", Prompt: "a tree", Box: Box{10, 10, 20, 20}, Fixed: "is a mask"},
	}}
	s := serve(t, says(`{"prompt": "a cat and a tree", "entities": [{"name": "cat", "prompt": "a cat", "x": 0.2, "y": 0.5, "w": 0.3, `+
		`"h": 0.3}]}`),
		says(`{"prompt": "a cat and a tree", "entities": [{"name": "cat", "prompt": "a cat", "x": 0.2, "y": 0.5, "w": 0.3, "h": 0.3}, `+
			`{"name": "tree", "prompt": "a tree", "x": 0.1, "y": 0.1, "w": 0.2, "h": 0.2}]}`))
	d, notes, err := s.model().Refine(t.Context(), before, "move the cat to the left", Vocabulary{})
	if err != nil || d.Entities[0].Box != (Box{20, 50, 30, 30}) || d.Entities[0].line != 7 || d.Entities[1].Fixed == "" ||
		strings.Join(d.Words, "|") != "a cat|move the cat to the left" {
		t.Errorf("%+v %v", d, err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], `the entity "tree" must stay exactly as it was, and is gone`) {
		t.Errorf("%q", notes)
	}
	if q := s.requests[0].Messages[1].Content; !strings.Contains(q, `"name":"tree","prompt":"a tree","x":0.1`) ||
		!strings.Contains(q, "Change it: move the cat to the left") {
		t.Errorf("asked: %s", q)
	}
}
