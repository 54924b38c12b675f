package gate

import (
	"bytes"
	"encoding/binary"
)

// zipDirectory finds the directory of a zip archive, as those do who look for it
// from the end, in whatever the archive is hidden in (APPNOTE.TXT 6.3.10, 4.3.12
// and 4.3.16). It is followed as it comes, and counts once the end says so.
type zipDirectory struct {
	names *zipNames // of an archive that is nothing else; nil: none were looked at
	whole bool      // the subject begins as a zip archive

	at  int64
	run zipRun // the entries that follow each other
	end zipRun // those before the last record of an end
	eod [zipEndSize]byte
	eof int64 // where that record is, and 1; 0: there is none

	twice bool // something after it looks like another
}

// zipRun is a directory, as far as it has come.
type zipRun struct {
	start, next  int64
	count        int
	sum          uint64
	packed, size int64
	finds        []Match
}

// maxFinds bounds what is kept until the end says whether it counts. The first
// are as bad as any.
const maxFinds = 64

func (z *zipDirectory) next(s *contentSearch, w Window) int64 {
	for z.at < w.Tail() {
		b := w.Data[z.at-w.Start:]
		k := bytes.Index(b, []byte("PK"))
		if k < 0 {
			if z.at = w.Tail(); b[len(b)-1] == 'P' {
				z.at--
			}
			break
		}
		z.at += int64(k)
		b = b[k:]
		if len(b) < 4 {
			break
		}
		switch string(b[:4]) {
		case zipCentral:
			if !z.entry(s, b, w.End) {
				return z.finish(s, w)
			}
		case zipEnd:
			if len(b) < zipEndSize {
				return z.finish(s, w)
			}
			z.ends(b)
		default:
			z.at++
		}
	}
	return z.finish(s, w)
}

// ends reads the record of an end. What looks like one may be in the comment of
// another, or in a member: one that fits its directory is not given up for it.
func (z *zipDirectory) ends(b []byte) {
	was, eod, eof := z.end, z.eod, z.eof
	copy(z.eod[:], b)
	z.eof, z.end = z.at+1, z.run
	if eof > 0 && !z.agrees(&z.end, z.at) {
		fits := z.eod
		if z.eod = eod; z.agrees(&was, eof-1) && was.count > 0 {
			z.end, z.eof, z.twice = was, eof, true
		} else {
			z.eod = fits
		}
	}
	z.run = zipRun{}
	z.at += 4
}

// entry reads one entry. false: more must be there.
func (z *zipDirectory) entry(s *contentSearch, b []byte, end bool) bool {
	if len(b) < zipCentralSize {
		return false
	}
	le := binary.LittleEndian
	nameLen, extraLen, commentLen := int(le.Uint16(b[28:])), int(le.Uint16(b[30:])), int(le.Uint16(b[32:]))
	need := zipCentralSize + min(nameLen, zipLongest) + min(extraLen, zipLongest)
	if nameLen > zipLongest {
		need = zipCentralSize + zipLongest
	}
	if len(b) < need && !end {
		return false
	}
	b = b[:min(need, len(b))]
	name := b[zipCentralSize:min(zipCentralSize+min(nameLen, zipLongest), len(b))]
	if z.at != z.run.next || z.run.count == 0 {
		z.run = zipRun{start: z.at}
	}
	r := &z.run
	packed, size, offset := int64(le.Uint32(b[20:])), int64(le.Uint32(b[24:])), int64(le.Uint32(b[42:]))
	if packed == 1<<32-1 || size == 1<<32-1 {
		packed, size = zip64(b[zipCentralSize+len(name):], packed, size)
	}
	const most = 1 << 60
	r.count++
	r.packed = min(r.packed+packed+zipLocalSize+int64(nameLen), most)
	r.size = min(r.size+size, most)
	r.next = z.at + int64(zipCentralSize+nameLen+extraLen+commentLen)
	if z.names != nil {
		r.sum += z.names.hash(name, offset)
	}
	severity := Severity(0)
	if pathLeaves(string(name)) || nameLen > zipLongest || z.isLinked(b, string(name), offset) {
		severity = High
	}
	if severity > 0 && len(r.finds) < maxFinds {
		r.finds = append(r.finds, Match{
			Rule: "archive-traversal", Severity: severity,
			Start: z.at, End: z.at + int64(len(b)), Preview: Mask(b),
		})
	}
	// An entry that says that it is long must not hide what comes.
	z.at += int64(zipCentralSize + len(name))
	return true
}

