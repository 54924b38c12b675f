//go:build linux

package wasm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// TestSecretFiles: a module sees a file that it is given while it has it, cannot change
// it, and sees nothing of it before and after.
func TestSecretFiles(t *testing.T) {
	const file = "/run/secrets/token"
	shown := func(spec *backend.Spec) { spec.SecretFiles = []string{file, "/run/secrets/other"} }
	i := direct(t, newBackend(t), shown)
	attempt := func(i *instance, args ...string) (string, bool) {
		text, exit := says(t, i, backend.Cmd{Args: append([]string{"attack"}, args...)})
		return text, exit.Code == 0
	}
	if seen, through := attempt(i, "read", file); through {
		t.Errorf("before it is given: %q", seen)
	}
	value := anyBytes()
	for range 2 {
		if err := i.Give(file, value); err != nil {
			t.Fatal(err)
		}
		if seen, through := attempt(i, "read", file); !through || seen != string(value) {
			t.Errorf("%q, %v", seen, through)
		}
		if seen, _ := attempt(i, "list", "/run/secrets"); seen != fmt.Sprintf("token ---------- %d\n", len(value)) {
			t.Errorf("%q", seen)
		}
		for _, try := range [][]string{
			{"write", file, "x"}, {"append", file, "x"}, {"shrink", file}, {"remove", file}, {"rename", file, "/run/secrets/moved"},
			{"write", "/run/secrets/new", "x"}, {"link", "token", "/run/secrets/link"}, {"hard", file, "/run/secrets/hard"},
			{"mkdir", "/run/secrets/dir"}, {"touch", file}, {"rename", file, "/tmp/moved"}, {"hard", file, "/tmp/hard"},
		} {
			if seen, through := attempt(i, try...); through {
				t.Errorf("%v: %s", try, seen)
			}
		}
		if err := i.Take(file); err != nil {
			t.Fatal(err)
		}
		if seen, through := attempt(i, "read", file); through {
			t.Errorf("after it was taken: %q", seen)
		}
		if seen, through := attempt(i, "list", "/run/secrets"); !through || seen != "" {
			t.Errorf("after it was taken: %q", seen)
		}
	}
	if err := i.Take(file); err != nil {
		t.Errorf("of one that is not there: %v", err)
	}
	if err := i.Give("/run/secrets/unnamed", value); err == nil {
		t.Error("a file that the sandbox was made without was given")
	}
	if seen, through := attempt(direct(t, newBackend(t), nil), "stat", "/run/secrets"); through {
		t.Errorf("the directory is there without any such file: %q", seen)
	}
	var wrong *policy.FieldError
	for _, file := range []string{"/.kavach/worker", "/.kavach/x"} {
		_, err := newBackend(t).Create(t.Context(), backend.Spec{ID: "00000000000000d2", Policy: strict(t), SecretFiles: []string{file}})
		if !errors.As(err, &wrong) || wrong.Field != "credentials" {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestSecretFilesComeAndGo: a module that runs on sees what comes and what goes, and
// one that it has open is empty then.
func TestSecretFilesComeAndGo(t *testing.T) {
	const file = "/run/secrets/token"
	i := direct(t, newBackend(t), func(spec *backend.Spec) { spec.SecretFiles = []string{file} })
	in, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer typed.Close()
	said, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	p, err := i.Start(t.Context(), backend.Cmd{Args: []string{"/modules/attack.wasm", "watch", file}, Dir: "/", Stdin: in, Stdout: out})
	in.Close()
	out.Close()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(said)
	for _, step := range []struct {
		why  string
		do   func() error
		want string
	}{
		{"nothing is given", func() error { return nil }, `named "" false`},
		{"it is given", func() error { return i.Give(file, []byte("one")) }, `named "one" true, open "one" true`},
		{"it is taken", func() error { return i.Take(file) }, `named "" false, open "" true`},
		{"another is given", func() error { return i.Give(file, []byte("two")) }, `named "two" true, open "" true`},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.why, err)
		}
		if _, err := fmt.Fprintln(typed); err != nil {
			t.Fatal(err)
		}
		if got, err := lines.ReadString('\n'); err != nil || got != step.want+"\n" {
			t.Errorf("%s: %q, %v, want %q", step.why, got, err, step.want)
		}
	}
	typed.Close()
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
	if exit, err := p.Wait(t.Context()); err != nil || exit.Code != 0 {
		t.Errorf("%+v, %v", exit, err)
	}
}
