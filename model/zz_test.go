package model

import ("testing";"time";"context")

func TestZZ(t *testing.T) {
	dir := tinyFolder(t)
	e := newEngine(t, "xla", Options{Nano: dir})
	t0 := time.Now()
	_, d := job(t, e)
	t.Log("job", time.Since(t0)); t0 = time.Now()
	d.Negative = nil
	for n := 0; n <= 3; n++ {
		dd := d
		dd.Entities = d.Entities[:n]
		t0 = time.Now()
		if _, err := e.Denoise(context.Background(), dd); err != nil { t.Fatal(err) }
		t.Log(n, time.Since(t0)); t0 = time.Now()
		if _, err := e.Denoise(context.Background(), dd); err != nil { t.Fatal(err) }
		t.Log(n, "again", time.Since(t0))
	}
}
