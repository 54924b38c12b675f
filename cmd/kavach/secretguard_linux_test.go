package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func fdText(f *os.File) string { return strconv.Itoa(int(f.Fd())) }

// inheritable opens a file as a shell does it for what it starts.
func inheritable(t *testing.T, path string, mode int) *os.File {
	t.Helper()
	fd, err := unix.Open(path, mode, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), path)
	t.Cleanup(func() { f.Close() })
	return f
}

func closedOnExec(t *testing.T, f *os.File) bool {
	t.Helper()
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
	if err != nil {
		t.Fatal(err)
	}
	return flags&unix.FD_CLOEXEC != 0
}

// A descriptor has to be inherited: what a Go program opens itself is told apart, and
// what was is not inherited any further.
func TestClaim(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("of no interest"), 0o600); err != nil {
		t.Fatal(err)
	}
	own, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	inherited := inheritable(t, file, os.O_RDONLY)
	written := inheritable(t, file, os.O_WRONLY)
	tests := []struct {
		number, problem, why string
	}{
		{fdText(own), "was not inherited", "kavach's own"},
		{"500000", "is not open", "nothing"},
		{fdText(written), "is open for writing only", "nothing can be read there"},
		{fdText(inherited), "", "inherited"},
		{fdText(inherited), "", "and asked for again, when a sandbox could not be made"},
	}
	var g secretGuard
	for _, tt := range tests {
		err := g.claim("T", tt.number)
		if (err == nil) != (tt.problem == "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
			t.Errorf("%s: %v", tt.why, err)
		}
	}
	if !closedOnExec(t, inherited) || closedOnExec(t, written) {
		t.Error("what is claimed is not close-on-exec, or what was refused is: this test shows nothing")
	}
	other, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := unix.Dup3(int(other.Fd()), int(inherited.Fd()), unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := g.claim("T", fdText(inherited)); err == nil {
		t.Error("a file of kavach's own was taken for the one that was inherited")
	}
}
