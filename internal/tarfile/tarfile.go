// Package tarfile reads tar archives: V7, ustar, star, GNU (long names, sparse
// files) and PAX (POSIX.1-2017, pax; GNU tar manual, "Basic Tar Format" and
// "Storing Sparse Files"). It is as strict as it can be with archives that
// others can read, and holds no more of an archive in memory than one header.
//
// What this package does not protect: names are as the archive has them, with
// "..", absolute, or worse. Sizes are bounded by the archive only.
package tarfile

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrFormat is matched by every error about the bytes of an archive.
var ErrFormat = errors.New("malformed tar archive")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

// Type is what an entry is.
type Type byte

// The types of entries.
const (
	Regular Type = '0'
	Hard    Type = '1'
	Symlink Type = '2'
	Char    Type = '3'
	Block   Type = '4'
	Dir     Type = '5'
	Fifo    Type = '6'
)

// Header is an entry.
type Header struct {
	Type     Type
	Name     string
	Linkname string // of Hard and Symlink
	Mode     int64  // as in the archive; the low 12 bits mean something
	UID, GID int64
	Size     int64 // of Regular, with holes
	Sec      int64 // time of modification, seconds since 1970
	Nsec     int64 // 0 to 999999999
	Major    int64 // of Char and Block
	Minor    int64

	// Xattrs are extended attributes by their whole names; nil: none.
	Xattrs map[string]string

	// Data are the parts of a sparse file that have data, in order, without
	// overlaps, and inside of Size. Nil: the whole file is data.
	Data []Extent
}

// Extent is a part of a file.
type Extent struct{ Offset, Length int64 }

const blockSize = 512

// maxSpecial bounds what is read into memory of long names, PAX records and maps
// of sparse files, each. Package archive/tar has the same bound.
const maxSpecial = 1 << 20

// Reader reads an archive from its beginning to its end. Between two calls of
// Next it is an io.Reader of what the entry has as data, without holes.
type Reader struct {
	r         io.Reader
	seekable  *io.SectionReader // where r is one
	pos       int64             // of r
	remaining int64             // data of this entry that was not read
	padding   int64             // after it
	err       error             // for good
	block     [blockSize]byte
}

// NewReader reads an archive that comes as a stream.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// NewReaderAt reads an archive in which data that is not asked for can be
// skipped.
func NewReaderAt(r io.ReaderAt, size int64) *Reader {
	s := io.NewSectionReader(r, 0, size)
	return &Reader{r: s, seekable: s}
}

// Offset is where the data of the entry is that was not read yet.
func (r *Reader) Offset() int64 { return r.pos }

// Remaining is how much of that there is.
func (r *Reader) Remaining() int64 { return r.remaining }

// Read reads data of the entry.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.remaining == 0 {
		return 0, io.EOF
	}
	n, err := r.r.Read(p[:min(int64(len(p)), r.remaining)])
	r.pos += int64(n)
	r.remaining -= int64(n)
	if errors.Is(err, io.EOF) && r.remaining > 0 {
		err = truncated("in the data of an entry")
	} else if errors.Is(err, io.EOF) {
		err = nil
	}
	if err != nil {
		r.err = err
	}
	return n, err
}

func truncated(where string) error { return malformed("it ends %s", where) }

// special is what came before an entry's own header.
type special struct {
	longName, longLink string
	pax                map[string]string
}

// Next goes to the next entry. io.EOF: there is none, and nothing but zeros after
// the last.
func (r *Reader) Next() (*Header, error) {
	if r.err != nil {
		return nil, r.err
	}
	h, err := r.next()
	if err != nil {
		r.err = err
		return nil, err
	}
	return h, nil
}

func (r *Reader) next() (*Header, error) {
	var sp special
	for pending := false; ; {
		if err := r.skip(); err != nil {
			return nil, err
		}
		end, err := r.readHeaderBlock()
		if err != nil {
			return nil, err
		}
		if end && pending {
			return nil, truncated("after a header that belongs to another")
		}
		if end {
			return nil, io.EOF
		}
		switch r.block[156] {
		case 'x', 'g', 'L', 'K':
			pending = pending || r.block[156] != 'g'
			if err := r.readSpecial(&sp); err != nil {
				return nil, err
			}
			continue
		}
		return r.entry(&sp)
	}
}

// readSpecial reads what is about the next entry, or about all (type g).
func (r *Reader) readSpecial(sp *special) error {
	kind := r.block[156]
	size, err := number(r.block[124:136])
	if err != nil || size < 0 || size > maxSpecial {
		return malformed("a header of type %q has no size, or one of more than %d bytes", kind, maxSpecial)
	}
	r.setData(size)
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return asTruncated(err, "in a header")
	}
	switch kind {
	case 'L':
		sp.longName = cString(body)
	case 'K':
		sp.longLink = cString(body)
	case 'x':
		sp.pax, err = parsePAX(body)
	case 'g':
		err = checkGlobal(body)
	}
	return err
}

func asTruncated(err error, where string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return truncated(where)
	}
	return err
}

// setData says that size bytes of data follow.
func (r *Reader) setData(size int64) {
	r.remaining = size
	r.padding = -size & (blockSize - 1)
}

// skip goes to the end of the entry.
func (r *Reader) skip() error {
	n := r.remaining + r.padding
	if n == 0 {
		return nil
	}
	r.remaining, r.padding = 0, 0
	if r.seekable != nil {
		if n > r.seekable.Size()-r.pos {
			return truncated("in the data of an entry")
		}
		r.pos += n
		_, err := r.seekable.Seek(n, io.SeekCurrent)
		return err
	}
	done, err := io.CopyN(io.Discard, r.r, n)
	r.pos += done
	return asTruncated(err, "in the data of an entry")
}

// readHeaderBlock reads a header, and holds it against its checksum. end: there
// is none, and the rest of the archive is zeros.
func (r *Reader) readHeaderBlock() (end bool, err error) {
	n, err := io.ReadFull(r.r, r.block[:])
	r.pos += int64(n)
	if n == 0 && errors.Is(err, io.EOF) {
		return true, nil // without the two blocks of zeros: some write none
	}
	if err != nil {
		return false, asTruncated(err, "in a header")
	}
	if isZero(r.block[:]) {
		return true, r.onlyZeros()
	}
	want, err := octal(r.block[148:156])
	if err != nil || !r.checksumIs(want) {
		return false, malformed("a header has the wrong checksum")
	}
	return false, nil
}

// checksumIs allows for sums of signed bytes, which some old programs made.
func (r *Reader) checksumIs(want int64) bool {
	var unsigned, signed int64
	for i, c := range r.block {
		if i >= 148 && i < 156 {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return want == unsigned || want == signed
}

// onlyZeros refuses what is hidden after the end of an archive.
func (r *Reader) onlyZeros() error {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.r.Read(buf)
		r.pos += int64(n)
		if !isZero(buf[:n]) {
			return malformed("something comes after its end")
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// cString is b up to its first zero.
func cString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}
