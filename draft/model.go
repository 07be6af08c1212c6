package draft

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
)

// Limits on a server's answer. A plan of forty entities has some ten kilobytes.
const (
	maxBody   = 1 << 20
	maxAnswer = 64 << 10
)

// A Model is a language model behind an endpoint with OpenAI's API.
type Model struct {
	Endpoint string // "http://localhost:11434/v1"
	Name     string // as the server calls it
	Key      string // "" sends none
	Timeout  time.Duration
}

// Plan asks the model for a draft of words. It sends an invalid answer back once.
func (m Model) Plan(ctx context.Context, words string, v Vocabulary) (Draft, []string, error) {
	words, err := tidied(words)
	if err != nil {
		return Draft{}, nil, err
	}
	d, notes, err := m.ask(ctx, v, Draft{}, "The picture: "+words)
	if err != nil {
		return Draft{}, nil, err
	}
	d.Words = []string{words}
	d.Called("")
	return d, notes, nil
}

// Refine asks the model to change a draft.
func (m Model) Refine(ctx context.Context, d Draft, words string, v Vocabulary) (Draft, []string, error) {
	words, err := tidied(words)
	if err != nil {
		return Draft{}, nil, err
	}
	now, err := json.Marshal(answerOf(d))
	if err != nil {
		return Draft{}, nil, err
	}
	var b strings.Builder
	if len(d.Words) > 0 {
		fmt.Fprintf(&b, "The picture was asked for with these words: %s\n", strings.Join(d.Words, " / "))
	}
	fmt.Fprintf(&b, "Its plan is now:\n%s\nChange it: %s\n"+
		"Answer with the whole plan. Entities that stay keep their names, and what is not spoken of stays as it is.", now, words)
	for _, e := range d.Entities {
		if e.Fixed != "" {
			fmt.Fprintf(&b, "\nThe entity %q must stay exactly as it is.", e.Name)
		}
	}
	out, notes, err := m.ask(ctx, v, d, b.String())
	if err != nil {
		return Draft{}, nil, err
	}
	out.Name, out.promptLine = d.Name, d.promptLine
	out.Words = append(slices.Clone(d.Words), words)
	return out, notes, nil
}

const instructions = `You plan pictures: you say what is in a picture, and where.` + "\n" +
	`Answer with JSON only: {"prompt": …, "entities": [{"name": …, "prompt": …, "x": …, "y": …, "w": …, "h": …}]}.` + "\n" +
	`The prompt describes the whole picture, its background and style included, in one sentence.` + "\n" +
	`An entity is one visible thing. Its name is short: lower-case letters, digits and _, and no other entity has it. Its ` +
	`prompt is what is in its box, as "a brown dog"; never say there where it is. Several equal things are several ` +
	`entities.` + "\n" +
	`Boxes are fractions of the canvas: x and y are the left and the upper edge, y grows downwards; x+w and y+h are at most ` +
	`1, w and h at least 0.06.` + "\n" +
	`Boxes lie as the words say: what is left of something has the smaller x, what is above it the smaller y; what stands ` +
	`on something ends at its upper edge; what is in front is lower. Boxes overlap only where things do. What is near is ` +
	`larger.` + "\n" +
	`At most 40 entities; large areas as sky or a meadow belong in the prompt, not in an entity.`

// schema constrains the model's answer, on servers that can.
var schema = map[string]any{
	"type":                 "object",
	"additionalProperties": false,
	"required":             []string{"prompt", "entities"},
	"properties": map[string]any{
		"prompt": map[string]any{"type": "string"},
		"entities": map[string]any{
			"type": "array",
			"items": map[string]any{
				"type":                 "object",
				"additionalProperties": false,
				"required":             []string{"name", "prompt", "x", "y", "w", "h"},
				"properties": map[string]any{
					"name":   map[string]any{"type": "string"},
					"prompt": map[string]any{"type": "string"},
					"x":      map[string]any{"type": "number"},
					"y":      map[string]any{"type": "number"},
					"w":      map[string]any{"type": "number"},
					"h":      map[string]any{"type": "number"},
				},
			},
		},
	},
}

