//go:build linux

package wasm

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/locked"
	"github.com/kavach-dev/kavach/internal/rawfile"
	"github.com/kavach-dev/kavach/internal/testbin"
)

// needle is a random secret that is in memory masked only, so that who looks for it
// finds no copy of its own.
type needle [32]byte

const mask = 0xa5

func newNeedle(t testing.TB) (n needle) {
	t.Helper()
	if _, err := rand.Read(n[:]); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if n[i] == mask {
			n[i]++ // a NUL in the secret
		}
	}
	return n
}

func (n *needle) put(p []byte) {
	for i := range n {
		p[i] = n[i] ^ mask
	}
}

// at reports whether it is the beginning of b.
func (n *needle) at(b []byte) bool {
	for i := range n {
		if b[i] != n[i]^mask {
			return false
		}
	}
	return true
}

// in returns where it is in the memory of a process, but for the window that it is
// looked for with.
func (n *needle) in(t testing.TB, pid int) (found []uint64) {
	t.Helper()
	maps, err := rawfile.Read(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	const size = 1 << 20
	window := make([]byte, size)
	defer clear(window)
	seen := 0
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &from, &to, &rights); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(rights, "rw") { // no value was ever written to others
			continue
		}
		for at := from; at < to; at += size - uint64(len(n)) {
			clear(window) // of what was found before, as this is memory too
			got, err := memory.ReadAt(window[:min(size, to-at)], int64(at))
			if err != nil {
				break // a guard page
			}
			seen += got
			for i := 0; i+len(n) <= got; i++ {
				next := bytes.IndexByte(window[i:got-len(n)+1], n[0]^mask)
				if next < 0 {
					break
				}
				if i += next; n.at(window[i:]) {
					found = append(found, at+uint64(i))
				}
			}
		}
	}
	if seen < size {
		t.Errorf("only %d bytes of process %d were looked at", seen, pid)
	}
	return found
}

const envForget = "KAVACH_TEST_FORGET"

// TestHostForgets: when a command has started, and its caller has zeroed the value,
// this process has none. It is looked for in one that does nothing else.
func TestHostForgets(t *testing.T) {
	if os.Getenv(envForget) != "" {
		forget(t)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestHostForgets$")
	cmd.Env = append(os.Environ(), envForget+"=1", testbin.EnvKavach+"="+testbin.Kavach(t), testbin.EnvWasm+"="+testbin.Wasm(t), testbin.EnvModules+"="+testbin.Modules(t))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func forget(t *testing.T) {
	i := direct(t, newBackend(t), nil)
	n := newNeedle(t)
	arena := locked.New()
	defer arena.Free()
	value, err := arena.Alloc(len(n))
	if err != nil {
		t.Fatal(err)
	}
	n.put(value)
	// A module that does not ask for its environment, so that no copy is its own.
	cmd := backend.Cmd{Args: []string{"/modules/spin.wasm"}, Dir: "/", Secrets: []backend.Secret{backend.NewSecret("TOKEN", value)}}
	p, err := i.Start(t.Context(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	if got := n.in(t, os.Getpid()); len(got) != 1 {
		t.Errorf("before the caller has zeroed it the value is here %d times, want once: at %#x", len(got), got)
	}
	locked.Wipe(value)
	if got := n.in(t, os.Getpid()); len(got) != 0 {
		t.Errorf("the value is at %#x", got)
	}
	// Nor has its worker more of it than the one copy, in memory that is not dumped.
	s, err := i.look(testbin.Wasm(t))
	if err != nil {
		t.Fatal(err)
	}
	got := n.in(t, s.pid)
	if len(got) != 1 {
		t.Fatalf("the worker has %d copies, want one: at %#x", len(got), got)
	}
	if flags := vmFlags(t, s.pid, got[0]); !strings.Contains(flags, " dd ") {
		t.Errorf("VmFlags of the worker's copy are %q, without dd (MADV_DONTDUMP)", flags)
	}
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	if _, err := p.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if got := n.in(t, os.Getpid()); len(got) != 0 {
		t.Errorf("after the command, the value is at %#x", got)
	}
}

// vmFlags are those that proc_pid_smaps(5) has of the mapping that an address is in.
func vmFlags(t testing.TB, pid int, at uint64) string {
	t.Helper()
	text, err := rawfile.Read(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for line := range strings.Lines(string(text)) {
		var from, to uint64
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			inside = from <= at && at < to
		}
		if flags, is := strings.CutPrefix(line, "VmFlags:"); is && inside {
			return strings.TrimRight(flags, "\n") + " "
		}
	}
	t.Fatal("no mapping holds it")
	return ""
}

// TestNotDumped: a worker leaves no core, not even for a program that takes it: that is
// what a limit of 1 says (core(5)). A program that Kavach starts elsewhere may leave one.
func TestNotDumped(t *testing.T) {
	i := direct(t, newBackend(t), nil)
	s, err := i.look(testbin.Wasm(t))
	if err != nil {
		t.Fatal(err)
	}
	var core unix.Rlimit
	if err := unix.Prlimit(s.pid, unix.RLIMIT_CORE, nil, &core); err != nil || core.Cur != 1 || core.Max != 1 {
		t.Errorf("RLIMIT_CORE of a worker is %+v, %v", core, err)
	}
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil || core.Max == 1 {
		t.Errorf("RLIMIT_CORE of this process is %+v as well, %v, so the test proves nothing", core, err)
	}
}
