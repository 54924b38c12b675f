//go:build linux

package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/internal/wasmwire"
	"github.com/kavach-dev/kavach/internal/wire"
)

// direct is an instance with no gate around it, which would take out what these tests
// look for.
func direct(t testing.TB, b *Backend, change func(*backend.Spec)) *instance {
	t.Helper()
	spec := backend.Spec{ID: fmt.Sprintf("%016x", mathrand.Uint64()), Policy: strict(t)}
	if change != nil {
		change(&spec)
	}
	made, err := b.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := made.Destroy(context.Background()); err != nil {
			t.Errorf("destroy: %v", err)
		}
	})
	return made.(*instance)
}

// says runs a module, and returns what it writes.
func says(t testing.TB, i *instance, cmd backend.Cmd) (string, backend.Exit) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.Args[0] = "/modules/" + cmd.Args[0] + ".wasm"
	cmd.Dir, cmd.Stdout = "/", w
	p, err := i.Start(t.Context(), cmd)
	w.Close()
	if err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	exit, err := p.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(text), exit
}

// anyBytes is all that a variable can hold: no NUL.
func anyBytes() (b []byte) {
	for n := 1; n < 256; n++ {
		b = append(b, byte(n))
	}
	return append(b, "\xff\xfe\xc3(\xed\xa0\x80=\n"...)
}

// TestSecretVariables: a module has the values, to the byte, in the place of others of
// that name, and no other command has them.
func TestSecretVariables(t *testing.T) {
	i := direct(t, newBackend(t), nil)
	big := bytes.Repeat([]byte("0123456789abcdef"), 48<<10>>4)
	tests := []struct {
		why  string
		give []backend.Secret
	}{
		{"text", []backend.Secret{backend.NewSecret("TOKEN", []byte("ghp_not-one-of-these"))}},
		{"bytes that are no text", []backend.Secret{backend.NewSecret("TOKEN", anyBytes())}},
		{"nothing", []backend.Secret{backend.NewSecret("TOKEN", nil)}},
		{"a name in the place of a variable of the command", []backend.Secret{backend.NewSecret("PLAIN", []byte("other"))}},
		{"the one that Kavach sets itself", []backend.Secret{backend.NewSecret("PWD", []byte("/secret"))}},
		{"several, in their order, the last empty", []backend.Secret{backend.NewSecret("A", []byte("1")), backend.NewSecret("B", anyBytes()), backend.NewSecret("C", big), backend.NewSecret("D", nil)}},
		{"more than a pipe holds", []backend.Secret{backend.NewSecret("A", big), backend.NewSecret("B", big), backend.NewSecret("C", big), backend.NewSecret("D", big)}},
	}
	for _, tt := range tests {
		t.Run(tt.why, func(t *testing.T) {
			cmd := func() backend.Cmd {
				return backend.Cmd{Args: []string{"attack", "env"}, Env: []string{"PLAIN=plain", "PLAINER=too"}, Secrets: tt.give}
			}
			want := []string{"PLAIN=plain", "PLAINER=too", "PWD=/"}
			for _, s := range tt.give {
				want = slices.DeleteFunc(want, func(kv string) bool { return strings.HasPrefix(kv, s.Name+"=") })
			}
			for _, s := range tt.give {
				want = append(want, s.Name+"="+string(s.Value()))
			}
			if got, exit := says(t, i, cmd()); exit.Code != 0 || got != strings.Join(want, "\n")+"\n" {
				t.Errorf("exit %d, %.600q, want %.600q", exit.Code, got, want)
			}
			twin := cmd()
			twin.Secrets = nil
			if got, _ := says(t, i, twin); got != "PLAIN=plain\nPLAINER=too\nPWD=/\n" {
				t.Errorf("a command that was given nothing: %.600q", got)
			}
		})
	}
	if got, _ := says(t, i, backend.Cmd{Args: []string{"tool", "x"}, Secrets: []backend.Secret{backend.NewSecret("HOME", []byte("\xff/h"))}}); got != "argc 2, \xff/h\n" {
		t.Errorf("a program of C: %q", got)
	}
}

