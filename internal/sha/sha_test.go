package sha

import (
	"crypto/sha256"
	"testing"
)

// TestNew: the sum is crypto/sha256's, in whatever parts the bytes come.
func TestNew(t *testing.T) {
	data := make([]byte, 2*most+7)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	want := sha256.Sum256(data)
	h := New()
	for _, part := range [][]byte{data[:5], nil, data[5 : most+9], data[most+9:]} {
		if n, err := h.Write(part); n != len(part) || err != nil {
			t.Fatalf("Write took %d of %d bytes: %v", n, len(part), err)
		}
	}
	if got := [32]byte(h.Sum(nil)); got != want {
		t.Errorf("got %x, want %x", got, want)
	}
}
