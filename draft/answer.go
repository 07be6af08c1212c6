package draft

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kaptinlin/jsonrepair"
)

// A quantity is a JSON number, or a string that holds one.
type quantity float64

func (n *quantity) UnmarshalJSON(data []byte) error {
	text := string(data)
	if s, err := strconv.Unquote(text); err == nil {
		text = strings.TrimSpace(s)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("%s is not a number", clean(string(data)))
	}
	*n = quantity(f)
	return nil
}

// content returns a message's text, in the forms of several servers: a string, a list of
// parts, the arguments of a tool call or, if the server takes the whole answer for
// thoughts, the reasoning. It is an error if there is none.
func content(message string) (string, error) {
	var m struct {
		Content   json.RawMessage `json:"content"`
		Reasoning string          `json:"reasoning_content"`
		Thoughts  string          `json:"reasoning"`
		Calls     []struct {
			Function struct {
				Arguments string `json:"arguments"`
			} `json:"function"`
		} `json:"tool_calls"`
	}
	// A field of another type leaves the others.
	_ = json.Unmarshal([]byte(message), &m)

	var text string
	var parts []struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(m.Content, &text) != nil && json.Unmarshal(m.Content, &parts) == nil {
		for _, p := range parts {
			text += p.Text
		}
	}
	if strings.TrimSpace(text) != "" {
		return text, nil
	}
	for _, c := range m.Calls {
		if strings.TrimSpace(c.Function.Arguments) != "" {
			return c.Function.Arguments, nil
		}
	}
	thoughts := m.Reasoning + m.Thoughts
	if _, _, err := parse(thoughts); err == nil {
		return thoughts, nil
	}
	if thoughts != "" {
		return "", fmt.Errorf("the model's answer is empty, and its reasoning contains no plan; it begins: %s", quote(thoughts))
	}
	return text, nil
}

// thoughts matches everything up to the end of what a model thought aloud: a closing
// tag, with or without its opening one, in the spellings of several models.
var thoughts = regexp.MustCompile(`(?is)^.*(</[a-z_:-]*(think|thinking|thought|thoughts|reasoning|reflection|analysis)>` +
	`|◁/think▷|<\|channel\|>\s*final\b[^<]*<\|message\|>)`)

// opened matches thoughts that have no end.
var opened = regexp.MustCompile(`(?is)^\s*(<[a-z_:-]*(think|thinking|thought|thoughts|reasoning|reflection|analysis)>|◁think▷)`)

// errNoPlan reports an answer without a JSON object that has a prompt or entities.
var errNoPlan = errors.New("it holds no JSON object with prompt and entities")

// parse finds the plan in a model's text, whatever surrounds it: thoughts, sentences, a
// fence, a byte order mark. The last of several plans counts. notes list what differs
// from the request.
func parse(text string) (a answer, notes []string, err error) {
	text = strings.TrimPrefix(strings.TrimSpace(text), "\ufeff")
	text = thoughts.ReplaceAllString(text, "")
	if opened.MatchString(text) {
		return answer{}, nil, errors.New("it ends before the model has stopped thinking")
	}
	var quoted string
	if json.Unmarshal([]byte(strings.TrimSpace(text)), &quoted) == nil {
		text = quoted // JSON in a JSON string
	}
	var found []answer
	repaired := false
	err = errNoPlan
	for _, object := range objects(text) {
		a, mended, why := decode(object)
		switch {
		case why == nil:
			found, repaired = append(found, a), mended
		case !errors.Is(why, errNoPlan):
			err = why
		}
	}
	if len(found) == 0 {
		return answer{}, nil, err
	}
	a = found[len(found)-1]
	if repaired {
		notes = append(notes, "The answer was not quite JSON, and was repaired.")
	}
	if slices.ContainsFunc(found, func(b answer) bool { return !reflect.DeepEqual(a, b) }) {
		notes = append(notes, fmt.Sprintf("The answer had %d plans; the last one is taken.", len(found)))
	}
	return a, notes, nil
}

// decode reads one JSON object as an answer, repaired if it must be.
func decode(object string) (a answer, repaired bool, err error) {
	var keys map[string]json.RawMessage
	if json.Unmarshal([]byte(object), &keys) != nil {
		mended, err := jsonrepair.Repair(object)
		if err != nil || json.Unmarshal([]byte(mended), &keys) != nil {
			return answer{}, false, errNoPlan
		}
		object, repaired = mended, true
	}
	if !hasKey(keys, "prompt") && !hasKey(keys, "entities") {
		return answer{}, false, errNoPlan
	}
	if err := json.Unmarshal([]byte(object), &a); err != nil {
		return answer{}, false, errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	return a, repaired, nil
}

func hasKey(m map[string]json.RawMessage, name string) bool {
	for k := range m {
		if strings.EqualFold(k, name) {
			return true
		}
	}
	return false
}

// maxBraces bounds how many braces of a stranger's text are tried.
const maxBraces = 50

// objects returns the outermost {…} of a text. Braces in strings don't count; a text
// that has one without its end gives nothing for it.
func objects(text string) []string {
	var out []string
	for start, tries := 0, 0; start < len(text) && tries < maxBraces; tries++ {
		i := strings.IndexByte(text[start:], '{')
		if i < 0 {
			break
		}
		start += i
		n := braced(text[start:])
		if n == 0 {
			start++
			continue
		}
		out = append(out, text[start:start+n])
		start += n
	}
	return out
}

// braced returns the length of the {…} that text begins with, 0 if it has no end.
func braced(text string) int {
	depth, inside := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case inside:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// quote returns the beginning of a stranger's text, for a message.
func quote(text string) string {
	text = clean(text)
	if r := []rune(text); len(r) > 60 {
		text = string(r[:60]) + "…"
	}
	return strconv.Quote(text)
}

// stream makes a completion of one that a server streamed unasked (server-sent events),
// or returns nil.
func stream(body []byte) []byte {
	var text, finish string
	events := 0
	for line := range strings.Lines(string(body)) {
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data:")
		if !ok {
			continue
		}
		var event struct {
			Choices []struct {
				Delta  struct{ Content string }
				Finish string `json:"finish_reason"`
			}
		}
		if json.Unmarshal([]byte(data), &event) != nil || len(event.Choices) == 0 {
			continue
		}
		events++
		text += event.Choices[0].Delta.Content
		finish = event.Choices[0].Finish
	}
	if events == 0 {
		return nil
	}
	out, err := json.Marshal(map[string]any{"choices": []any{map[string]any{
		"finish_reason": finish, "message": map[string]any{"role": "assistant", "content": text},
	}}})
	if err != nil {
		return nil
	}
	return out
}