// An answer is a draft in the conversation with a model.
type answer struct {
	Prompt   string         `json:"prompt"`
	Entities []answerEntity `json:"entities"`
}

type answerEntity struct {
	Name   string    `json:"name"`
	Prompt string    `json:"prompt"`
	X      *quantity `json:"x"`
	Y      *quantity `json:"y"`
	W      *quantity `json:"w"`
	H      *quantity `json:"h"`
}

func answerOf(d Draft) answer {
	a := answer{Prompt: d.Prompt}
	part := func(n int) *quantity { f := quantity(n) / 100; return &f }
	for _, e := range d.Entities {
		b := e.Box
		a.Entities = append(a.Entities, answerEntity{e.Name, e.Prompt, part(b.X), part(b.Y), part(b.W), part(b.H)})
	}
	return a
}

// ask holds the whole conversation: the question, and once more with the errors.
func (m Model) ask(ctx context.Context, v Vocabulary, before Draft, question string) (Draft, []string, error) {
	service, err := m.service()
	if err != nil {
		return Draft{}, nil, err
	}
	if m.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, m.Timeout)
		defer cancel()
	}
	var names []string
	for _, t := range v.Objects {
		names = append(names, t.Name)
	}
	system := instructions
	if len(names) > 0 {
		system += "\nThe small model " + v.Of + " was taught these things: " + strings.Join(names, ", ") +
			". Use these words where they fit what was asked for; never put one of them in the place of something else."
	}
	talk := []openai.ChatCompletionMessageParamUnion{openai.SystemMessage(system), openai.UserMessage(question)}
	var notes []string
	form := asSchema
	for try := 0; ; try++ {
		text, err := m.complete(ctx, service, talk, form)
		var refused statusError
		for form != asText && errors.As(err, &refused) && refused.format() {
			notes = append(notes, fmt.Sprintf("The server takes no %s (%s): asked for %s.", form, refused.message, form+1))
			form++
			text, err = m.complete(ctx, service, talk, form)
		}
		if err != nil {
			return Draft{}, nil, m.explain(ctx, err)
		}
		d, odd, wrong := read(text, before)
		if len(wrong) == 0 {
			return d, slices.Concat(notes, odd, v.unknown(d)), nil
		}
		if try == 1 {
			return Draft{}, nil, fmt.Errorf("%s: the answer was still invalid after one correction:\n  %s", m.Name, strings.Join(wrong, "\n  "))
		}
		notes = append(notes, fmt.Sprintf("The first answer was invalid and was sent back: %s.", strings.Join(wrong, "; ")))
		if len(text) > 16<<10 {
			text = text[:16<<10]
		}
		talk = append(talk, openai.AssistantMessage(strings.ToValidUTF8(text, "")),
			openai.UserMessage("That is wrong:\n- "+strings.Join(wrong, "\n- ")+"\nAnswer with the whole plan again, put right, as JSON only."))
	}
}

