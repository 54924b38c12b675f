package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/locked"
	"github.com/kavach-dev/kavach/policy"
)

// dup is a descriptor of f's that nothing of Go knows of.
func dup(t *testing.T, f *os.File) string {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	return strconv.Itoa(fd)
}

type fixed string

func (f fixed) Secret(context.Context, string) ([]byte, error) { return []byte(f), nil }

type failing struct{}

func (failing) Secret(context.Context, string) ([]byte, error) {
	return []byte(secret), errors.New("the store is sealed")
}

func ref(name, as string, from Source) Ref {
	return Ref{Credential: policy.Credential{Name: name, Source: "a test", As: as}, From: from}
}

// What cannot be given at all is refused before there is a sandbox.
func TestOpen(t *testing.T) {
	tests := []struct {
		why  string
		refs []Ref
	}{
		{"two for one variable", []Ref{ref("a", "env:X", fixed("x")), ref("b", "env:X", fixed("y"))}},
		{"two for one standard input", []Ref{ref("a", "stdin", fixed("x")), ref("b", "stdin", fixed("y"))}},
		{"two for one file", []Ref{ref("a", "file:/run/secrets/x", fixed("x")), ref("b", "file:/run/secrets/x", fixed("y"))}},
		{"two of one name", []Ref{ref("a", "env:X", fixed("x")), ref("a", "env:Y", fixed("y"))}},
		{"a variable that is none", []Ref{ref("a", "env:X=1", fixed("x"))}},
		{"a variable with a zero byte", []Ref{ref("a", "env:X\x00", fixed("x"))}},
		{"a name that is no variable, and no way", []Ref{ref("registry.example", "", fixed("x"))}},
		{"a descriptor of stdio", []Ref{ref("a", "fd:2", fixed("x"))}},
		{"no way that there is", []Ref{ref("a", "argv:1", fixed("x"))}},
		{"no source", []Ref{{Credential: policy.Credential{Name: "a"}}}},
		{"a placeholder, and nothing that puts it in", []Ref{ref("a", "placeholder:X", fixed("x"))}},
	}
	for _, test := range tests {
		if _, err := Open(Options{Policy: &policy.Policy{}, Refs: test.refs}); err == nil {
			t.Errorf("%s: it was taken", test.why)
		}
	}
	p := policy.Policy{Credentials: []policy.Credential{{Name: "A", Source: "env:A"}}}
	if _, err := Open(Options{Policy: &p, Refs: []Ref{ref("b", "env:A", fixed("x"))}}); err == nil {
		t.Error("a variable of the policy's own is given another secret")
	}
}

// Nobody is given what the gate does not know.
func TestKnown(t *testing.T) {
	known := map[string]string{}
	o := Options{Policy: &policy.Policy{}, Refs: []Ref{ref("a", "env:A", fixed("value of a\n")), ref("b", "stdin", fixed("value of b\n"))}}
	o.Know = func(list []backend.Secret) error {
		for _, v := range list {
			known[v.Name] = string(v.Value())
		}
		return nil
	}
	set, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := new(backend.Cmd)
	lease, err := set.Attach(t.Context(), Command{Cmd: cmd})
	if err != nil {
		t.Fatal(err)
	}
	if err := lease.Revoke(); err != nil || known["a"] != "value of a" || known["b"] != "value of b\n" {
		t.Errorf("%v, known are %q", err, known)
	}
	no := errors.New("too short")
	o.Know = func([]backend.Secret) error { return no }
	if set, err = Open(o); err != nil {
		t.Fatal(err)
	}
	cmd = new(backend.Cmd)
	if _, err := set.Attach(t.Context(), Command{Cmd: cmd}); !errors.Is(err, no) || cmd.Stdin != nil || len(cmd.Secrets) != 0 {
		t.Errorf("%v, and given is %+v", err, cmd)
	}
}

// files are an instance's, which notes what it shows.
type files map[string]string

const inItsWay = "what is no file"

func (f files) Give(path string, content []byte) error {
	if f[path] == inItsWay {
		return os.ErrExist
	}
	f[path] = string(content)
	return nil
}

