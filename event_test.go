package eligen

import (
	"encoding/json"
	"testing"
)

// A definition is written under both of its keys until 0.3, and journals of before 0.2 have one.
func TestEventDefinition(t *testing.T) {
	data, err := json.Marshal(Event{Type: Planned, Stage: "render.fox.still", Definition: json.RawMessage(`{"n":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		t.Fatal(err)
	}
	if string(keys["definition"]) != `{"n":1}` || string(keys["recipe"]) != `{"n":1}` {
		t.Errorf("an event is %s", data)
	}
	for _, line := range []string{string(data), `{"type":"planned","stage":"render.fox.still","recipe":{"n":1}}`} {
		var e Event
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Stage != "render.fox.still" || string(e.Definition) != `{"n":1}` {
			t.Errorf("%s is read as %+v, %v", line, e, err)
		}
	}
}
