package decode_test

import (
	"bytes"
	"image/png"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/internal/tensor"
	"github.com/eligen/eligen/model/paint"
	"github.com/eligen/eligen/stage/decode"
)

func TestRun(t *testing.T) {
	spec, _ := paint.Engine{}.Spec(eligen.Model{Family: "nano"}, nil)
	var latents bytes.Buffer
	if err := tensor.Write(&latents, nil, tensor.Named{Name: "latents", Tensor: tensor.New(16, 4, 6)}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	op := decode.Op{Autoencoder: spec.Autoencoder}
	if err := op.Run(t.Context(),
		&eligen.Call{Inputs: []eligen.Artifact{{Data: latents.Bytes()}}, Out: &out, Engine: paint.Engine{}}); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Bounds(); b.Dx() != 48 || b.Dy() != 32 {
		t.Errorf("a picture of %v", b)
	}

	var other bytes.Buffer
	if err := tensor.Write(&other, nil, tensor.Named{Name: "txt", Tensor: tensor.New(2, 2)}); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"no tensors": []byte("x"), "other tensors": other.Bytes()} {
		if err := op.Run(t.Context(),
			&eligen.Call{Inputs: []eligen.Artifact{{Data: data}}, Out: new(bytes.Buffer), Engine: paint.Engine{}}); err == nil {
			t.Errorf("%s were decoded", name)
		}
	}
}
