package tarfile

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/internal/imagetest"
)

// formats are GNU tar's ways to write an archive.
var formats = [][]string{
	{"--format=v7"}, {"--format=ustar"}, {"--format=gnu"}, {"--format=posix"},
	{"--format=gnu", "--sparse"}, {"--format=posix", "--sparse", "--sparse-version=0.0"},
	{"--format=posix", "--sparse", "--sparse-version=0.1"}, {"--format=posix", "--sparse", "--sparse-version=1.0"},
}

// packed makes a tree of all that tar knows, and an archive of it in each format.
func packed(t testing.TB) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	long := strings.Repeat("long/", 30) + strings.Repeat("n", 120)
	for name, body := range map[string]string{
		"file": "some data", "empty": "", "sub/dir/deep": strings.Repeat("x", 5000), "new\nline": "n", "\xff\xfe": "not UTF-8",
		"sub/" + strings.Repeat("m", 90): "a name of 94 bytes", long: "one of 270",
	} {
		must(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(body), 0o640))
	}
	must(t, os.Symlink(strings.Repeat("../", 40)+"etc/passwd", filepath.Join(dir, "link")))
	must(t, os.Link(filepath.Join(dir, "file"), filepath.Join(dir, "hard")))
	must(t, os.Chtimes(filepath.Join(dir, "file"), time.Now(), time.Unix(1600000000, 123456789)))
	must(t, os.Chtimes(filepath.Join(dir, "empty"), time.Now(), time.Unix(-5, 250000000)))
	holes, err := os.Create(filepath.Join(dir, "holes"))
	must(t, err)
	for i := range int64(30) {
		_, err = holes.WriteAt(bytes.Repeat([]byte{'h'}, 4096), i*65536)
		must(t, err)
	}
	must(t, holes.Truncate(3<<20))
	must(t, holes.Close())
	must(t, os.WriteFile(filepath.Join(dir, "hole"), nil, 0o600))
	must(t, os.Truncate(filepath.Join(dir, "hole"), 1<<20))

	archives := make(map[string][]byte)
	for _, f := range formats {
		args := append([]string{"-C", dir, "--sort=name", "-c"}, f...)
		if f[0] == "--format=v7" || f[0] == "--format=ustar" {
			args = append(args, "--exclude=long", "--exclude=link", "--exclude=empty") // they cannot
		}
		args = append(args, ".")
		cmd := exec.CommandContext(t.Context(), "tar", args...)
		cmd.Stderr = os.Stderr
		archives[strings.Join(f, " ")], err = cmd.Output()
		must(t, err)
	}
	return archives
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// listOurs and listTheirs describe an archive in the same words. What is not
// there for both is left out.
func listOurs(r *Reader) (list []string, err error) {
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		content := sha256.New()
		at := int64(0)
		data := h.Data
		if data == nil {
			data = []Extent{{0, h.Size}}
		}
		for _, e := range append(data, Extent{h.Size, 0}) {
			if e.Offset > maxCompared {
				break
			}
			fmt.Fprint(content, strings.Repeat("\x00", int(e.Offset-at)))
			if _, err := io.CopyN(content, r, e.Length); err != nil {
				return list, err
			}
			at = e.Offset + e.Length
		}
		sec := time.Unix(h.Sec, h.Nsec).UTC()
		list = append(list, line(byte(h.Type), h.Name, h.Linkname, h.Mode, h.UID, h.GID, h.Size, sec, h.Major, h.Minor, h.Xattrs, content.Sum(nil)))
	}
}

// maxCompared bounds the holes that are compared.
const maxCompared = 16 << 20

func line(kind byte, name, link string, mode, uid, gid, size int64, at time.Time, major, minor int64, xattrs map[string]string, sum []byte) string {
	if kind != tar.TypeSymlink && kind != tar.TypeLink {
		link = ""
	}
	if kind != tar.TypeChar && kind != tar.TypeBlock {
		major, minor = 0, 0
	}
	if size > maxCompared {
		sum = nil
	}
	if len(xattrs) == 0 {
		xattrs = nil
	}
	return fmt.Sprintf("%c %q %q %o %d:%d %d %v %d.%d %q %x", kind, name, link, mode, uid, gid, size, at, major, minor, xattrs, sum)
}

func listTheirs(b []byte) (list []string, err error) {
	r := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		xattrs := make(map[string]string)
		for k, v := range h.PAXRecords {
			if name, ok := strings.CutPrefix(k, paxXattr); ok {
				xattrs[name] = v
			}
		}
		kind := h.Typeflag
		switch kind {
		case tar.TypeXGlobalHeader:
			continue
		case tar.TypeGNUSparse, tar.TypeCont:
			kind = tar.TypeReg
		}
		content := sha256.New()
		if h.Size <= maxCompared {
			if _, err := io.Copy(content, r); err != nil {
				return list, err
			}
		}
		size := h.Size
		if kind != tar.TypeReg {
			size = 0
		}
		list = append(list, line(kind, h.Name, h.Linkname, h.Mode, int64(h.Uid), int64(h.Gid), size, h.ModTime.UTC(), h.Devmajor, h.Devminor, xattrs, content.Sum(nil)))
	}
}