// service returns the client. Its options are here; none comes from the environment.
func (m Model) service() (*openai.ChatCompletionService, error) {
	u, err := url.Parse(m.Endpoint)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the endpoint is not a URL: %w", errors.Unwrap(err))
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("the endpoint %s is not a URL such as http://localhost:11434/v1", shown(m.Endpoint))
	case u.User != nil:
		return nil, errors.New("the endpoint contains a name or a password. Put the key into ELIGEN_LLM_KEY")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("the endpoint %s has more than a path", shown(m.Endpoint))
	case m.Name == "":
		return nil, errors.New("an endpoint has several models. Name one with --model")
	case strings.ContainsFunc(m.Key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return nil, errors.New("the key has a space, a line break or another sign that keys don't have")
	}
	opts := []option.RequestOption{
		option.WithBaseURL(m.Endpoint),
		option.WithMaxRetries(0),
		option.WithMiddleware(guard),
		option.WithHTTPClient(&http.Client{
			// The words and the key go to the named server only.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}),
	}
	if m.Key != "" {
		opts = append(opts, option.WithAPIKey(m.Key))
	}
	s := openai.NewChatCompletionService(opts...)
	return &s, nil
}

// A form is a format of answers. A server that refuses one is asked for the next.
type form int

const (
	asSchema form = iota
	asJSON
	asText
)

func (f form) String() string { return [...]string{"JSON schema", "plain JSON", "text"}[f] }

// complete asks once and returns the model's text.
func (m Model) complete(
	ctx context.Context, service *openai.ChatCompletionService, talk []openai.ChatCompletionMessageParamUnion, as form,
) (string, error) {
	p := openai.ChatCompletionNewParams{Model: m.Name, Messages: talk}
	switch as {
	case asSchema:
		p.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{
			JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
				Name: "picture", Schema: schema, Strict: openai.Bool(true),
			},
		}
	case asJSON:
		p.ResponseFormat.OfJSONObject = &shared.ResponseFormatJSONObjectParam{}
	}
	c, err := service.New(ctx, p)
	if err != nil {
		return "", err
	}
	return chosen(c)
}

// chosen returns a completion's text.
func chosen(c *openai.ChatCompletion) (string, error) {
	switch {
	case c == nil || len(c.Choices) == 0:
		return "", errors.New("the server's answer has no choices: is this an endpoint for chat completions?")
	}
	first := c.Choices[0]
	switch {
	case first.Message.Refusal != "":
		return "", fmt.Errorf("the model refuses: %s", clean(first.Message.Refusal))
	case first.FinishReason == "length":
		return "", errors.New("the model's answer was cut off for its length. Use a model or a server with room for longer answers")
	}
	text, err := content(first.Message.RawJSON())
	if len(text) > maxAnswer {
		return "", fmt.Errorf("the model's answer has %d bytes; %d is the most", len(text), maxAnswer)
	}
	return text, err
}

// guard checks an answer before the client reads it: its length, and that it is one.
func guard(req *http.Request, next option.MiddlewareNext) (*http.Response, error) {
	res, err := next(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	_ = res.Body.Close() // only read
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode >= 300 && res.StatusCode < 400:
		return nil, fmt.Errorf("the server redirects to %s, and eligen sends words to the named server only. "+
			"If you trust the other one, name it as --endpoint", clean(res.Header.Get("Location")))
	case res.StatusCode != http.StatusOK:
		return nil, statusError{res.StatusCode, message(body), after(res.Header.Get("Retry-After"))}
	case len(body) > maxBody:
		return nil, fmt.Errorf("the server's answer has more than %d bytes", maxBody)
	}
	if streamed := stream(body); streamed != nil {
		body = streamed
	}
	if !json.Valid(body) {
		return nil, fmt.Errorf("the server's answer is not JSON: %s", clean(string(body[:min(len(body), 400)])))
	}
	if why := failure(body); why != "" {
		return nil, fmt.Errorf("the server's answer is an error: %s", why)
	}
	res.Header.Set("Content-Type", "application/json") // some servers name none
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// A statusError is an answer with an error's status.
type statusError struct {
	code    int
	message string
	after   time.Duration // that it asks to wait; -1: it doesn't say
}

// after reads a header of seconds; -1 where it has none.
func after(header string) time.Duration {
	n, err := strconv.Atoi(strings.TrimSpace(header))
	if err != nil || n < 0 {
		return -1
	}
	return time.Duration(min(n, 3600)) * time.Second
}

func (e statusError) Error() string {
	text := fmt.Sprintf("%d %s", e.code, http.StatusText(e.code))
	if e.message != "" {
		text += ": " + e.message
	}
	switch e.code {
	case http.StatusUnauthorized, http.StatusForbidden:
		text += ". Set the key in ELIGEN_LLM_KEY or OPENAI_API_KEY"
	case http.StatusNotFound:
		text += ". Most endpoints end in /v1, and --model is the server's name for it"
	}
	return text
}

// format reports whether the server refused the answer's format.
func (e statusError) format() bool {
	switch e.code {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusNotImplemented, http.StatusInternalServerError:
	default:
		return false
	}
	low := strings.ToLower(e.message)
	words := []string{"response_format", "response format", "schema", "grammar", "json_object", "json mode", "structured output", "guided"}
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(low, word) })
}

