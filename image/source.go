package image

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/kavach-dev/kavach/internal/tarfile"
)

// source is where the parts of an image are: a directory or an archive.
type source interface {
	// open opens a regular file. It matches os.ErrNotExist where there is none.
	open(name string) (io.ReadCloser, int64, error)
	close() error
}

// dirSource is a directory. Nothing outside of it is read, whatever is a link.
type dirSource struct{ root *os.Root }

func openDir(dir string) (source, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return dirSource{root}, nil
}

func (d dirSource) close() error { return d.root.Close() }

func (d dirSource) open(name string) (io.ReadCloser, int64, error) {
	// Not to wait for a fifo.
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", name)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// tarSource is an archive, of which only the places of its members are in memory.
type tarSource struct {
	file    *os.File
	members map[string]member
}

type member struct {
	offset, size int64
	link         string // of a link: what it leads to; else ""
}

// Bounds of an archive of an image: Docker writes four members a layer.
const (
	maxMembers     = 1 << 16
	maxMemberLinks = 10
)

// indexTar reads the headers of an archive. It closes file where it fails.
func indexTar(file *os.File) (source, error) {
	t := &tarSource{file: file, members: make(map[string]member)}
	if err := t.index(); err != nil {
		file.Close()
		return nil, err
	}
	return t, nil
}

func (t *tarSource) index() error {
	info, err := t.file.Stat()
	if err != nil {
		return err
	}
	r := tarfile.NewReaderAt(t.file, info.Size())
	for range maxMembers {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return invalid("read %s: %w", t.file.Name(), err)
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		m := member{offset: r.Offset(), size: h.Size}
		switch h.Type {
		case tarfile.Regular:
			if h.Data != nil {
				return invalid("%s has the sparse file %.100q, which no image tool writes", t.file.Name(), h.Name)
			}
		case tarfile.Symlink:
			m.link = path.Join("/", path.Dir(name), h.Linkname)
		case tarfile.Hard:
			m.link = path.Clean("/" + h.Linkname)
		default:
			continue
		}
		t.members[name] = m
	}
	return invalid("%s has more than %d members", t.file.Name(), maxMembers)
}

func (t *tarSource) close() error { return t.file.Close() }

func (t *tarSource) open(name string) (io.ReadCloser, int64, error) {
	at := strings.TrimPrefix(path.Clean("/"+name), "/")
	for range maxMemberLinks {
		m, ok := t.members[at]
		if !ok {
			return nil, 0, fmt.Errorf("%s in %s: %w", short(name), t.file.Name(), os.ErrNotExist)
		}
		if m.link == "" {
			return io.NopCloser(io.NewSectionReader(t.file, m.offset, m.size)), m.size, nil
		}
		at = strings.TrimPrefix(m.link, "/")
	}
	return nil, 0, invalid("%s in %s is a link to a link to a link", short(name), t.file.Name())
}

// readSmall reads a JSON document.
func readSmall(s source, name string) ([]byte, error) {
	r, size, err := s.open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if size > maxJSON {
		return nil, invalid("%s has %d bytes, and %d are the most", short(name), size, maxJSON)
	}
	b, err := io.ReadAll(io.LimitReader(r, maxJSON+1))
	if err == nil && len(b) > maxJSON {
		err = invalid("%s has more than %d bytes", short(name), maxJSON)
	}
	return b, err
}

// blobName is where a layout has a blob (OCI image-spec, image-layout.md).
func blobName(d Digest) string { return "blobs/" + d.Algorithm() + "/" + d.Hex() }

// readBlob reads a document, and holds it against its descriptor.
func readBlob(s source, d *descriptor) ([]byte, error) {
	b, err := readSmall(s, blobName(d.Digest))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.Digest, err)
	}
	h := d.Digest.newHash()
	h.Write(b)
	if have := d.Digest.of(h); int64(len(b)) != d.Size || have != d.Digest {
		return nil, mismatch(d, int64(len(b)), have)
	}
	return b, nil
}

// DigestError says that a part of an image is not what was named.
type DigestError struct {
	What               string // such as "blob", or "layer 2, unpacked"
	Want, Have         Digest
	WantSize, HaveSize int64
}

func (e *DigestError) Error() string {
	if e.WantSize != e.HaveSize {
		return fmt.Sprintf("%s %s has %d bytes, and should have %d: it is not whole, or was changed; get it again", e.What, e.Want, e.HaveSize, e.WantSize)
	}
	return fmt.Sprintf("%s should be %s, and is %s: it was changed or damaged; get it again", e.What, e.Want, e.Have)
}

// Unwrap makes it match ErrInvalid.
func (e *DigestError) Unwrap() error { return ErrInvalid }

func mismatch(d *descriptor, size int64, have Digest) error {
	return &DigestError{What: "blob", Want: d.Digest, Have: have, WantSize: d.Size, HaveSize: size}
}

// checkBlob reads a whole blob, and holds it against its descriptor, so that
// nothing of it is looked at before.
func checkBlob(s source, d *descriptor) error {
	r, size, err := s.open(blobName(d.Digest))
	if err != nil {
		return fmt.Errorf("read %s: %w", d.Digest, err)
	}
	defer r.Close()
	if size != d.Size {
		return mismatch(d, size, "")
	}
	h := d.Digest.newHash()
	n, err := io.CopyBuffer(h, io.LimitReader(r, d.Size+1), make([]byte, 256<<10))
	if err != nil {
		return fmt.Errorf("read %s: %w", d.Digest, err)
	}
	if have := d.Digest.of(h); n != d.Size || have != d.Digest {
		return mismatch(d, n, have)
	}
	return nil
}
