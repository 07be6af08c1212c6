package nn

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// TimeDim is the number of features of a [Sinusoid].
const TimeDim = 256

// Sinusoid returns [cos(s·f), sin(s·f)] of scalars [B], f from 1 down to 1/10000: [B,256].
func Sinusoid(s *Node) *Node {
	f := Const(s.Graph(), [][]float32{frequencies[:]})
	angle := Mul(ExpandAxes(ConvertDType(s, dtypes.Float32), -1), f) // [B,128]
	return Concatenate([]*Node{Cos(angle), Sin(angle)}, -1)
}

// frequencies are 10000^(−k/128), as PyTorch makes them: the exponent is
// rounded to float32, and its float32 exp is one unit high at two of them. At
// timestep 1000 and guidance 3500 this is felt in the fifth digit of the result.
var frequencies = func() (f [TimeDim / 2]float32) {
	for k := range f {
		f[k] = float32(math.Exp(float64(float32(-math.Log(10000)) * float32(k) / float32(len(f)))))
	}
	for _, k := range []int{12, 106} {
		f[k] = math.Nextafter32(f[k], 2)
	}
	return f
}()
