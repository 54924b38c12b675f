package takeout

import (
	"bufio"
	"errors"
	"io"
	"unicode/utf8"
)

// Reader takes a stream from its beginning to its end. All of it is hostile. Between
// two calls of Next it is an io.Reader of the file that Next has returned.
type Reader struct {
	r      *bufio.Reader
	limits Limits
	texts  int // bytes of names and reasons
	count  int // entries
	total  int64
	first  bool // nothing was read yet
	file   bool // what was asked for is one file, so that there is nothing below it

	// Of the file that is being read.
	open    bool
	size    int64
	left    int // of the chunk
	changed string

	err error // for good
}

// NewReader reads a stream that is bounded by these limits.
func NewReader(r io.Reader, l Limits) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, maxChunk), limits: l, first: true}
}

// StoppedError says why nothing more was sent: it is the word of who is inside.
type StoppedError struct{ Reason string }

func (e *StoppedError) Error() string { return e.Reason }

// Next goes to the next entry. io.EOF: that was all, and the sender says that it
// went well. A *StoppedError: the sender says why it did not.
func (r *Reader) Next() (*Entry, error) {
	if r.err != nil {
		return nil, r.err
	}
	e, err := r.next()
	if err != nil {
		r.err = whole(err)
		return nil, r.err
	}
	return e, nil
}

// whole makes of an end in the middle what it is.
func whole(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("it ends in the middle")
	}
	return err
}

func (r *Reader) next() (*Entry, error) {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, err
	}
	kind, err := r.byte()
	if err != nil {
		return nil, err
	}
	if Kind(kind) == end {
		return nil, r.end()
	}
	e := &Entry{Kind: Kind(kind)}
	if e.Name, err = r.text(maxName); err != nil {
		return nil, err
	}
	if err := r.admit(e); err != nil {
		return nil, err
	}
	switch e.Kind {
	case Dir, File:
		e.Mode, err = r.number()
		if err == nil && e.Mode&^permissions != 0 {
			err = malformed("a mode with more than permissions")
		}
		r.open, r.size, r.left, r.changed = e.Kind == File, 0, 0, ""
	case Refused:
		e.Reason, err = r.reason()
	}
	return e, err
}

// admit holds an entry against the limits, and against those before it.
func (r *Reader) admit(e *Entry) error {
	if e.Kind != Dir && e.Kind != File && e.Kind != Refused {
		return malformed("an entry of kind %#x", byte(e.Kind))
	}
	if err := checkName(e.Name, r.limits.Depth); err != nil {
		return err
	}
	if r.count++; r.count > r.limits.Entries {
		return malformed("more than %d entries", r.limits.Entries)
	}
	if r.first != (e.Name == "") || r.file {
		return malformed("it is not one file, or one directory and what is below it")
	}
	r.first, r.file = false, e.Kind != Dir && e.Name == ""
	return nil
}

// end reads whether it went well. What follows is not looked at: who has stolen the
// other end of the pipe could keep it open for ever.
func (r *Reader) end() error {
	why, err := r.reason()
	if err != nil {
		return err
	}
	switch {
	case why != "":
		return &StoppedError{why}
	case r.first:
		return malformed("it is empty")
	}
	return io.EOF
}

// Read reads the content of the file. At its end, Changed says whether it is whole.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = whole(err)
		return n, r.err
	}
	return n, err
}

func (r *Reader) read(p []byte) (int, error) {
	if !r.open {
		return 0, io.EOF
	}
	if r.left == 0 {
		if err := r.chunk(); err != nil {
			return 0, err
		}
		if !r.open {
			return 0, io.EOF
		}
	}
	n, err := r.r.Read(p[:min(len(p), r.left)])
	r.left -= n
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// chunk reads how long the next part of the content is. After the last, it reads
// whether the content is whole.
func (r *Reader) chunk() error {
	n, err := r.number()
	if err != nil {
		return err
	}
	if n == 0 {
		r.open = false
		r.changed, err = r.reason()
		return err
	}
	r.size += int64(n)
	r.total += int64(n)
	switch {
	case n > maxChunk:
		return malformed("a chunk of %d bytes", n)
	case r.size > r.limits.FileBytes:
		return malformed("a file of more than %d bytes", r.limits.FileBytes)
	case r.total > r.limits.TotalBytes:
		return malformed("files of more than %d bytes", r.limits.TotalBytes)
	}
	r.left = int(n)
	return nil
}

// Changed is why what Read has read is not the file: it was changed meanwhile, or
// could not be read to its end. Empty: it is.
func (r *Reader) Changed() string { return r.changed }

func (r *Reader) byte() (byte, error) {
	b, err := r.r.ReadByte()
	return b, asUnexpected(err)
}

func (r *Reader) number() (uint32, error) {
	var b [4]byte
	_, err := io.ReadFull(r.r, b[:])
	return order.Uint32(b[:]), asUnexpected(err)
}

func (r *Reader) text(most int) (string, error) {
	n, err := r.number()
	if err != nil {
		return "", err
	}
	if n > uint32(most) {
		return "", malformed("a text of %d bytes", n)
	}
	if r.texts += int(n); r.texts > maxTexts {
		return "", malformed("names of more than %d bytes", maxTexts)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r.r, b)
	return string(b), asUnexpected(err)
}

// reason reads words that are shown to people, who may be on a terminal.
func (r *Reader) reason() (string, error) {
	s, err := r.text(maxReason)
	if err == nil && !utf8.ValidString(s) {
		err = malformed("a reason that is no text")
	}
	return s, err
}

// asUnexpected: wherever a stream ends but after its end, it is cut off.
func asUnexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
