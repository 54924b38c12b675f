package takeout

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

var wide = Limits{FileBytes: 1 << 20, TotalBytes: 1 << 22, Entries: 100, Depth: 8}

// got is what a reader makes of a stream.
type got struct {
	entries []Entry
	content map[string]string
	changed map[string]string
}

func readAll(b []byte, l Limits) (g got, err error) {
	g.content, g.changed = make(map[string]string), make(map[string]string)
	r := NewReader(bytes.NewReader(b), l)
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return g, nil
		}
		if err != nil {
			return g, err
		}
		g.entries = append(g.entries, *e)
		if e.Kind == File {
			content, err := io.ReadAll(r)
			if err != nil {
				return g, err
			}
			g.content[e.Name], g.changed[e.Name] = string(content), r.Changed()
		}
	}
}

// stream writes what a sender would.
func stream(write func(w *writer)) []byte {
	var b bytes.Buffer
	w := newWriter(&b)
	write(w)
	w.err = errors.Join(w.err, w.w.Flush())
	return b.Bytes()
}

func file(w *writer, name, content string) {
	w.entry(Entry{Kind: File, Name: name, Mode: 0o644})
	if content != "" {
		w.chunk([]byte(content))
	}
	w.whole("")
}

func dir(w *writer, name string) { w.entry(Entry{Kind: Dir, Name: name, Mode: 0o755}) }