func (f files) Take(path string) error { delete(f, path); return nil }

// What several commands are given at one error is each one's own.
func TestFailed(t *testing.T) {
	shared := advise("do this", "it is empty")
	a, b := failed("a", shared), failed("b", shared)
	if a.Error() != "secret a: it is empty; do this" || b.Error() != "secret b: it is empty; do this" {
		t.Errorf("%v, and %v", a, b)
	}
	if got := failed("a", fmt.Errorf("vault: %w", shared)).Error(); !strings.HasPrefix(got, "secret a: vault: ") {
		t.Errorf("%s", got)
	}
}

// A lease that fails half-way has left nothing; a file is there while any lease shows it.
func TestFiles(t *testing.T) {
	shown := files{}
	refs := []Ref{ref("a", "file:/run/secrets/a", fixed("value of a")), ref("b", "env:B", failing{})}
	set, err := Open(Options{Policy: &policy.Policy{}, Refs: refs})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Attach(t.Context(), Command{Cmd: new(backend.Cmd), Files: shown}); err == nil || !strings.Contains(err.Error(), "sealed") || strings.Contains(err.Error(), secret) || len(shown) != 0 {
		t.Errorf("%v, and left is %v", err, shown)
	}
	only := Command{Names: []string{"a"}, Cmd: new(backend.Cmd), Files: shown}
	first, err := set.Attach(t.Context(), only)
	if err != nil {
		t.Fatal(err)
	}
	second, err := set.Attach(t.Context(), only)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time does nothing
		if err := first.Revoke(); err != nil || len(shown) != 1 {
			t.Errorf("%v, and of two leases one is left: %v", err, shown)
		}
	}
	if err := second.Revoke(); err != nil || len(shown) != 0 {
		t.Errorf("%v, and when none is left: %v", err, shown)
	}
	only.Files = nil
	if _, err := set.Attach(t.Context(), only); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v of a backend without such files", err)
	}
}