// TestSecretsOnTerminals: a module whose stdio is its worker's has them as well.
func TestSecretsOnTerminals(t *testing.T) {
	i := direct(t, newBackend(t), nil)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := i.Start(t.Context(), backend.Cmd{
		Args: []string{"/modules/attack.wasm", "env"}, Dir: "/", Stdout: w, Terminal: &backend.WindowSize{Rows: 24, Cols: 80},
		Secrets: []backend.Secret{backend.NewSecret("TOKEN", []byte("a secret"))},
	})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != "PWD=/\r\nTOKEN=a secret\r\n" {
		t.Errorf("%q, %v", text, err)
	}
	if exit, err := p.Wait(t.Context()); err != nil || exit.Code != 0 {
		t.Errorf("%+v, %v", exit, err)
	}
}

// TestSecretsOfPlugins: each instance of a plugin has them, until it ends.
func TestSecretsOfPlugins(t *testing.T) {
	i := direct(t, newBackend(t), nil)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := backend.Cmd{Args: []string{"/modules/goplugin.wasm"}, Dir: "/", Stdout: w, Secrets: []backend.Secret{backend.NewSecret("NAME", []byte("s\xffcret"))}}
	p, err := i.Load(t.Context(), cmd, backend.Module{})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got, err := p.Call(t.Context(), "greet", 1); err != nil || got[0] != 1 {
			t.Fatalf("%v, %v", got, err)
		}
		if err := p.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	if _, err := p.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != strings.Repeat("hello  s\xffcret\n", 3) {
		t.Errorf("%q, %v", text, err)
	}
}

