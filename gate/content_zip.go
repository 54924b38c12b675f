package gate

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
)

// zipWalk goes from member to member of a zip archive, as those do who unpack it
// while it comes (APPNOTE.TXT 6.3.10, 4.3.7).
type zipWalk struct {
	names     *zipNames
	at        int64
	search    bool // how long a member is was not said: the next is looked for
	done      bool
	encrypted bool
}

// zipNames is what the members say of themselves, for the directory to be held
// against.
type zipNames struct {
	links *linkPaths

	// sum adds up what names and places hash to, in whatever order they come.
	sum   uint64
	count int

	// away are members whose content would lead outside if they were links.
	away map[int64]struct{}
	full bool
}

func newZipNames() *zipNames {
	return &zipNames{links: newLinkPaths(), away: make(map[int64]struct{})}
}

func (n *zipNames) hash(name []byte, at int64) uint64 {
	var h maphash.Hash
	h.SetSeed(n.links.seed)
	var place [8]byte
	binary.LittleEndian.PutUint64(place[:], uint64(at))
	_, _ = h.Write(place[:])
	_, _ = h.Write(name)
	return h.Sum64()
}

const (
	zipLocal     = "PK\x03\x04"
	zipCentral   = "PK\x01\x02"
	zipEnd       = "PK\x05\x06"
	zipDescribed = "PK\x07\x08"
	zipArchive   = "PK\x06\x08" // of extra data

	zipLocalSize   = 30
	zipCentralSize = 46
	zipEndSize     = 22

	// zipLongest is how much is read of a name, and of the fields behind it.
	zipLongest = 4096

	// zipTarget is how long a content may be to be looked at as a link's.
	zipTarget = 1024
)

func (z *zipWalk) next(s *contentSearch, w Window) int64 {
	for !z.done && z.at < w.Tail() {
		b := w.Data[z.at-w.Start:]
		if z.search {
			k := bytes.Index(b, []byte("PK"))
			if k < 0 {
				k = max(len(b)-1, 0)
				z.at += int64(k)
				if w.End || k == 0 {
					break
				}
				continue
			}
			z.at += int64(k)
			b = b[k:]
		}
		if len(b) < 4 {
			break
		}
		switch string(b[:4]) {
		case zipLocal:
			if !z.member(s, b, w.End) {
				return min(z.at, w.Tail())
			}
			continue
		case zipCentral, zipEnd, zipArchive:
			z.done = true
			continue
		case zipDescribed:
			z.search = true
			z.at += 4
			continue
		}
		if !z.search {
			s.found("archive-mismatch", Medium, z.at, z.at+4)
		}
		z.search = true
		z.at++
	}
	if z.done {
		return w.Tail()
	}
	return min(z.at, w.Tail())
}

// member looks at a header before its data. false: more must be there.
func (z *zipWalk) member(s *contentSearch, b []byte, end bool) bool {
	const encrypted, described = 1, 8
	if len(b) < zipLocalSize {
		return false
	}
	le := binary.LittleEndian
	flags, method := le.Uint16(b[6:]), le.Uint16(b[8:])
	packed, size := int64(le.Uint32(b[18:])), int64(le.Uint32(b[22:]))
	nameLen, extraLen := int(le.Uint16(b[26:])), int(le.Uint16(b[28:]))
	need := zipLocalSize + min(nameLen, zipLongest) + min(extraLen, zipLongest)
	data := zipLocalSize + nameLen + extraLen
	content := method == 0 && packed > 0 && packed <= zipTarget
	if content {
		need = data + int(packed)
	}
	if need > 2*zipLongest+zipTarget+zipLocalSize {
		content, need = false, zipLocalSize+min(nameLen, zipLongest)
	}
	if len(b) < need && !end {
		return false
	}
	b = b[:min(need, len(b))]
	name := b[zipLocalSize:min(zipLocalSize+nameLen, len(b))]
	header := z.at + int64(min(data, need))
	if nameLen > zipLongest {
		name = name[:min(zipLongest, len(name))]
		s.found("archive-mismatch", Medium, z.at, z.at+int64(len(b)))
	}
	if pathLeaves(string(name)) {
		s.found("archive-traversal", High, z.at, min(header, z.at+int64(len(b))))
	}
	if flags&encrypted != 0 && !z.encrypted {
		z.encrypted = true
		s.found("archive-encrypted", Info, z.at, z.at+zipLocalSize)
	}
	if content && len(b) == need {
		z.names.target(z.at, string(name), string(b[data:]))
	}
	z.names.sum += z.names.hash(name, z.at)
	z.names.count++
	if packed == 1<<32-1 || size == 1<<32-1 {
		extra := b[min(zipLocalSize+nameLen, len(b)):]
		packed, _ = zip64(extra[:min(extraLen, len(extra))], packed, size)
	}
	z.search = flags&described != 0
	z.at += int64(data) + packed
	return true
}

// target remembers a content that would lead outside, as that of a link.
func (n *zipNames) target(at int64, name, content string) {
	if leaves, _ := n.links.leaves(name, content); !leaves {
		return
	}
	if len(n.away) >= maxLinks {
		n.full = true
		return
	}
	n.away[at] = struct{}{}
}

// zip64 reads sizes that need more than 32 bits (4.5.3); where they are missing
// too, what was said.
func zip64(extra []byte, packed, size int64) (int64, int64) {
	const id, none = 1, 1<<32 - 1
	const most = 1 << 56
	le := binary.LittleEndian
	for len(extra) >= 4 {
		n := int(le.Uint16(extra[2:]))
		if len(extra) < 4+n {
			break
		}
		if le.Uint16(extra) == id {
			field := extra[4 : 4+n]
			for _, to := range []*int64{&size, &packed} {
				if *to == none && len(field) >= 8 {
					*to = int64(min(le.Uint64(field), most))
					field = field[8:]
				}
			}
			break
		}
		extra = extra[4+n:]
	}
	return packed, size
}
