package gate

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/internal/tarfile"
)

func tarOf(t testing.TB, list ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range list {
		if h.Typeflag == 0 {
			h.Typeflag, h.Size = tar.TypeReg, 5
		}
		h.ModTime = time.Unix(1e9, 0)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			_, _ = io.WriteString(w, "hello")
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type zipped struct {
	name, content string
	mode          uint32 // of Unix, with its kind; 0: none is said
	stored        bool
}

func zipOf(t testing.TB, list ...zipped) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, z := range list {
		h := &zip.FileHeader{Name: z.name, Method: zip.Deflate}
		if z.mode != 0 {
			h.CreatorVersion, h.ExternalAttrs = 3<<8, z.mode<<16
		}
		var f io.Writer
		var err error
		if z.stored {
			h.Method = zip.Store
			h.UncompressedSize64, h.CompressedSize64 = uint64(len(z.content)), uint64(len(z.content))
			f, err = w.CreateRaw(h)
		} else {
			f, err = w.CreateHeader(h)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(f, z.content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func contentCases(t testing.TB) []contentCase {
	link := func(name, to string) tar.Header {
		return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink}
	}
	file := func(name string) tar.Header { return tar.Header{Name: name} }
	long := strings.Repeat("long/", 40)
	honest := zipOf(t, zipped{name: "a/b", content: "hello"}, zipped{name: "c", content: strings.Repeat("hello", 50)})
	stored := zipOf(t, zipped{name: "a", content: "hello", stored: true})
	renamed := bytes.Replace(bytes.Clone(stored), []byte("a"), []byte("b"), 1)
	encrypted := bytes.Clone(stored)
	encrypted[6] |= 1
	broken := tarOf(t, file("a"), file("b"))
	broken[1024] ^= 1
	nameless := make([]byte, tarBlock)
	copy(nameless[124:], "00000000000")
	nameless[156] = 'x'
	copy(nameless[257:], "ustar\x0000")
	sum := 8 * int(' ')
	for _, c := range nameless {
		sum += int(c)
	}
	copy(nameless[148:], fmt.Sprintf("%06o\x00 ", sum))
	bigger := bytes.Clone(stored)
	at := bytes.LastIndex(bigger, []byte(zipCentral))
	binary.LittleEndian.PutUint32(bigger[at+24:], 1<<31)
	overlap := bytes.Clone(stored)
	binary.LittleEndian.PutUint32(overlap[at+20:], 1<<20)
	hidden := bytes.Clone(stored)
	at = bytes.LastIndex(hidden, []byte(zipCentral))
	binary.LittleEndian.PutUint16(hidden[at+32:], 1<<10) // its comment goes over the end
	pe := append([]byte("MZ"), make([]byte, 0x80)...)
	pe[0x3c] = 0x40
	copy(pe[0x40:], "PE\x00\x00")
	zero := make([]byte, 12)
	gzipBomb := append([]byte("\x1f\x8b\x08\x00"), append(zero, 0, 0, 0, 0x7f)...)
	script := []byte("#!/bin/sh\necho hello\n")

	return []contentCase{
		{"text", []byte("hello\n"), Subject{File: true}, "", "nothing about it"},
		{"empty", nil, Subject{File: true}, "", "nothing in it"},
		{"elf", []byte("\x7fELF\x02\x01\x01"), Subject{File: true, Mode: 0o755}, "executable/low", "a program"},
		{"elf in a stream", []byte("\x7fELF\x02\x01\x01"), Subject{}, "", "no file"},
		{"pe", pe, Subject{File: true}, "executable/low", "a program for Windows"},
		{"mz", []byte("MZ is how some names begin"), Subject{File: true}, "", "text"},
		{"script", script, Subject{File: true, Mode: 0o755}, "executable/info", "a script that may be run"},
		{"script text", script, Subject{File: true, Mode: 0o644}, "", "a script that may not"},
		{"setuid", script, Subject{File: true, Mode: 0o4644}, "setuid/high", "its owner's rights"},
		{"bidi", []byte("if (x\u202e) {"), Subject{File: true}, "text-bidi/low", "Trojan Source"},
		{"quotes", []byte("“quoted” \u200f"), Subject{File: true}, "", "other marks"},

		{"tar", tarOf(t, file("a"), file("d/b"), link("d/c", "b"), link("e", "d/b"), link("f/g", "../d/b"), file(long+"x")), Subject{}, "", "an honest archive"},
		{"tar ..", tarOf(t, file("../a")), Subject{}, "archive-traversal/high", "a name that leads up"},
		{"tar / in a file", tarOf(t, file("/etc/a")), Subject{File: true}, "archive-traversal/high", "a name from the root"},
		{"tar long ..", tarOf(t, file("ok"), file(long+"../../x")), Subject{}, "archive-traversal/high", "in a record before it"},
		{"tar \\", tarOf(t, file("a\\..\\..\\b")), Subject{}, "archive-traversal/high", "on Windows"},
		{"tar no name", append(bytes.Clone(nameless), tarOf(t, file("../a"))...), Subject{}, "archive-traversal/high", "a header without a name before it"},
		{"tar drive", tarOf(t, file("C:\\b")), Subject{}, "archive-traversal/high", "on Windows"},
		{"tar link", tarOf(t, link("a/b", "../../x")), Subject{}, "archive-traversal/high", "a link that leads up"},
		{"tar link /", tarOf(t, link("a/b", "/usr/bin/python3")), Subject{}, "archive-traversal/medium", "as in archives of systems"},
		{"tar through", tarOf(t, link("a", "b"), file("a/c")), Subject{}, "archive-traversal/high", "a member below a link"},
		{"tar over", tarOf(t, link("a", "b"), file("./a")), Subject{}, "archive-traversal/high", "a member in the place of a link"},
		{"tar chain", tarOf(t, link("p/q/up", "../.."), link("p/q/t", "up/../x")), Subject{}, "archive-traversal/high", "a link by way of another"},
		{"tar hard link", tarOf(t, tar.Header{Name: "a", Linkname: "../x", Typeflag: tar.TypeLink}), Subject{}, "archive-traversal/high", "a hard link to something outside"},
		{"tar honest hard link", tarOf(t, file("b"), tar.Header{Name: "a", Linkname: "b", Typeflag: tar.TypeLink}), Subject{}, "", "a hard link to a member"},
		{"tar device", tarOf(t, tar.Header{Name: "a", Typeflag: tar.TypeBlock, Devmajor: 8}), Subject{}, "archive-device/medium", "a disk"},
		{"tar sum", broken, Subject{}, "archive-mismatch/medium", "a header with a wrong sum"},

		{"zip", honest, Subject{}, "", "an honest archive"},
		{"zip in a file", honest, Subject{File: true}, "", "an honest archive"},
		{"zip stored", stored, Subject{}, "", "an honest archive"},
		{"zip ..", zipOf(t, zipped{name: "../a", content: "hello"}), Subject{}, "archive-traversal/high archive-traversal/high", "a name that leads up, in both places"},
		{"zip renamed", renamed, Subject{}, "archive-mismatch/medium", "the directory says another name"},
		{"zip cut off", honest[:len(honest)-30], Subject{}, "archive-mismatch/medium", "no directory"},
		{"zip link", zipOf(t, zipped{"a", "../../x", 0o120777, true}), Subject{}, "archive-traversal/high", "a link that leads up"},
		{"zip honest link", zipOf(t, zipped{"d/a", "../x", 0o120777, true}), Subject{}, "", "a link to a member"},
		{"zip text like a link", zipOf(t, zipped{"a", "../../x", 0o100644, true}), Subject{}, "", "it is a file"},
		{"zip through", zipOf(t, zipped{"a", "x", 0o120777, true}, zipped{name: "a/b", content: "hello"}), Subject{}, "archive-traversal/high", "a member below a link"},
		{"zip encrypted", encrypted, Subject{}, "archive-encrypted/info", "nobody looks into it"},
		{"zip bomb", bigger, Subject{}, "archive-bomb/medium", "two gigabytes of five bytes"},
		{"zip overlap", overlap, Subject{}, "archive-bomb/medium", "more bytes than are there"},
		{"zip hidden", append([]byte("#!/bin/sh\n"), zipOf(t, zipped{name: "../a", content: "x"})...), Subject{File: true}, "archive-polyglot/info archive-traversal/high", "behind a script"},
		{"zip hidden twice", append([]byte("#!/bin/sh\n"), hidden...), Subject{File: true}, "archive-mismatch/medium", "behind a script, the directory after a false entry"},
		{"html", []byte("<script>END=\"PK\x05\x06\" and more of it</script>"), Subject{File: true}, "", "the letters of an end"},
		{"zip within", append(bytes.Clone(honest), make([]byte, 70<<10)...), Subject{File: true}, "archive-mismatch/medium", "its end is not at the end"},
		{"zip of a zip", zipOf(t, zipped{"in.zip", string(zipOf(t, zipped{name: "../a", content: "x"})), 0, true}), Subject{}, "", "what is in it is looked at when it is unpacked"},
		{"7z", []byte("7z\xbc\xaf\x27\x1c\x00\x04" + strings.Repeat("x", 600)), Subject{}, "archive-opaque/info", "nobody looks into it"},
		{"gzip bomb", gzipBomb, Subject{}, "archive-bomb/medium", "two gigabytes of twenty bytes"},
		{"gzip", gzipBomb[:16], Subject{}, "", "ordinary"},
	}
}

type contentCase struct {
	name    string
	data    []byte
	subject Subject
	want    string
	why     string
}

func TestContent(t *testing.T) {
	listed := map[string]bool{}
	for _, r := range Content().Rules() {
		listed[r.ID] = true
	}
	for _, c := range contentCases(t) {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			for _, m := range splitEverywhere(t, Content(), c.subject, c.data) {
				got += " " + m.Rule + "/" + m.Severity.String()
				if !listed[m.Rule] {
					t.Errorf("%s is reported, and not listed", m.Rule)
				}
			}
			if got = strings.TrimPrefix(got, " "); got != c.want {
				t.Errorf("found %q, want %q: %s", got, c.want, c.why)
			}
		})
	}
}

// TestContentLeavesText: nothing of an ordinary stream waits after its first line.
func TestContentLeavesText(t *testing.T) {
	for _, text := range []string{"hello\n", "{\"jsonrpc\":\"2.0\"}\n", "\x1b[1mhi"} {
		hold := Content().New(Subject{}).Next(Window{Data: []byte(text)}, func(Match) {})
		if int(hold.Soft) != len(text) {
			t.Errorf("of %q is held what comes after %d", text, hold.Soft)
		}
	}
}

func FuzzContent(f *testing.F) {
	for _, c := range contentCases(f) {
		if len(c.data) < 8000 {
			f.Add(c.data, c.subject.File)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, file bool) {
		if len(data) < 8000 {
			splitEverywhere(t, Content(), Subject{File: file}, data)
		}
	})
}

// FuzzContentTar holds what is found against what internal/tarfile reads, which is
// what image layers are unpacked by: no member that it sees is missed.
func FuzzContentTar(f *testing.F) {
	for _, c := range contentCases(f) {
		if strings.HasPrefix(c.name, "tar") {
			f.Add(c.data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < tarBlock {
			return
		}
		worst := ""
		r := tarfile.NewReader(bytes.NewReader(data))
		for {
			h, err := r.Next()
			if err != nil {
				break
			}
			if pathLeaves(h.Name) || h.Type == tarfile.Hard && pathLeaves(h.Linkname) {
				worst = "archive-traversal"
			}
		}
		for _, m := range driveSearch(t, Content(), Subject{}, data, nil) {
			if m.Rule == worst || m.Rule == "archive-mismatch" {
				return
			}
		}
		if worst != "" {
			t.Fatalf("no %s was found", worst)
		}
	})
}

func BenchmarkContent(b *testing.B) {
	texts := benchTexts()
	r := rand.New(rand.NewPCG(1, 2))
	var members []tar.Header
	for range 5000 {
		members = append(members, tar.Header{Name: strings.Repeat("d/", 1+r.IntN(9)) + "file"})
	}
	texts["tar"] = tarOf(b, members...)
	for name, text := range texts {
		b.Run(name, func(b *testing.B) { benchSearch(b, Content(), Subject{File: true}, text) })
	}
}