// TestAgreesWithTheStandardLibrary reads what GNU tar wrote.
func TestAgreesWithTheStandardLibrary(t *testing.T) {
	for format, b := range packed(t) {
		ours, err := listOurs(NewReader(bytes.NewReader(b)))
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		theirs, err := listTheirs(b)
		must(t, err)
		compare(t, format, ours, theirs)
		if len(ours) < 6 {
			t.Errorf("%s: only %d entries", format, len(ours))
		}
		seeking := NewReaderAt(bytes.NewReader(b), int64(len(b)))
		n := 0
		for ; err == nil; n++ {
			_, err = seeking.Next()
		}
		if !errors.Is(err, io.EOF) || n-1 != len(ours) {
			t.Errorf("%s: by seeking: %d entries and %v, want %d", format, n-1, err, len(ours))
		}
	}
}

func compare(t *testing.T, what string, ours, theirs []string) {
	t.Helper()
	for i := range max(len(ours), len(theirs)) {
		if i >= len(ours) || i >= len(theirs) || ours[i] != theirs[i] {
			t.Errorf("%s: entry %d\nours:   %s\ntheirs: %s", what, i, ours[min(i, len(ours)):], theirs[min(i, len(theirs)):])
			return
		}
	}
}

// TestTruncated cuts an archive at every place in its headers, and at some others:
// what is missing is noticed, but for whole entries at the end.
func TestTruncated(t *testing.T) {
	for format, b := range packed(t) {
		if !strings.Contains(format, "sparse") {
			continue
		}
		for cut := 1; cut < len(b)-10240; cut += 397 {
			if cut%blockSize == 0 {
				continue
			}
			stream := NewReader(bytes.NewReader(b[:cut]))
			for name, r := range map[string]*Reader{"stream": stream, "seeking": NewReaderAt(bytes.NewReader(b[:cut]), int64(cut))} {
				var err error
				for err == nil {
					_, err = r.Next()
				}
				if !errors.Is(err, ErrFormat) {
					t.Fatalf("%s: %s: cut at %d: %v", format, name, cut, err)
				}
			}
		}
	}
}

func TestRefused(t *testing.T) {
	entry := func(h tar.Header, body string) []byte {
		var buf bytes.Buffer
		w := tar.NewWriter(&buf)
		h.Size = int64(len(body))
		must(t, w.WriteHeader(&h))
		_, err := w.Write([]byte(body))
		must(t, err)
		must(t, w.Close())
		return buf.Bytes()
	}
	good := entry(tar.Header{Name: "a", Typeflag: tar.TypeReg, Mode: 0o644}, "data")
	with := func(at int, b byte) []byte {
		c := bytes.Clone(good)
		c[at] = b
		return c
	}
	for _, row := range []struct {
		why     string
		archive []byte
		refused bool
	}{
		{"the twin of all below", good, false},
		{"an archive may be empty", nil, false},
		{"zeros are what it is padded with", append(bytes.Clone(good), make([]byte, 4096)...), false},
		{"garbage after the end is hidden from whoever looks", append(bytes.Clone(good), "garbage"...), true},
		{"a second archive after the first is read by some, and not by others", append(bytes.Clone(good), good...), true},
		{"a wrong checksum", with(0, 'b'), true},
		{"an unknown type", entry(tar.Header{Name: "a", Typeflag: 'Z'}, ""), true},
		{"a global header that changes owners counts for some programs only", entry(tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"uid": "0"}}, ""), true},
		{"a global comment, as of git archive, is harmless", entry(tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "c0ffee"}}, ""), false},
		{"one block of zeros, and then the end, is an end", good[:1024+512], false},
	} {
		_, err := listOurs(NewReader(bytes.NewReader(row.archive)))
		if (err != nil) != row.refused {
			t.Errorf("%s: %v", row.why, err)
		}
		if err != nil && !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v does not match ErrFormat", row.why, err)
		}
	}
}

// withoutTimes takes times out of headers of GNU tar's. Where they are no numbers,
// archive/tar takes them for the beginning of a name, as Go before 1.8 wrote some
// archives wrongly; GNU tar does not, and neither do we.
func withoutTimes(b []byte) []byte {
	b = bytes.Clone(b)
	for at := 0; at+blockSize <= len(b); at += blockSize {
		if h := b[at : at+blockSize]; string(h[257:265]) == magicGNU {
			clear(h[345:369])
		}
	}
	return b
}

// FuzzReader: what both we and the standard library read is the same.
func FuzzReader(f *testing.F) {
	for _, b := range packed(f) {
		f.Add(b[:16<<10])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = imagetest.FixChecksums(withoutTimes(b))
		ours, err := listOurs(NewReader(bytes.NewReader(b)))
		if err != nil {
			return // and so it ended, in order
		}
		theirs, err := listTheirs(b)
		if err != nil {
			return // stricter than we are, which is no disagreement
		}
		compare(t, "fuzz", ours, theirs)
	})
}
