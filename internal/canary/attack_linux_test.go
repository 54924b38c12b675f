package canary_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kavach-dev/kavach/internal/canary"
)

// TestTakenBack: what a command has left behind, with the secret still open, finds
// nothing any more when the command has ended; where it is given for longer, it does.
func TestTakenBack(t *testing.T) {
	const file = "file:/run/secrets/canary"
	nothing, whole := "read 0", "read 40"
	for _, tt := range []struct{ place, as, lifetime, read, file string }{
		{"process", "stdin", "", nothing, ""},
		{"process", "fd:9", "", nothing, ""},
		{"process", file, "", nothing, "No such file"},
		{"process", file, "sandbox", whole, "[redacted:known-secret]"},
		{"bare", "fd:9", "", nothing, ""},
		{"crun", "fd:9", "", nothing, ""},
		{"crun", file, "", nothing, "No such file"},
		{"crun", file, "sandbox", whole, "[redacted:known-secret]"},
		{"gvisor", "fd:9", "", nothing, ""},
		{"gvisor", file, "", nothing, "No such file"},
		{"gvisor", file, "sandbox", whole, "[redacted:known-secret]"},
	} {
		t.Run(strings.Join([]string{tt.place, tt.as, tt.lifetime}, "/"), func(t *testing.T) {
			t.Parallel()
			s := open(t, part{Place: tt.place, As: tt.as, Source: "fd:5", Lifetime: tt.lifetime, Act: "leave"})
			w := s.expect("left")
			if !strings.Contains(w.Text, tt.read+"\n") || !strings.Contains(w.Text, tt.file) {
				t.Errorf("it was to be %q, %q, and is: %s", tt.read, tt.file, w.Text)
			}
			s.goOn()
			s.destroyed()
		})
	}
}

// TestFall: neither what a panic says, nor the core of Kavach while a command has a
// secret, holds it; both hold what is on the heap.
func TestFall(t *testing.T) {
	for _, tt := range []struct {
		traceback string
		abort     bool // from outside; else it panics
		core      bool
	}{
		{"all", false, false},
		{"crash", false, true},
		{"crash", true, true},
	} {
		for _, as := range []string{"env:CANARY", "fd:9", "file:/run/secrets/canary"} {
			name := map[bool]string{true: "abort", false: "panic"}[tt.abort]
			t.Run(tt.traceback+"/"+name+"/"+as, func(t *testing.T) {
				t.Parallel()
				s := open(t, part{Place: "process", As: as, Source: "fd:5", Act: "fall"}, "GOTRACEBACK="+tt.traceback)
				s.expect("held")
				s.fall(tt.abort, tt.core)
			})
		}
	}
}

func (s *stage) fall(abort, core bool) {
	s.Helper()
	player := []canary.Process{s.player()}
	leaks, _ := s.look.memory(player)
	if len(leaks) == 0 || len(outside(leaks)) > 0 {
		s.Errorf("what a core would hold is to be without it, and locked memory not: %v", leaks)
	}
	if abort {
		if err := s.cmd.Process.Signal(syscall.SIGABRT); err != nil {
			s.Fatal(err)
		}
	} else {
		s.goOn()
	}
	var ended *exec.ExitError
	if err := s.cmd.Wait(); !errors.As(err, &ended) {
		s.Fatalf("it was to fall: %v", err)
	}
	text, err := os.ReadFile(s.stderr)
	if err != nil {
		s.Fatal(err)
	}
	s.look.text("what it says", string(text))
	if !bytes.Contains(text, []byte("goroutine ")) || !abort && s.twin.finder.In(text) == nil {
		s.Errorf("that is no trace of it: %.2000s", text)
	}
	if core {
		s.core()
	}
	s.everyFile("fallen")
}

// core looks through the core that the kernel has written. Where it gives cores to a
// program of the host, which keeps them for root, what it would write was looked
// through: all memory that is not left out.
func (s *stage) core() {
	s.Helper()
	pattern, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		s.Fatal(err)
	}
	if strings.ContainsAny(string(pattern), "|/") {
		s.Logf("cores go to %s: the memory itself has to do", pattern)
		return
	}
	cores, err := filepath.Glob(filepath.Join(s.dir, strings.TrimSpace(string(pattern[:min(len(pattern), len("core"))]))+"*"))
	if err != nil || len(cores) != 1 {
		s.Fatalf("there is no core to look at: %v %q, pattern %s", err, cores, pattern)
	}
	for _, l := range []*look{s.look, s.twin} {
		f, err := os.Open(cores[0])
		if err != nil {
			s.Fatal(err)
		}
		defer f.Close()
		hits, err := l.finder.Find(f)
		if err != nil || (hits == nil) == (l == s.twin) {
			s.Errorf("%v in the core (%v), of what is to be in it: %v", hits, err, l == s.twin)
		}
	}
}

// TestPlanted: what is looked through is looked through. A secret is put into each place
// in turn.
func TestPlanted(t *testing.T) {
	secret := newSecret(t)
	l := newLook(t, secret)
	var value strings.Builder
	if err := secret.Write(&value); err != nil {
		t.Fatal(err)
	}
	planted := func(args, env []string) canary.Process {
		cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", `echo; read -r x`}, args...)...)
		cmd.Env = env
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
		if _, err := out.Read(make([]byte, 1)); err != nil { // it is what it is to be
			t.Fatal(err)
		}
		p, ok := canary.ProcessOf(cmd.Process.Pid)
		if !ok {
			t.Fatal("it is gone")
		}
		return p
	}
	argv, env := planted([]string{value.String()}, []string{}), planted(nil, []string{"X=" + value.String()})
	clean := planted(nil, []string{})
	all, err := canary.Processes()
	if err != nil {
		t.Fatal(err)
	}
	arguments := l.arguments(all)
	memory, _ := l.memory(l.younger(all))
	for _, p := range []canary.Process{argv, env} {
		if len(of(arguments, p.PID)) == 0 || len(of(memory, p.PID)) == 0 {
			t.Errorf("%v: not found: %v, %v", p, arguments, memory)
		}
	}
	if len(of(arguments, clean.PID)) > 0 || len(of(memory, clean.PID)) > 0 {
		t.Errorf("it is found where it is not: %v, %v", of(arguments, clean.PID), of(memory, clean.PID))
	}
	dir := t.TempDir()
	for _, place := range []string{dir, "/dev/shm", "/tmp"} {
		f, err := os.CreateTemp(place, "kavach-canary-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(f.Name())
		if err := errors.Join(secret.Write(f), f.Close()); err != nil {
			t.Fatal(err)
		}
		if found := l.files(dir); len(found) != 1 || !strings.HasPrefix(found[0], f.Name()) {
			t.Errorf("%s: %q", place, found)
		}
		if found := l.files(dir, f.Name()); found != nil {
			t.Errorf("a source is no leak: %q", found)
		}
		os.Remove(f.Name())
	}
}
