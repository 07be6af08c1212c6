package hubtest

import "net/http"

// Cut returns a writer of an answer whose connection breaks after n bytes of the body.
func Cut(w http.ResponseWriter, n int) http.ResponseWriter {
	return &spoiler{ResponseWriter: w, left: n, cut: true}
}

// Flip returns a writer of an answer in whose body a bit of the byte at n is turned over.
func Flip(w http.ResponseWriter, n int) http.ResponseWriter {
	return &spoiler{ResponseWriter: w, left: n}
}

type spoiler struct {
	http.ResponseWriter
	left int // bytes before the fault
	cut  bool
	done bool
}

func (s *spoiler) Write(p []byte) (int, error) {
	if s.done || len(p) < s.left || len(p) == s.left && !s.cut {
		n, err := s.ResponseWriter.Write(p)
		s.left -= n
		return n, err
	}
	s.done = true
	if s.cut {
		_, _ = s.ResponseWriter.Write(p[:s.left])
		_ = http.NewResponseController(s.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	bad := append([]byte{}, p...)
	bad[s.left] ^= 0x10
	return s.ResponseWriter.Write(bad)
}