// TestSecretsRefused: what no environment can have, and descriptors; nothing of a
// value is in what is said.
func TestSecretsRefused(t *testing.T) {
	i := direct(t, newBackend(t), nil)
	value := func(n int) []byte { return bytes.Repeat([]byte("Zq"), n/2) }
	many := make([]backend.Secret, wasmwire.MaxGiven+1)
	for n := range many {
		many[n] = backend.NewSecret(fmt.Sprint("N", n), value(2))
	}
	for why, tt := range map[string]struct {
		give []backend.Secret
		want unix.Errno
	}{
		"a NUL":      {[]backend.Secret{backend.NewSecret("A", []byte("Zq\x00Zq"))}, unix.EINVAL},
		"no name":    {[]backend.Secret{backend.NewSecret("", value(2))}, unix.EINVAL},
		"a = in it":  {[]backend.Secret{backend.NewSecret("A=B", value(2))}, unix.EINVAL},
		"twice":      {[]backend.Secret{backend.NewSecret("A", value(2)), backend.NewSecret("A", value(2))}, unix.EINVAL},
		"too much":   {[]backend.Secret{backend.NewSecret("A", value(wasmwire.MaxGivenSize))}, unix.E2BIG},
		"far beyond": {[]backend.Secret{backend.NewSecret("A", value(8*wasmwire.MaxGivenSize))}, unix.E2BIG},
		"too many":   {many, unix.E2BIG},
	} {
		cmd := backend.Cmd{Args: []string{"/modules/empty.wasm"}, Dir: "/", Secrets: tt.give}
		_, err := i.Start(t.Context(), cmd)
		_, loadErr := i.Load(t.Context(), cmd, backend.Module{})
		for _, err := range []error{err, loadErr} {
			var refused *backend.ExecError
			if !errors.As(err, &refused) || refused.Errno != tt.want || strings.Contains(err.Error(), "Zq") {
				t.Errorf("%s: %.200v", why, err)
			}
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	cmd := backend.Cmd{Args: []string{"/modules/empty.wasm"}, Dir: "/", Files: []backend.Descriptor{{FD: 3, File: r}}}
	_, err = i.Start(t.Context(), cmd)
	_, loadErr := i.Load(t.Context(), cmd, backend.Module{})
	for _, err := range []error{err, loadErr} {
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "env:VAR") {
			t.Errorf("descriptors: %v", err)
		}
	}
	// A module that cannot begin leaves its worker to the next, without its secrets.
	cmd = backend.Cmd{Args: []string{"/modules/library.wasm"}, Dir: "/", Secrets: []backend.Secret{backend.NewSecret("A", value(1<<19))}}
	if _, err := i.Start(t.Context(), cmd); err == nil || strings.Contains(err.Error(), "Zq") {
		t.Errorf("a library as a command: %.200v", err)
	}
	if got, _ := says(t, i, backend.Cmd{Args: []string{"attack", "env"}}); got != "PWD=/\n" {
		t.Errorf("%.200q", got)
	}
}

// TestSecretsNotInFrames: what goes to a worker as a frame, and is on the heap here,
// has the names alone.
func TestSecretsNotInFrames(t *testing.T) {
	i := direct(t, newBackend(t), nil)
	const value = "a value that is nowhere else"
	cmd := backend.Cmd{Args: []string{"x"}, Dir: "/", Secrets: []backend.Secret{backend.NewSecret("TOKEN", []byte(value))}}
	frame := func(cmd backend.Cmd) []byte {
		cmd, given, err := withSecrets(cmd)
		if err != nil {
			t.Fatal(err)
		}
		config, err := i.config(cmd, given, 0)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Concat(wire.Payload(&wasmwire.Run{Config: config}), wire.Payload(&wasmwire.Serve{Config: config}))
	}
	if b := frame(cmd); bytes.Contains(b, []byte(value)) || !bytes.Contains(b, []byte("TOKEN")) {
		t.Errorf("%q", b)
	}
	cmd.Env = []string{"TOKEN=" + value}
	if b := frame(cmd); bytes.Contains(b, []byte(value)) {
		t.Errorf("the variable that it takes the place of is sent: %q", b)
	}
	cmd.Secrets = nil
	if b := frame(cmd); !bytes.Contains(b, []byte(value)) {
		t.Errorf("as a variable it is not in the frame either, so the test proves nothing: %q", b)
	}
}

// TestAbsurdSecrets: a worker refuses what no host of its own would send, and ends.
func TestAbsurdSecrets(t *testing.T) {
	i := direct(t, newBackend(t), nil)
	given := func(names ...string) (list []wasmwire.Given) {
		for _, name := range names {
			list = append(list, wasmwire.Given{Name: name, Length: 1})
		}
		return list
	}
	for _, tt := range []struct {
		why   string
		given []wasmwire.Given
		pipes int
		begun bool
	}{
		{"as it should be", given("A"), 1, true},
		{"a length that nobody has", []wasmwire.Given{{Name: "A", Length: 1<<32 - 1}}, 1, false},
		{"lengths that wrap", []wasmwire.Given{{Name: "A", Length: 1 << 31}, {Name: "B", Length: 1 << 31}}, 1, false},
		{"no name", given(""), 1, false},
		{"no pipe", given("A"), 0, false},
		{"two pipes", given("A"), 2, false},
		{"a pipe for nothing", nil, 1, false},
		{"more than comes", given("A", "B"), 1, false},
	} {
		w, err := i.ready(t.Context(), backend.Cmd{Args: []string{"/modules/attack.wasm"}, Dir: "/"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		fds, release, err := stdio(backend.Cmd{})
		if err != nil {
			t.Fatal(err)
		}
		from, to, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		_, err = to.WriteString("1")
		if err := errors.Join(err, to.Close()); err != nil { // the end of what comes
			t.Fatal(err)
		}
		for range tt.pipes {
			fds = append(fds, int(from.Fd()))
		}
		config, err := i.config(backend.Cmd{Args: []string{"x", "echo"}, Dir: "/"}, tt.given, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = ask[*wasmwire.Started](t.Context(), w, &wasmwire.Run{Config: config}, fds...)
		if begun := err == nil; begun != tt.begun {
			t.Errorf("%s: %v", tt.why, err)
		}
		release()
		from.Close()
		w.end()
	}
}

// TestSecretsUnread: a worker that does not read what it was given, and says that it
// has begun, holds nobody up and is not believed; nor is one that says nothing.
func TestSecretsUnread(t *testing.T) {
	b := newBackend(t)
	b.Worker, b.Cache = testbin.Liar(t), filepath.Join(testbin.TempDir(t), "cache")
	i := direct(t, b, nil)
	secret := []backend.Secret{backend.NewSecret("A", bytes.Repeat([]byte("x"), wasmwire.MaxGivenSize/2))}
	_, err := i.Start(t.Context(), backend.Cmd{Args: []string{"/kept"}, Dir: "/", Secrets: secret})
	if err == nil || !strings.Contains(err.Error(), "did not read") {
		t.Errorf("%v", err)
	}
	_, err = i.Load(t.Context(), backend.Cmd{Args: []string{"/kept"}, Dir: "/", Secrets: secret}, backend.Module{})
	if err == nil || !strings.Contains(err.Error(), "did not read") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), lieTimeout)
	defer cancel()
	if _, err = i.Start(ctx, backend.Cmd{Args: []string{"/hang"}, Dir: "/", Secrets: secret}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
