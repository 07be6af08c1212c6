package file

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/eligen/eligen"
	"github.com/eligen/eligen/runtime"
	"github.com/eligen/eligen/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, storetest.Subject{Open: func(t *testing.T) storetest.Opened {
		s, _ := fill(t)
		return storetest.Opened{
			Store: s,
			Again: func(t *testing.T) runtime.Store {
				t.Helper()
				again, err := Open(s.Dir())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { again.Close() })
				return again
			},
			Damage: func(t *testing.T, key eligen.Digest, change func([]byte) []byte) {
				t.Helper()
				info, err := s.Stat(t.Context(), key)
				if err != nil {
					t.Fatal(err)
				}
				data, err := os.ReadFile(info.Path)
				if err != nil {
					t.Fatal(err)
				}
				n := headerSize(result)
				if err := os.WriteFile(info.Path, append(data[:n:n], change(data[n:])...), 0o644); err != nil {
					t.Fatal(err)
				}
			},
			DamagePartial: func(t *testing.T, key eligen.Digest) {
				t.Helper()
				path := filepath.Join(s.Dir(), entryPath(key)+".partial")
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				data[len(data)-1] ^= 1
				if err := os.WriteFile(path, data, 0o644); err != nil {
					t.Fatal(err)
				}
			},
		}
	}})
}
