package pixels

import (
	"encoding/binary"
	"testing"
)

// FuzzOpen: whatever a file's metadata holds, it is read or refused, soon, and what is
// said of its size is true.
func FuzzOpen(f *testing.F) {
	le := binary.LittleEndian
	f.Add(asPNG(f, marked()))
	f.Add(withPNG(withPNG(asPNG(f, marked()), "eXIf", exif(le, 3, 6)), "iCCP", iccp(profiles()["Display P3, v4"])))
	f.Add(withPNG(withPNG(asPNG(f, marked()), "cHRM", make([]byte, 32)), "gAMA", []byte{0, 0, 0, 1}))
	f.Add(withPNG(asPNG(f, marked()), "cICP", []byte{12, 13, 0, 1}))
	f.Add(withJPEG(asJPEG(f, marked()), app1, append([]byte("Exif\x00\x00"), exif(binary.BigEndian, 3, 8)...)))
	f.Add(withJPEG(asJPEG(f, marked()), app2, append([]byte("ICC_PROFILE\x00\x01\x01"), profiles()["Adobe RGB, v2"]...)))
	f.Add(withWebP(asWebP(f, marked()), 8, "EXIF", exif(le, 3, 5)))
	f.Add(asTIFF(marked(), le, 6, 0))
	f.Add(frames(f, 2))
	f.Add(scans(f, 16, 3))
	f.Add([]byte("GIF89a\x02\x00\x01\x00\x80\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Open(data)
		if err != nil || file.Size.W*file.Size.H > 1<<16 { // it may be, but takes long
			return
		}
		img, err := file.Picture()
		if err != nil {
			return
		}
		if img.Rect.Dx() != file.Size.W || img.Rect.Dy() != file.Size.H || len(img.Pix) != 4*file.Size.W*file.Size.H {
			t.Fatalf("%v pixels, said to be %v", img.Rect, file.Size)
		}
	})
}

// FuzzProfile: whatever a colour profile holds, it is used or refused, and colours stay
// within their bounds.
func FuzzProfile(f *testing.F) {
	for _, p := range profiles() {
		f.Add(p)
	}
	f.Add(profile("\x04\x00", "RGB ", "x",
		tag{"A2B0", append([]byte("mAB \x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x20"), make([]byte, 60)...)}))
	f.Add(profile("\x02\x10", "RGB ", "x", tag{"A2B0", append([]byte("mft1\x00\x00\x00\x00\x03\x03\x02\x00"), make([]byte, 36+2*768+24)...)}))
	f.Fuzz(func(t *testing.T, data []byte) {
		rgb, grey := rows()
		for channels := range 5 {
			c, err := ofProfile(data, channels)
			if err != nil || c == nil {
				continue
			}
			if channels == 1 {
				_, err = c.apply(grey)
			} else {
				_, err = c.apply(rgb)
			}
			_ = err // a profile that fails for some colours is damaged, and said to be
		}
	})
}