// What is to stay until the sandbox ends stays behind a command, and not behind one that
// could not be given all.
func TestFilesThatStay(t *testing.T) {
	shown := files{}
	stays, fails := ref("a", "file:/run/secrets/a", fixed("value of a")), ref("b", "file:/run/secrets/b", fixed("value of b"))
	stays.Lifetime = policy.LifetimeSandbox
	set, err := Open(Options{Policy: &policy.Policy{}, Refs: []Ref{stays, fails}})
	if err != nil {
		t.Fatal(err)
	}
	shown["/run/secrets/b"] = inItsWay
	c := Command{Cmd: new(backend.Cmd), Files: shown}
	if _, err := set.Attach(t.Context(), c); !errors.Is(err, os.ErrExist) || len(shown) != 1 {
		t.Errorf("%v, and left is %v", err, shown)
	}
	delete(shown, "/run/secrets/b")
	lease, err := set.Attach(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := lease.Revoke(); err != nil || len(shown) != 1 || shown["/run/secrets/a"] == "" {
		t.Errorf("%v, and what stays is %v", err, shown)
	}
}

// What is given for a time is not taken from who starts the command, however short that
// is, and is taken back when the command has been started.
func TestExpires(t *testing.T) {
	short := ref("a", "fd:3", fixed("value of a"))
	short.Lifetime = "1ns"
	set, err := Open(Options{Policy: &policy.Policy{}, Refs: []Ref{short}})
	if err != nil {
		t.Fatal(err)
	}
	cmd := new(backend.Cmd)
	lease, err := set.Attach(t.Context(), Command{Cmd: cmd})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.Files[0].File.Stat(); err != nil || len(lease.timers) != 0 {
		t.Errorf("%v, and %d timers run before the command does", err, len(lease.timers))
	}
	lease.Started()
	for err == nil { // until the timer has closed it
		_, err = cmd.Files[0].File.Stat()
	}
	if !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
	if err := lease.Revoke(); err != nil {
		t.Error(err)
	}
}

// holder is what a network policy would be.
type holder struct{ held map[string]string }

func (h *holder) Hold(_ context.Context, sandbox string, g Grant, value []byte) (string, func() error, error) {
	h.held[g.Name] = string(value)
	return "instead of " + g.Name + " in " + sandbox, func() error { delete(h.held, g.Name); return nil }, nil
}

func TestPlaceholder(t *testing.T) {
	h := &holder{held: map[string]string{}}
	set, err := Open(Options{Sandbox: "s", Policy: &policy.Policy{}, Refs: []Ref{ref("a", "placeholder:A", fixed("value of a"))}, Placeholders: h})
	if err != nil {
		t.Fatal(err)
	}
	cmd := new(backend.Cmd)
	lease, err := set.Attach(t.Context(), Command{Cmd: cmd})
	if err != nil || h.held["a"] != "value of a" || len(cmd.Env) != 1 || cmd.Env[0] != "A=instead of a in s" || len(cmd.Secrets) != 0 {
		t.Fatalf("%v, %v, %v", err, h.held, cmd)
	}
	if err := lease.Revoke(); err != nil || len(h.held) != 0 {
		t.Errorf("%v, and left is %v", err, h.held)
	}
}

// However a thing that has a value is printed, it is not shown.
func TestPrinted(t *testing.T) {
	set, err := Open(Options{Policy: &policy.Policy{}, Refs: []Ref{ref("a", "env:A", fixed(secret)), ref("b", "fd:4", fixed(secret))}})
	if err != nil {
		t.Fatal(err)
	}
	cmd := backend.Cmd{Args: []string{"x"}}
	lease, err := set.Attach(t.Context(), Command{Cmd: &cmd})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lease.Revoke() }()
	list := strings.Trim(fmt.Sprintf("%d", []byte(secret)), "[]")
	for _, v := range []any{cmd, &cmd, cmd.Secrets, cmd.Secrets[0], &cmd.Secrets[0], lease, &struct{ C *backend.Cmd }{&cmd}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, v)
			for _, form := range []string{secret, fmt.Sprintf("%x", secret), list} {
				if strings.Contains(text, form) {
					t.Errorf("%s of %T shows it: %s", verb, v, text)
				}
			}
		}
	}
	text, err := json.Marshal(cmd.Secrets)
	if err != nil || strings.Contains(string(text), secret) || strings.Contains(string(text), "aHVudGVyMi1odW50ZXIy") {
		t.Errorf("JSON: %s, %v", text, err)
	}
}

// With its sandbox a lease ends, also where nobody waits for the command; but not while
// the command is being started from its values.
func TestClosed(t *testing.T) {
	set, err := Open(Options{Policy: &policy.Policy{}, Refs: []Ref{ref("a", "fd:3", fixed("value of a")), ref("b", "env:B", fixed("value of b"))}})
	if err != nil {
		t.Fatal(err)
	}
	attach := func() (*Lease, *backend.Cmd) {
		cmd := new(backend.Cmd)
		l, err := set.Attach(t.Context(), Command{Cmd: cmd})
		if err != nil {
			t.Fatal(err)
		}
		return l, cmd
	}
	running, pipe := attach()
	running.Started()
	starting, value := attach()
	set.Close()
	if _, err := pipe.Files[0].File.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v of the pipe of a command whose sandbox is gone", err)
	}
	if got := string(value.Secrets[0].Value()); got != "value of b" {
		t.Errorf("a command that is being started reads %q", got)
	}
	starting.Started()
	for _, l := range []*Lease{running, starting} {
		if err := l.Revoke(); err != nil {
			t.Error(err)
		}
		if _, err := l.arena.Alloc(1); !errors.Is(err, locked.ErrFree) {
			t.Errorf("%v of the memory of a lease that was revoked", err)
		}
	}
	set.lending.Lock()
	if len(set.leases) != 0 {
		t.Errorf("%d leases are left", len(set.leases))
	}
	set.lending.Unlock()
	if _, err := set.Attach(t.Context(), Command{Cmd: new(backend.Cmd)}); !errors.Is(err, backend.ErrDestroyed) {
		t.Errorf("%v of a set that was closed", err)
	}
}
