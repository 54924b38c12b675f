package takeout

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func send(t *testing.T, req Request) (got, error) {
	t.Helper()
	var b bytes.Buffer
	if err := Send(&b, req); err != nil {
		t.Fatal(err)
	}
	return readAll(b.Bytes(), req.Limits)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name string, size int) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(name), 0o755))
	must(t, os.WriteFile(name, bytes.Repeat([]byte("x"), size), 0o644))
}

func TestSendTree(t *testing.T) {
	at := t.TempDir()
	write(t, at+"/d/a", 3)
	write(t, at+"/d/e/big", maxChunk+1)
	must(t, os.Chmod(at+"/d/a", 0o4755))
	must(t, os.Link(at+"/d/a", at+"/d/e/hard"))
	must(t, os.Symlink("/etc", at+"/d/link"))
	must(t, unix.Mkfifo(at+"/d/fifo", 0o600))
	g, err := send(t, Request{Path: at + "/d", Limits: wide})
	must(t, err)
	var seen []string
	for _, e := range g.entries {
		seen = append(seen, fmt.Sprintf("%c %s %o %s", e.Kind, e.Name, e.Mode, e.Reason))
	}
	want := `d  755 |f a 755 |d e 755 |f e/big 644 |f e/hard 755 |r fifo 0 it is a fifo|r link 0 it is a link, to "/etc"`
	if strings.Join(seen, "|") != want {
		t.Errorf("%s\nwant %s", strings.Join(seen, "|"), want)
	}
	if g.content["e/hard"] != "xxx" || len(g.content["e/big"]) != maxChunk+1 {
		t.Error("content is missing")
	}
}

// TestSendLimits: each limit has its twin, one more, which gets through.
func TestSendLimits(t *testing.T) {
	at := t.TempDir()
	write(t, at+"/d/1/2/file", 10)
	write(t, at+"/d/other", 10)
	exact := Limits{FileBytes: 10, TotalBytes: 20, Entries: 5, Depth: 3}
	if _, err := send(t, Request{Path: at + "/d", Limits: exact}); err != nil {
		t.Fatalf("as much as there may be: %v", err)
	}
	for name, less := range map[string]func(l *Limits){
		"total": func(l *Limits) { l.TotalBytes-- }, "entries": func(l *Limits) { l.Entries-- }, "depth": func(l *Limits) { l.Depth-- },
	} {
		l := exact
		less(&l)
		var stopped *StoppedError
		if _, err := send(t, Request{Path: at + "/d", Limits: l}); !errors.As(err, &stopped) {
			t.Errorf("%s: %v, want the sender to stop", name, err)
		}
	}
	exact.FileBytes--
	g, err := send(t, Request{Path: at + "/d", Limits: exact})
	if err != nil || len(g.content) != 0 {
		t.Errorf("files that are too large: %v, %+v", err, g.entries)
	}
}

// TestSendBelow: with Below no link on the way leads out, and without it does.
func TestSendBelow(t *testing.T) {
	at := t.TempDir()
	write(t, at+"/outside/file", 1)
	write(t, at+"/root/in/file", 1)
	must(t, os.Symlink("../outside", at+"/root/out"))
	must(t, os.Symlink("in", at+"/root/alias"))
	must(t, unix.Mkfifo(at+"/root/fifo", 0o600))
	for _, test := range []struct {
		path, below string
		through     bool
	}{
		{"/root/out/file", "", true},
		{"/root/out/file", "/root", false},
		{"/root/in/file", "/root", true},
		{"/root/alias/file", "/root", true},
		{"/outside/file", "/root", false},
		{"/root/fifo/file", "/root", false},
		{"/root/in", "/root/in", true},
		{"/root/../outside/file", "/root", false},
	} {
		below := test.below
		if below != "" {
			below = at + below
		}
		g, err := send(t, Request{Path: at + test.path, Below: below, Limits: wide})
		if through := err == nil && len(g.content) == 1; through != test.through {
			t.Errorf("%s below %q: %v, %+v, want through: %v", test.path, test.below, err, g.entries, test.through)
		}
	}
}
