package pixels

import (
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/eligen/eligen"
)

// TestResample: pictures are scaled as Pillow 13.0 scales them, to the bit, with the
// vertical pass first where the height shrinks by more than twice what the width does.
func TestResample(t *testing.T) {
	for _, c := range []struct {
		from, to eligen.Size
		want     string
	}{
		{eligen.Size{W: 4, H: 40}, eligen.Size{W: 3, H: 6}, "8e917d8b986d6c6e6c7d84779a93a062918b"},
		// wider and lower
		{eligen.Size{W: 3, H: 30}, eligen.Size{W: 6, H: 7},
			"8b8f999c9998495b809393939b9b99938984626e85908c8a58647d82736c3d4860788e99ac976b555859"},
		// twice as much: horizontal first
		{eligen.Size{W: 6, H: 20}, eligen.Size{W: 3, H: 14},
			"d171b67637af43a2a48e999c6d77c656995da54c7368558c717736a8865465635085b78da6968a6495a4"},
		// one more: vertical first
		{eligen.Size{W: 6, H: 21}, eligen.Size{W: 3, H: 14},
			"ce6eb86f3dac48a7a59490a15b81be6f85479e469259626c9584348b705c658967abb89176829a7ccbac"},
		{eligen.Size{W: 20, H: 9}, eligen.Size{W: 7, H: 3}, "ad7f898f7773618c8b786977639f8399907692818e"},
	} {
		pix := make([]uint8, c.from.W*c.from.H)
		for i := range pix {
			if pix[i] = uint8(i*i*37 + i*11); i/3%2 == 0 {
				pix[i] = 255 - uint8(i*53)
			}
		}
		if got := hex.EncodeToString(Resample(pix, 1, c.from, c.to, Bicubic)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", fmt.Sprint(c.from, " to ", c.to), got, c.want)
		}
	}
}