// failure returns the message of an error that came with status 200, or "".
func failure(body []byte) string {
	var forms struct {
		Error   json.RawMessage `json:"error"`
		Choices []any           `json:"choices"`
	}
	if json.Unmarshal(body, &forms) != nil || len(forms.Choices) > 0 || len(forms.Error) == 0 || string(forms.Error) == "null" {
		return ""
	}
	return message(body)
}

// message returns the message in an error's body, in the forms of several servers.
func message(body []byte) string {
	var forms struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"`
	}
	if json.Unmarshal(body, &forms) == nil {
		var inner struct {
			Message string `json:"message"`
		}
		var plain string
		switch {
		case json.Unmarshal(forms.Error, &inner) == nil && inner.Message != "":
			return clean(inner.Message)
		case json.Unmarshal(forms.Error, &plain) == nil && plain != "":
			return clean(plain)
		case forms.Message != "":
			return clean(forms.Message)
		case len(forms.Detail) > 0:
			return detail(forms.Detail)
		}
	}
	return clean(string(body[:min(len(body), 400)]))
}

// detail returns the message of servers made with FastAPI: a sentence, or a list of
// errors with their locations.
func detail(data []byte) string {
	var plain string
	if json.Unmarshal(data, &plain) == nil {
		return clean(plain)
	}
	var items []struct {
		At  []any  `json:"loc"`
		Msg string `json:"msg"`
	}
	if json.Unmarshal(data, &items) != nil {
		return clean(string(data))
	}
	var out []string
	for _, i := range items {
		var at []string
		for _, a := range i.At {
			at = append(at, fmt.Sprint(a))
		}
		out = append(out, strings.Join(at, ".")+": "+i.Msg)
	}
	return clean(strings.Join(out, "; "))
}

// clean returns a stranger's text for a terminal: one line, and not long.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unseen(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return strings.TrimSuffix(s, ".")
}

// explain names the server in an error.
func (m Model) explain(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return fmt.Errorf("%s: no answer in %s. Give it longer with --timeout", m.Endpoint, m.Timeout)
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return fmt.Errorf("%s: no connection (%w). Is the server running?", m.Endpoint, op.Err)
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return fmt.Errorf("%s: %w", m.Endpoint, err)
}

// read makes a draft of a model's answer, with notes on its oddities, and lists its
// errors. Entities of before keep their lines in the text.
func read(text string, before Draft) (d Draft, notes, wrong []string) {
	a, notes, err := parse(text)
	switch {
	case err != nil && strings.TrimSpace(text) == "":
		return Draft{}, nil, []string{"it is empty"}
	case err != nil:
		return Draft{}, nil, []string{fmt.Sprintf("it is not the requested JSON: %s. It begins: %s", clean(err.Error()), quote(text))}
	}
	d = Draft{Prompt: tidy(a.Prompt)}
	if n := len(a.Entities); n > MaxEntities {
		return d, nil, []string{fmt.Sprintf("there are %d entities; %d is the most", n, MaxEntities)}
	}
	for i, e := range a.Entities {
		e.Prompt = tidy(e.Prompt)
		k := d.meant(e.Name, before)
		out := Entity{Prompt: e.Prompt}
		if k < 0 {
			out.Name = d.called(e, before)
		} else {
			old := before.Entities[k]
			out.Name, out.Fixed = old.Name, old.Fixed
			out.line, out.promptLine, out.boxLine = old.line, old.promptLine, old.boxLine
		}
		who := fmt.Sprintf("entity %d, %s", i+1, shown(e.Name))
		b, why := box(e)
		if why != "" {
			wrong = append(wrong, who+": "+why)
			b = nowhere
		}
		out.Box = b
		if out.Fixed != "" && (why != "" || b != before.Entities[k].Box || out.Prompt != before.Entities[k].Prompt) {
			wrong = append(wrong, who+", must stay exactly as it was")
		}
		d.Entities = append(d.Entities, out)
	}
	for _, e := range before.Entities {
		if e.Fixed != "" && !slices.ContainsFunc(d.Entities, func(f Entity) bool { return f.Name == e.Name }) {
			wrong = append(wrong, fmt.Sprintf("the entity %s must stay exactly as it was, and is gone", shown(e.Name)))
		}
	}
	wrong = append(wrong, d.problems()...)
	if more := len(wrong) - 12; more > 0 {
		wrong = append(wrong[:12], fmt.Sprintf("and %d more", more))
	}
	return d, notes, wrong
}

