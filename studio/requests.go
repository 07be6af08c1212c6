package studio

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/app"
	"github.com/eligen/eligen/dsl"
	"github.com/eligen/eligen/dsl/edit"
)

// An Edit is what the page wants done to the text. All of it happens or nothing, and it is one step of undo.
type Edit struct {
	Kind    string   `json:"kind"`    // "change", "text", "words", "restore", "format", "undo", "redo"
	Name    string   `json:"name"`    // for undo: "move entity.duck"
	Changes []Change `json:"changes"` // of "change": each is made to what the one before leaves
	Text    string   `json:"text"`    // the whole text
	Base    string   `json:"base"`    // version that Text was made of
	Words   string   `json:"words"`   // what to change
	Picture string   `json:"picture"` // digest of the one whose values are restored
}

// A Change is a change of one value or block.
type Change struct {
	// Kind is "numbers", "set", "unset", "add", "remove" or "rename"; of a list's objects "item", "additem", "removeitem"; of
	// a polygon's points "addpoint", "removepoint".
	Kind      string   `json:"kind"`
	Block     string   `json:"block"`     // address
	Attribute string   `json:"attribute"` // of the block
	Numbers   []string `json:"numbers"`   // of a shape; "" leaves one as it is
	Value     string   `json:"value"`     // an expression, or a string where Quote is set
	Quote     bool     `json:"quote"`
	Replace   bool     `json:"replace"` // what is worked out may be overwritten
	Text      string   `json:"text"`    // the block or the object to add
	Item      int      `json:"item"`    // of a list of objects, or of points
	Part      string   `json:"part"`    // of an item; without a value it is removed
}

// An Answer is what became of an Edit.
type Answer struct {
	State   *State   `json:"state"`
	Error   string   `json:"error,omitempty"`
	Derived *Derived `json:"derived,omitempty"` // the value is worked out, and was not overwritten
}

// A Derived is a value that hangs on others.
type Derived struct {
	Block     string   `json:"block"`
	Attribute string   `json:"attribute"`
	Slot      int      `json:"slot"`
	Text      string   `json:"text"`
	Refs      []string `json:"refs"`
}

// maxBody is how many bytes a request may have.
const maxBody = 4 << 20

func quoted(s string) string {
	b, _ := json.Marshal(s) // strings always can be
	return string(b)
}

// decode reads a request's JSON, or answers.
func decode(w http.ResponseWriter, r *http.Request, into any, most int64) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		refuse(w, http.StatusBadRequest, "The request can't be read: "+err.Error())
		return false
	}
	return true
}

// answer writes JSON.
func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

// edit changes the text.
func (s *Server) edit(w http.ResponseWriter, r *http.Request) {
	var e Edit
	if !decode(w, r, &e, maxBody) {
		return
	}
	out := &Answer{}
	s.reply(w, r, s.change(e), out, out)
}

// reply reads the scene anew, and answers with it and with what went wrong: out is part of whole.
func (s *Server) reply(w http.ResponseWriter, r *http.Request, err error, out *Answer, whole any) {
	state, failed := s.refresh(r.Context())
	if failed != nil {
		refuse(w, http.StatusServiceUnavailable, failed.Error())
		return
	}
	out.State = state
	if err == nil {
		answer(w, http.StatusOK, whole)
		return
	}
	out.Error = err.Error()
	var derived *edit.DerivedError
	if errors.As(err, &derived) {
		out.Derived = &Derived{derived.Address, derived.Attribute, derived.Slot, derived.Text, some(derived.Refs)}
	}
	status := http.StatusUnprocessableEntity
	if errors.Is(err, errOutdated) {
		status = http.StatusConflict
	}
	answer(w, status, whole)
}

