//go:build unix

package policyfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	path := write(t, "policy.yaml", "name: x\n")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		if p, err := Load(name); err != nil || p.Name != "x" {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	bad := write(t, "bad.yaml", "nam: x\n")
	tests := []struct{ path, want, why string }{
		{bad, bad + `:1:1: nam: unknown key; did you mean "name"?`, "errors name the path"},
		{write(t, "big", strings.Repeat("#", 10<<20)), "larger than 1m", "ten times as large as any policy"},
		{"/dev/zero", "not a regular file", "an endless device"},
		{fifo, "not a regular file", "a FIFO that nobody writes to"},
		{t.TempDir(), "not a regular file", "a directory"},
		{filepath.Join(t.TempDir(), "none"), "read policy file: ", "not there"},
	}
	for _, test := range tests {
		if _, err := Load(test.path); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q in it", test.why, err, test.want)
		}
	}
	if _, err := Load("/nonexistent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}
