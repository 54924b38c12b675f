package gate

import (
	"bytes"
	"encoding/binary"
)

// contentMagic is what the first bytes of something say that it is.
type contentMagic int

const (
	magicNone contentMagic = iota
	magicProgram
	magicDOS // a program for Windows, if more of it says so
	magicScript
	magicZip
	magicGzip
	magicOpaque // an archive that nobody here looks into
)

const longestMagic = 10

// magicOf is what something that begins so is, and how many bytes say so.
func magicOf(b []byte) (magic contentMagic, size int) {
	for _, m := range []struct {
		text  string
		magic contentMagic
	}{
		{"\x7fELF", magicProgram},
		{"\x00asm", magicProgram},
		{"\xfe\xed\xfa\xce", magicProgram}, // Mach-O, as mach-o/loader.h has it
		{"\xfe\xed\xfa\xcf", magicProgram},
		{"\xce\xfa\xed\xfe", magicProgram},
		{"\xcf\xfa\xed\xfe", magicProgram},
		{"\xca\xfe\xba\xbe", magicProgram}, // Java, and Mach-O for several machines
		{"\xca\xfe\xba\xbf", magicProgram},
		{"MZ", magicDOS},
		{"#!", magicScript},
		{"PK\x03\x04", magicZip},
		{"PK\x05\x06", magicZip}, // an empty one
		{"\x1f\x8b\x08", magicGzip},
		{"7z\xbc\xaf\x27\x1c", magicOpaque},
		{"Rar!\x1a\x07", magicOpaque},
		{"\xfd7zXZ\x00", magicOpaque},
		{"\x28\xb5\x2f\xfd", magicOpaque}, // zstd
		{"\x04\x22\x4d\x18", magicOpaque}, // lz4
		{"MSCF\x00\x00\x00\x00", magicOpaque},
	} {
		if len(b) >= len(m.text) && string(b[:len(m.text)]) == m.text {
			return m.magic, len(m.text)
		}
	}
	if len(b) >= longestMagic && string(b[:3]) == "BZh" && string(b[4:10]) == "1AY&SY" {
		return magicOpaque, longestMagic
	}
	return magicNone, 0
}

// isPE follows what a program for DOS says about its other header (PE format,
// "MS-DOS Stub"). Linkers put it into the first page.
func isPE(b []byte) (is, certain bool) {
	const pointer, page = 0x3c, 4096
	if len(b) < pointer+4 {
		return false, false
	}
	at := binary.LittleEndian.Uint32(b[pointer:])
	if at > page {
		return false, true
	}
	if len(b) < int(at)+4 {
		return false, false
	}
	return string(b[at:at+4]) == "PE\x00\x00", true
}

// gzipTail looks at the size that the end of a gzip member states (RFC 1952, 2.3.1).
type gzipTail struct{}

// What makes a bomb: deflate makes at most 1032 bytes of one, so that nothing but
// zeros comes near it.
const (
	bombRatio = 1000
	bombSize  = 64 << 20
)

func (*gzipTail) next(s *contentSearch, w Window) int64 {
	const field = 4
	if w.End && len(w.Data) >= field {
		size := int64(binary.LittleEndian.Uint32(w.Data[len(w.Data)-field:]))
		if size > bombSize && size/bombRatio > w.Tail() {
			s.found("archive-bomb", Medium, w.Tail()-field, w.Tail())
		}
	}
	return w.Tail() - field
}

// bidiText looks for what turns the order of text around, so that a reader sees
// another program than runs (CVE-2021-42574).
type bidiText struct{ at int64 }

func (t *bidiText) next(s *contentSearch, w Window) int64 {
	const size = 3
	b := w.Data
	i := int(max(t.at, w.Start) - w.Start)
	for {
		k := bytes.IndexByte(b[i:], 0xe2)
		if k < 0 {
			i = len(b)
			break
		}
		if i += k; i+size > len(b) {
			break
		}
		if c := b[i+2]; b[i+1] == 0x80 && c >= 0xaa && c <= 0xae || b[i+1] == 0x81 && c >= 0xa6 && c <= 0xa9 {
			s.found("text-bidi", Low, w.Start+int64(i), w.Start+int64(i+size))
		}
		i++
	}
	t.at = w.Start + int64(i)
	return t.at
}
