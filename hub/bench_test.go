package hub

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/eligen/eligen/hub/hubtest"
)

// throttled sends at most 64 KiB each 4 ms, as CDNs limit a connection.
type throttled struct{ http.ResponseWriter }

func (w throttled) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		var m int
		m, err = w.ResponseWriter.Write(p[:min(len(p), 64<<10)])
		n, p = n+m, p[m:]
		time.Sleep(4 * time.Millisecond)
	}
	return n, err
}

// BenchmarkConnections prints how many times faster eight connections fetch a file than one, from a server that
// limits the rate of each.
func BenchmarkConnections(b *testing.B) {
	m := model()
	m.Files["large.safetensors"] = noise(1, 16<<20)
	s := hubtest.New(m)
	defer s.Close()
	s.Fault = func(w http.ResponseWriter, r *http.Request, cdn bool) bool {
		if cdn {
			s.Answer(throttled{w}, r, cdn)
		}
		return cdn
	}
	took := map[int]time.Duration{}
	b.SetBytes(2 * 16 << 20)
	for b.Loop() {
		for _, n := range []int{1, 8} {
			c := &Client{Settings: Settings{Endpoint: s.URL, Cache: b.TempDir()}, Connections: n, part: 1 << 20}
			start := time.Now()
			i, err := c.Info(context.Background(), Repo{Name: m.Name}, "")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := c.Pull(context.Background(), Pull{Info: i, Files: []string{"large.safetensors"}}, nil); err != nil {
				b.Fatal(err)
			}
			took[n] += time.Since(start)
		}
	}
	b.ReportMetric(took[1].Seconds()/took[8].Seconds(), "times-faster")
}