// isLinked says that the entry is a link that leads outside, or is below a link
// (4.4.2, 4.4.15).
func (z *zipDirectory) isLinked(b []byte, name string, offset int64) bool {
	const unix, kind, link = 3, 0o170000, 0o120000
	if z.names == nil {
		return false
	}
	if z.names.links.through(name) {
		return true
	}
	if b[5] != unix || binary.LittleEndian.Uint16(b[40:])&kind != link {
		return false
	}
	z.names.links.add(name)
	_, away := z.names.away[offset]
	return away || z.names.full
}

// finish decides at the end, and says what is needed before it.
func (z *zipDirectory) finish(s *contentSearch, w Window) int64 {
	if !w.End {
		return min(z.at, w.Tail())
	}
	const tail = 1<<16 + zipEndSize
	at := z.eof - 1
	near := z.eof > 0 && w.Tail()-at <= tail
	r := &z.end
	right := near && z.agrees(r, at)
	switch {
	case z.whole && !right:
		s.foundAs("archive-mismatch", Medium, max(at, 0), w.Tail(), z.eod[:])
	case !z.whole && near && !right && z.isEnd(at, w.Tail()):
		// Nothing but an archive ends so, and its directory is hidden.
		s.foundAs("archive-mismatch", Medium, at, at+zipEndSize, z.eod[:])
		return w.Tail()
	case !z.whole && (!right || r.count == 0):
		return w.Tail()
	case !z.whole:
		s.foundAs("archive-polyglot", Info, at, at+zipEndSize, z.eod[:])
	case z.twice || r.sum != z.names.sum || r.count != z.names.count:
		s.foundAs("archive-mismatch", Medium, r.start, at+zipEndSize, z.eod[:])
	}
	for _, m := range r.finds {
		s.report(m)
	}
	if r.packed > r.start && r.count > 0 || r.size > bombSize && r.size/bombRatio > w.Tail() {
		s.foundAs("archive-bomb", Medium, at, at+zipEndSize, z.eod[:])
	}
	return w.Tail()
}

// agrees says that the directory is where its end says that it is. In archives
// that need more than 32 bits there is another record between (4.3.14).
func (z *zipDirectory) agrees(r *zipRun, at int64) bool {
	const zip64Records = 56 + 20
	le := binary.LittleEndian
	count, size, offset := le.Uint16(z.eod[10:]), le.Uint32(z.eod[12:]), int64(le.Uint32(z.eod[16:]))
	if r.count == 0 {
		return count == 0 && size == 0
	}
	if count == 1<<16-1 || size == 1<<32-1 || offset == 1<<32-1 {
		return at-r.next >= zip64Records && at-r.next < zip64Records+zipLongest
	}
	return r.next == at && r.next-r.start == int64(size) && r.count&0xffff == int(count) &&
		(!z.whole || r.start == offset)
}

// isEnd says that the record at the offset is plausible: its comment goes to the
// end, and a directory is before it.
func (z *zipDirectory) isEnd(at, tail int64) bool {
	le := binary.LittleEndian
	size, comment := int64(le.Uint32(z.eod[12:])), int64(le.Uint16(z.eod[20:]))
	return le.Uint16(z.eod[10:]) > 0 && at+zipEndSize+comment == tail && (size <= at || size == 1<<32-1)
}
