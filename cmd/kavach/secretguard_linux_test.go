package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/policy"
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
// what was is not inherited any further, by whatever number.
func TestGuard(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("of no interest"), 0o600); err != nil {
		t.Fatal(err)
	}
	own, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	inherited, beside := inheritable(t, file, os.O_RDONLY), inheritable(t, file, os.O_RDONLY)
	written := inheritable(t, file, os.O_WRONLY)
	from := func(source string) []policy.Credential {
		return []policy.Credential{{Name: "E", Source: "env:E"}, {Name: "T", Source: source}}
	}
	var g secretGuard
	if err := g.guard(from("cmd:ask")); err != nil || closedOnExec(t, beside) {
		t.Errorf("%v; what no secret comes from stays as it is, or this test shows nothing", err)
	}
	var cores unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &cores); err != nil || cores.Cur > 1 || cores.Max > 1 {
		t.Errorf("%v; cores are limited to %+v, and what is started could raise that", err, cores)
	}
	tests := []struct{ source, problem, why string }{
		{"fd:" + fdText(own), "was not inherited", "kavach's own"},
		{"fd:500000", "is not open", "nothing"},
		{"fd:" + fdText(written), "is not open for reading", "nothing can be read there"},
		{"fd:" + fdText(inherited), "", "inherited"},
		{"fd:" + fdText(beside), "", "and another one, as a sandbox could not be made with the first"},
		{"stdin", "", "stdin, which may be open by another number too"},
	}
	for _, tt := range tests {
		err := g.guard(from(tt.source))
		if (err == nil) != (tt.problem == "") || err != nil && !strings.Contains(err.Error(), tt.problem) {
			t.Errorf("%s: %v", tt.why, err)
		}
	}
	if !closedOnExec(t, inherited) || !closedOnExec(t, beside) {
		t.Error("what is started would inherit it")
	}
	other, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := unix.Dup3(int(other.Fd()), int(inherited.Fd()), unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := g.guard(from("fd:" + fdText(inherited))); err == nil {
		t.Error("a file of kavach's own was taken for the one that was inherited")
	}
	again := inheritable(t, file, os.O_RDONLY)
	if err := new(secretGuard).guard(from("stdin")); err != nil || !closedOnExec(t, again) {
		t.Errorf("%v; what stdin may be a copy of would be inherited", err)
	}
}
