package tarfile

import (
	"io"
	"strconv"
	"strings"
)

// maxExtents bounds the map of a sparse file.
const maxExtents = 1 << 16

// setSparse reads the map of a sparse file, if h is one.
func (r *Reader) setSparse(h *Header, sp *special) (err error) {
	if h.Type != Regular {
		return nil
	}
	major, minor := sp.pax[sparseMajor], sp.pax[sparseMinor]
	switch {
	case r.block[156] == 'S':
		err = r.oldGNU(h)
	case major == "1" && minor == "0":
		if err = sparseFields(h, sp.pax); err == nil {
			h.Data, err = r.readMap()
		}
	case major == "0" && (minor == "0" || minor == "1"), major == "" && minor == "" && sp.pax[sparseMap] != "":
		if err = sparseFields(h, sp.pax); err == nil {
			h.Data, err = mapOf(sp.pax)
		}
	case major != "" || minor != "":
		err = malformed("%q is a sparse file of the unknown version %q.%q", h.Name, major, minor)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	return r.checkMap(h)
}

func sparseFields(h *Header, pax map[string]string) (err error) {
	if name := pax[sparseName]; name != "" {
		h.Name = name
	}
	size := pax[sparseSize]
	if size == "" {
		size = pax[sparseRealSize]
	}
	if size != "" {
		h.Size, err = strconv.ParseInt(size, 10, 64)
	}
	if err != nil || h.Size < 0 {
		return malformed("the size of the sparse file %q is %q", h.Name, size)
	}
	return nil
}

// checkMap holds the map against the size, and against the data that follows.
func (r *Reader) checkMap(h *Header) error {
	var end, data int64
	for _, e := range h.Data {
		if e.Offset < end || e.Length < 0 || e.Offset > h.Size || e.Length > h.Size-e.Offset {
			return malformed("the map of the sparse file %q has no order, or leads beyond its end", h.Name)
		}
		end = e.Offset + e.Length
		data += e.Length
	}
	if data != r.remaining {
		return malformed("the sparse file %q has %d bytes of data, and its map says %d", h.Name, r.remaining, data)
	}
	if h.Data == nil {
		h.Data = []Extent{} // all of it is a hole
	}
	return nil
}

// mapOf reads the map of versions 0.0 and 0.1.
func mapOf(pax map[string]string) ([]Extent, error) {
	if pax[sparseMap] == "" {
		return nil, nil
	}
	fields := strings.Split(pax[sparseMap], ",")
	if n := pax[sparseBlocks]; n != "" && n != strconv.Itoa(len(fields)/2) {
		return nil, malformed("the map of a sparse file has %d numbers, and should have 2 × %s", len(fields), n)
	}
	return extents(fields)
}

func extents(fields []string) ([]Extent, error) {
	if len(fields)%2 != 0 || len(fields) > 2*maxExtents {
		return nil, malformed("the map of a sparse file has %d numbers", len(fields))
	}
	list := make([]Extent, len(fields)/2)
	for i := range list {
		offset, err1 := strconv.ParseInt(fields[2*i], 10, 64)
		length, err2 := strconv.ParseInt(fields[2*i+1], 10, 64)
		if err1 != nil || err2 != nil {
			return nil, malformed("the map of a sparse file has %q in it", fields[2*i:2*i+2])
		}
		list[i] = Extent{offset, length}
	}
	return list, nil
}

// readMap reads the map of version 1.0, which is in whole blocks before the data:
// how many extents there are, and two numbers for each, each on a line.
func (r *Reader) readMap() ([]Extent, error) {
	var text strings.Builder
	lines, need := 0, 1
	for lines < need {
		if text.Len() >= maxSpecial {
			return nil, malformed("the map of a sparse file has more than %d bytes", maxSpecial)
		}
		var block [blockSize]byte
		if _, err := io.ReadFull(r, block[:]); err != nil {
			return nil, asTruncated(err, "in the map of a sparse file")
		}
		text.Write(block[:])
		lines += strings.Count(string(block[:]), "\n")
		if need == 1 && lines > 0 {
			first, _, _ := strings.Cut(text.String(), "\n")
			count, err := strconv.ParseUint(first, 10, 31)
			if err != nil || count > maxExtents {
				return nil, malformed("the map of a sparse file has %q extents", first)
			}
			need += 2 * int(count)
		}
	}
	return extents(strings.Split(text.String(), "\n")[1:need])
}

// oldGNU reads the map of GNU's own format, four extents of which are in the
// header, and 21 in each block that follows.
func (r *Reader) oldGNU(h *Header) (err error) {
	if string(r.block[257:265]) != magicGNU {
		return malformed("%q is a sparse file of GNU tar's in an archive that is not", h.Name)
	}
	if h.Size, err = number(r.block[483:495]); err != nil || h.Size < 0 {
		return malformed("the sparse file %q has no size", h.Name)
	}
	entries, more := r.block[386:482], r.block[482] != 0
	for {
		for ; len(entries) > 0 && entries[0] != 0; entries = entries[24:] {
			offset, err1 := number(entries[0:12])
			length, err2 := number(entries[12:24])
			if err1 != nil || err2 != nil || len(h.Data) == maxExtents {
				return malformed("the map of the sparse file %q is too long, or has no numbers", h.Name)
			}
			h.Data = append(h.Data, Extent{offset, length})
		}
		if !more {
			return nil
		}
		// The map is before the data, and not a part of it.
		n, err := io.ReadFull(r.r, r.block[:])
		r.pos += int64(n)
		if err != nil {
			return asTruncated(err, "in the map of a sparse file")
		}
		entries, more = r.block[0:504], r.block[504] != 0
	}
}