// change does what an Edit says.
func (s *Server) change(e Edit) error {
	switch e.Kind {
	case "words":
		return s.refine(e)
	case "restore":
		return s.restore(e)
	case "format":
		return s.doc.change("format", "", func(src []byte) ([]byte, error) {
			out, ds := dsl.Format(s.doc.path, src)
			return out, ds.Err()
		})
	case "undo", "redo":
		return s.doc.back(e.Kind == "redo")
	case "text":
		return s.doc.change(e.Name, e.Base, func([]byte) ([]byte, error) { return []byte(e.Text), nil })
	}
	if e.Kind != "change" || len(e.Changes) == 0 {
		return fmt.Errorf("unknown kind of edit: %q with %d changes", e.Kind, len(e.Changes))
	}
	return s.doc.change(e.Name, "", func(src []byte) ([]byte, error) {
		for _, c := range e.Changes {
			text, ds := s.parsed.parse(s.doc.path, src)
			err := ds.Err()
			if err == nil {
				src, err = c.apply(text)
			}
			if err != nil {
				return nil, err
			}
		}
		return src, nil
	})
}

// apply makes a change.
func (c Change) apply(text *edit.Text) ([]byte, error) {
	value := c.Value
	if c.Quote {
		value = edit.Quote(value)
	}
	switch c.Kind {
	case "numbers":
		return text.SetNumbers(c.Block, c.Attribute, c.Numbers, c.Replace)
	case "set":
		return text.Set(c.Block, c.Attribute, value, c.Replace)
	case "unset":
		return text.Unset(c.Block, c.Attribute)
	case "add":
		return text.Append(c.Text)
	case "remove":
		return text.Remove(c.Block)
	case "rename":
		return text.Rename(c.Block, c.Value)
	case "item":
		return text.SetItem(c.Block, c.Attribute, c.Item, c.Part, value, c.Replace)
	case "addpoint":
		if len(c.Numbers) != 2 {
			return nil, errors.New("a point has two numbers")
		}
		return text.AddPoint(c.Block, c.Attribute, c.Item, [2]string(c.Numbers))
	case "removepoint":
		return text.RemovePoint(c.Block, c.Attribute, c.Item)
	case "additem":
		return text.AddItem(c.Block, c.Attribute, c.Item, c.Text)
	case "removeitem":
		return text.RemoveItem(c.Block, c.Attribute, c.Item)
	}
	return nil, errors.New("unknown kind of change: " + c.Kind)
}

// refine changes the text by words, as eligen new --refine does.
func (s *Server) refine(e Edit) error {
	text := s.doc.view().text
	d, _, err := s.app.Refine(s.background, app.RefineRequest{Input: s.input(text), Words: e.Words})
	if err != nil {
		return err
	}
	return s.doc.change(e.Name, versionOf(text), func([]byte) ([]byte, error) { return d.Text, nil })
}

// maxSeeds is how many seeds one run tries: web/src/time.ts reads as many from the page's field.
const maxSeeds = 64

// control starts and stops runs.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	var order struct {
		Do    string   `json:"do"`
		Seeds []uint64 `json:"seeds"` // of "start": a picture of each in place of the scene's own
	}
	if !decode(w, r, &order, maxBody) {
		return
	}
	switch {
	case len(order.Seeds) > maxSeeds:
		refuse(w, http.StatusBadRequest, fmt.Sprintf("A run tries at most %d seeds.", maxSeeds))
		return
	case order.Do == "start":
		s.start(order.Seeds)
	case order.Do == "stop":
		s.stop()
	default:
		refuse(w, http.StatusBadRequest, "A run can start and stop.")
		return
	}
	answer(w, http.StatusAccepted, s.run.snapshot())
}

var isDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// result sends a picture or a clip of this scene out of the store.
func (s *Server) result(w http.ResponseWriter, r *http.Request) {
	digest := eligen.Digest(r.PathValue("digest"))
	if !isDigest.MatchString(string(digest)) || !s.isShown(digest) {
		refuse(w, http.StatusNotFound, "This scene has no such picture.")
		return
	}
	data, err := s.app.Read(r.Context(), eligen.Artifact{Digest: digest})
	if err != nil {
		refuse(w, http.StatusNotFound, "The picture is not in the store any more.")
		return
	}
	kind := http.DetectContentType(data)
	if !strings.HasPrefix(kind, "image/") && !strings.HasPrefix(kind, "video/") {
		refuse(w, http.StatusNotFound, "This is no picture.")
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	_, _ = w.Write(data)
}
