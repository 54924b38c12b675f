package image

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"

	"github.com/klauspost/compress/zstd"
)

// The first bytes of what is compressed (RFC 1952, section 2.3.1; RFC 8878,
// section 3.1.1).
var (
	magicGzip = []byte{0x1f, 0x8b}
	magicZstd = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// maxWindow is what zstd --long=27 makes, and the most that its command reads
// unasked.
const maxWindow = 128 << 20

// sniff tells how something is compressed whose descriptor does not say.
func sniff(head []byte) compression {
	switch {
	case bytes.HasPrefix(head, magicGzip):
		return gzipped
	case bytes.HasPrefix(head, magicZstd):
		return zstandard
	}
	return plain
}

// decompress reads all members that r has: after its end, r is at its own.
func decompress(r io.Reader, c compression) (io.ReadCloser, error) {
	switch c {
	case gzipped:
		z, err := gzip.NewReader(bufio.NewReaderSize(r, 256<<10))
		if err != nil {
			return nil, invalid("read it as gzip: %w", err)
		}
		return wrapped{z, "gzip"}, nil
	case zstandard:
		// One goroutine less than with more; what a window may ask for is bounded.
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, invalid("read it as zstd: %w", err)
		}
		return wrapped{z.IOReadCloser(), "zstd"}, nil
	}
	return io.NopCloser(r), nil
}

// wrapped makes errors about compressed bytes match ErrInvalid.
type wrapped struct {
	io.ReadCloser
	kind string
}

func (w wrapped) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = invalid("read it as %s: %w", w.kind, err)
	}
	return n, err
}
