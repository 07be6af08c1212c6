//go:build cgo

package backend

// #include <stddef.h>
import "C"

import "unsafe"

//export eligenFindProgram
func eligenFindProgram(code *C.char, codeSize C.size_t, options *C.char, optionsSize C.size_t, key *C.char, size *C.size_t) *C.char {
	of := func(p *C.char, n C.size_t) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(p)), int(n)) }
	p := kept.Load()
	k := p.key(of(code, codeSize), of(options, optionsSize))
	copy(of(key, C.size_t(len(k))), k[:])
	found := p.find(k)
	if found == nil {
		return nil
	}
	*size = C.size_t(len(found))
	return (*C.char)(C.CBytes(found))
}

//export eligenKeepProgram
func eligenKeepProgram(key, data *C.char, size C.size_t) {
	var k programKey
	copy(k[:], unsafe.Slice((*byte)(unsafe.Pointer(key)), len(k)))
	kept.Load().keep(k, unsafe.Slice((*byte)(unsafe.Pointer(data)), int(size)))
}