func TestReader(t *testing.T) {
	b := stream(func(w *writer) {
		dir(w, "")
		file(w, "a", "text")
		dir(w, "b")
		file(w, "b/c", "")
		w.entry(Entry{Kind: Refused, Name: "b/d", Reason: "why"})
		_ = w.end("")
	})
	g, err := readAll(b, wide)
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{{Dir, "", 0o755, ""}, {File, "a", 0o644, ""}, {Dir, "b", 0o755, ""}, {File, "b/c", 0o644, ""}, {Refused, "b/d", 0, "why"}}
	if !slices.Equal(g.entries, want) || g.content["a"] != "text" || g.content["b/c"] != "" {
		t.Errorf("%+v", g)
	}
	for n := range b { // wherever it is cut off, it is none
		if _, err := readAll(b[:n], wide); !errors.Is(err, ErrFormat) {
			t.Fatalf("cut off after %d of %d bytes: %v", n, len(b), err)
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	const long = 5000
	tests := []struct {
		name  string
		write func(w *writer)
		why   string
	}{
		{"nothing", func(w *writer) { _ = w.end("") }, "there is no file that it would be"},
		{"parent", func(w *writer) { dir(w, ""); file(w, "../x", "") }, "it leads out"},
		{"parent inside", func(w *writer) { dir(w, ""); file(w, "a/../../x", "") }, "it leads out"},
		{"only parent", func(w *writer) { dir(w, ""); dir(w, "..") }, "it leads out"},
		{"absolute", func(w *writer) { dir(w, ""); file(w, "/etc/x", "") }, "it leads elsewhere"},
		{"dot", func(w *writer) { dir(w, ""); file(w, "./x", "") }, "two names for one file"},
		{"empty part", func(w *writer) { dir(w, ""); file(w, "a//x", "") }, "two names for one file"},
		{"slash at the end", func(w *writer) { dir(w, ""); dir(w, "a/") }, "two names for one file"},
		{"NUL", func(w *writer) { dir(w, ""); file(w, "a\x00b", "") }, "the kernel would see another name"},
		{"long part", func(w *writer) { dir(w, ""); file(w, strings.Repeat("a", 256), "") }, "no file has such a name"},
		{"long name", func(w *writer) { dir(w, ""); file(w, strings.Repeat("a", long), "") }, "no file has such a name"},
		{"deep", func(w *writer) { dir(w, ""); file(w, "1/2/3/4/5/6/7/8/9", "") }, "it is deeper than was allowed"},
		{"first is below", func(w *writer) { file(w, "a", "") }, "it is not what was asked for"},
		{"two roots", func(w *writer) { dir(w, ""); dir(w, "") }, "one was asked for"},
		{"below a file", func(w *writer) { file(w, "", "x"); file(w, "a", "") }, "a file has nothing below it"},
		{"setuid", func(w *writer) {
			w.bytes([]byte{byte(File)})
			w.text("")
			w.number(0o4755)
		}, "no permission is asked for"},
		{"kind", func(w *writer) { w.entry(Entry{Kind: 'l', Name: ""}) }, "links are not carried"},
		{"long chunk", func(w *writer) {
			w.entry(Entry{Kind: File})
			w.number(maxChunk + 1)
		}, "what is read at once is bounded"},
		{"long reason", func(w *writer) {
			w.bytes([]byte{byte(Refused)})
			w.text("")
			w.text(strings.Repeat("x", maxReason+1))
		}, "what is kept is bounded"},
		{"reason that is no text", func(w *writer) {
			w.bytes([]byte{byte(Refused)})
			w.text("")
			w.text("\xff")
		}, "it is shown to people"},
		{"large file", func(w *writer) {
			w.entry(Entry{Kind: File})
			for range 5 {
				w.chunk(make([]byte, maxChunk))
			}
			w.whole("")
			_ = w.end("")
		}, "a file is bounded"},
		{"large files", func(w *writer) {
			dir(w, "")
			for i := range 9 {
				w.entry(Entry{Kind: File, Name: string(rune('a' + i))})
				w.chunk(make([]byte, maxChunk))
				w.chunk(make([]byte, maxChunk))
				w.whole("")
			}
			_ = w.end("")
		}, "all of them are bounded"},
		{"many", func(w *writer) {
			dir(w, "")
			for range 101 {
				w.entry(Entry{Kind: Refused, Name: "x"})
			}
			_ = w.end("")
		}, "entries are bounded"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if g, err := readAll(stream(test.write), wide); !errors.Is(err, ErrFormat) {
				t.Errorf("%v, want it refused, as %s: %+v", err, test.why, g.entries)
			}
		})
	}
}

// TestReaderTexts: names and reasons are kept to the end, so all of them are bounded.
func TestReaderTexts(t *testing.T) {
	const each = maxReason + 1
	names := func(n int) []byte {
		return stream(func(w *writer) {
			dir(w, "")
			for range n {
				w.entry(Entry{Kind: Refused, Name: "a", Reason: strings.Repeat("x", maxReason)})
			}
			_ = w.end("")
		})
	}
	many := wide
	many.Entries = maxTexts
	if _, err := readAll(names(maxTexts/each), many); err != nil {
		t.Errorf("as many as there may be: %v", err)
	}
	if _, err := readAll(names(maxTexts/each+1), many); !errors.Is(err, ErrFormat) {
		t.Errorf("more: %v", err)
	}
}

func TestReaderStopped(t *testing.T) {
	_, err := readAll(stream(func(w *writer) { dir(w, ""); _ = w.end("too much") }), wide)
	var stopped *StoppedError
	if !errors.As(err, &stopped) || stopped.Reason != "too much" {
		t.Error(err)
	}
}

// FuzzReader: whatever comes, it ends, and what is let through keeps the bounds.
func FuzzReader(f *testing.F) {
	f.Add(stream(func(w *writer) { dir(w, ""); file(w, "a", "text"); dir(w, "b"); file(w, "b/c", ""); _ = w.end("") }))
	f.Add(stream(func(w *writer) { file(w, "", "x"); _ = w.end("why") }))
	f.Add(stream(func(w *writer) { dir(w, ""); w.entry(Entry{Kind: Refused, Name: "a", Reason: "r"}); _ = w.end("") }))
	limits := Limits{FileBytes: 100, TotalBytes: 200, Entries: 5, Depth: 3}
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := readAll(b, limits)
		var stopped *StoppedError
		if err != nil && !errors.Is(err, ErrFormat) && !errors.As(err, &stopped) {
			t.Fatalf("an error of no kind: %v", err)
		}
		total := 0
		for name, content := range g.content {
			if total += len(content); len(content) > 100 {
				t.Fatalf("%q has %d bytes", name, len(content))
			}
		}
		if len(g.entries) > 5 || total > 200 {
			t.Fatalf("%d entries, %d bytes", len(g.entries), total)
		}
		for i, e := range g.entries {
			bad := strings.HasPrefix(e.Name, "/") || slices.Contains(strings.Split(e.Name, "/"), "..") || strings.ContainsRune(e.Name, 0)
			if bad || (e.Name == "") != (i == 0) || e.Mode&^0o777 != 0 || strings.Count(e.Name, "/") > 2 {
				t.Fatalf("entry %d: %+v", i, e)
			}
		}
	})
}
