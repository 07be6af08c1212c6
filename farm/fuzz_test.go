package farm

import (
	"encoding/json"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage"
)

// FuzzTask reads messages that anybody may have written. What comes out is consistent: known kinds, sound
// digests, and no more stages than fit; encoded again, it is the same.
func FuzzTask(f *testing.F) {
	for _, text := range []string{
		``, `{}`, `{"format":1}`,
		`{"format":1,"run":"3f9c2a61be07","task":"0000000000000000000000000000000000000000000000000000000000000000","stages":[]}`,
		`{"format":1,"run":"../x","task":"..","stages":[{"kind":"shell/1"}]}`,
		`{"format":1,"run":"a","task":"0000000000000000000000000000000000000000000000000000000000000000","body":"/etc/passwd"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseTask(data)
		if err != nil {
			return
		}
		if m.Format != format || !isToken(m.Run) || len(m.Digest) != 64 {
			t.Errorf("it takes %+v", m)
		}
		stages, err := parseStages(m.Stages, m.Digest)
		if err != nil {
			return
		}
		var again []json.RawMessage
		for _, d := range stages {
			if stage.StartsPrograms(d.Op) || eligen.StageDigest(d.Op, d.Engine, d.Inputs) != d.Digest {
				t.Errorf("it takes %+v", d)
			}
			one, err := d.Encode()
			if err != nil {
				t.Fatal(err)
			}
			again = append(again, one)
		}
		body, err := json.Marshal(again)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseStages(body, m.Digest); err != nil || len(got) != len(stages) {
			t.Errorf("read again: %v, %v", got, err)
		}
	})
}
