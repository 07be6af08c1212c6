package clip

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/stage/internal/container"
)

// Sidecar writes what made a clip, its input, into a JSON file to lie beside it: for
// places where a clip's own metadata gets lost.
type Sidecar struct {
	Resolved Resolved
}

// Kind is the stage's name and version.
func (Sidecar) Kind() string { return "sidecar/1" }

// String says what is made, for people.
func (Sidecar) String() string { return "what made a clip, as JSON" }

// Check says why there can be no such clip. Planning can ask it.
func (o Sidecar) Check() error { return o.Resolved.check() }

// sidecarHead is how a sidecar begins: the digest of the file that it is about.
const sidecarHead = "{\n  \"clip\": \""

// Run writes the sidecar.
func (o Sidecar) Run(_ context.Context, c *eligen.Call) error {
	if err := o.Check(); err != nil {
		return err
	}
	if len(c.Inputs) != 1 {
		return fmt.Errorf("a sidecar of %d files. This is a bug in eligen", len(c.Inputs))
	}
	data, err := json.Marshal(o.Resolved)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := json.Indent(&text, data, "", "  "); err != nil {
		return err
	}
	f := container.New(c.Out)
	f.Add([]byte(sidecarHead), []byte(eligen.DigestOf(c.Inputs[0].Data)), []byte("\",\n"))
	f.Add(bytes.TrimSuffix(bytes.TrimPrefix(text.Bytes(), []byte("{\n")), []byte("\n}")), []byte(",\n"))
	return f.Close(endSidecar)
}

func endSidecar(seal string) []byte {
	return []byte("  \"" + container.Seal + "\": \"" + seal + "\"\n}\n")
}

func textOfSidecar(data []byte) ([]byte, error) {
	if !json.Valid(data) {
		return nil, errDamaged
	}
	return data, nil
}