// tidy returns a prompt on one line.
func tidy(s string) string { return strings.Join(strings.Fields(s), " ") }

// meant returns the index in before of the entity that an answer's name stands for, -1 if
// it is new: by the exact name, else by its slug.
func (d *Draft) meant(name string, before Draft) int {
	for _, same := range []func(Entity) bool{
		func(e Entity) bool { return e.Name == name },
		func(e Entity) bool { return e.Name == slug(name) && name != "" },
	} {
		k := slices.IndexFunc(before.Entities, same)
		if k >= 0 && !slices.ContainsFunc(d.Entities, func(e Entity) bool { return e.Name == before.Entities[k].Name }) {
			return k
		}
	}
	return -1
}

// called returns a free name for an entity of an answer: the model's, or one made from
// its prompt.
func (d *Draft) called(e answerEntity, before Draft) string {
	base := e.Name
	if slug(base) == slug("") {
		base = nounOf(e.Prompt)
	}
	taken := Draft{Entities: slices.Concat(d.Entities, before.Entities)}
	return taken.unique(base)
}

// box reads an answer's box, and returns what is wrong with it, or "".
func box(e answerEntity) (Box, string) {
	var n [4]float64
	for i, f := range []*quantity{e.X, e.Y, e.W, e.H} {
		if f == nil {
			return Box{}, string("xywh"[i]) + " is missing"
		}
		n[i] = float64(*f)
	}
	// A percent beyond the edge is rounding: correct it.
	const off = 0.0101
	x0, y0, x1, y1 := n[0], n[1], n[0]+n[2], n[1]+n[3]
	if !(x0 >= -off && y0 >= -off && x1 <= 1+off && y1 <= 1+off && n[2] > 0 && n[3] > 0) {
		why := "is not on the canvas, where x+w and y+h are at most 1"
		if slices.Max(n[:]) >= 2 {
			why = "is not in fractions of the canvas, from 0 to 1"
		}
		return Box{}, fmt.Sprintf("the box x=%.4g, y=%.4g, w=%.4g, h=%.4g %s", n[0], n[1], n[2], n[3], why)
	}
	part := func(f float64) int { return int(math.Round(100 * min(1, max(0, f)))) }
	b := Box{X: part(x0), Y: part(y0)}
	b.W, b.H = part(x1)-b.X, part(y1)-b.Y
	return b, ""
}

// unknown notes a draft's entities for which the vocabulary has no word.
func (v Vocabulary) unknown(d Draft) []string {
	l := v.lexicon()
	var out []string
	for _, e := range d.Entities {
		words := strings.Fields(strings.ToLower(e.Prompt))
		found := false
		for i := range words {
			m, _ := l.at(words, i)
			found = found || m.kind == object
		}
		if name := nounOf(e.Prompt); !found && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if len(out) == 0 || len(v.Objects) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s wasn't trained on: %s.", v.Of, clean(strings.Join(out, ", ")))}
}
