package canary_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/internal/canary"
	"github.com/kavach-dev/kavach/internal/testbin"
)

// stage is the side of this process, which watches one that plays Kavach.
type stage struct {
	*testing.T
	part
	look, twin *look // for the secret, and for what there are copies of
	sum        string
	dir        string
	sources    []string // files that the secret comes from
	cmd        *exec.Cmd
	answers    *os.File
	heard      *json.Decoder
	stderr     string // a file
}

func newSecret(t testing.TB) *canary.Secret {
	t.Helper()
	s, err := canary.New()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// holding is a pipe that holds a secret, and its end.
func holding(t testing.TB, s *canary.Secret) *os.File {
	t.Helper()
	r, w := pipe(t)
	if err := s.Write(w); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return r
}

// open starts the process that plays. What it gets beside the secret is in extra.
func open(t *testing.T, p part, extra ...string) *stage {
	t.Helper()
	s := &stage{T: t, dir: t.TempDir()}
	secret, twin := newSecret(t), newSecret(t)
	s.look, s.twin = newLook(t, secret), newLook(t, twin)
	var err error
	if s.sum, err = secret.Sum(); err != nil {
		t.Fatal(err)
	}
	p.Dir, p.Guest = s.dir, testbin.Kavach(t)
	switch p.Place {
	case "gvisor":
		p.Runtime = testbin.Runsc(t)
	case "wasm":
		if p.Modules, err = filepath.EvalSymlinks(testbin.Modules(t)); err != nil {
			t.Fatal(err)
		}
		p.Worker, p.Cache = testbin.Wasm(t), cacheDir
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.CommandContext(t.Context(), self)
	if p.Place == "bare" {
		s.cmd = testbin.Refusing(t, testbin.RefuseUserNS, self)
	}
	s.cmd.Dir = s.dir
	s.cmd.Env = append(s.cmd.Environ(), "TMPDIR="+s.dir, "HOME="+s.dir, "XDG_RUNTIME_DIR="+s.dir, "KAVACH_QUARANTINE_DIR="+s.dir+"/quarantine")
	s.cmd.Env = append(s.cmd.Env, extra...)
	given := []*os.File{s.source(&p, secret), holding(t, twin)}
	if p.Act == "formats" {
		given = append(given, holding(t, secret), holding(t, secret))
	}
	s.part = p
	s.start(given...)
	return s
}

// source puts the secret where the credential comes from.
func (s *stage) source(p *part, secret *canary.Secret) (given *os.File) {
	s.Helper()
	empty, w := pipe(s.T)
	w.Close()
	write := func(name string) string {
		f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			err = errors.Join(secret.Write(f), f.Close())
		}
		if err != nil {
			s.Fatal(err)
		}
		s.sources = append(s.sources, f.Name())
		return f.Name()
	}
	switch p.Source {
	case "stdin":
		s.cmd.Stdin = holding(s.T, secret)
	case "env:SECRET":
		if err := secret.Write(variable{s.cmd, "SECRET"}); err != nil {
			s.Fatal(err)
		}
	case "file":
		p.Source = "file:" + write("source")
	case "cmd":
		helper := filepath.Join(s.dir, "helper")
		if err := os.WriteFile(helper, []byte("#!/bin/sh\nexec cat "+write("source")+"\n"), 0o700); err != nil { //nolint:gosec // it is executed
			s.Fatal(err)
		}
		p.Source = "cmd:" + helper
	default:
		return holding(s.T, secret)
	}
	return empty
}

// variable makes a variable of what is written.
type variable struct {
	of   *exec.Cmd
	name string
}

func (v variable) Write(b []byte) (int, error) {
	v.of.Env = append(v.of.Env, v.name+"="+string(b))
	return len(b), nil
}

// start starts the process, with these descriptors from secretFD on.
func (s *stage) start(given ...*os.File) {
	s.Helper()
	text, err := json.Marshal(s.part)
	if err != nil {
		s.Fatal(err)
	}
	s.cmd.Env = append(s.cmd.Env, envPart+"="+string(text))
	theirs, answers := pipe(s.T)
	heard, say := pipe(s.T)
	s.cmd.ExtraFiles = append([]*os.File{theirs, say}, given...)
	stderr, err := os.Create(filepath.Join(s.dir, "stderr"))
	if err != nil {
		s.Fatal(err)
	}
	defer stderr.Close()
	s.cmd.Stderr, s.stderr = stderr, stderr.Name()
	if err := s.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	for _, f := range s.cmd.ExtraFiles {
		f.Close()
	}
	const forever = 5 * time.Minute // for whatever it does
	if err := heard.SetReadDeadline(time.Now().Add(forever)); err != nil {
		s.Fatal(err)
	}
	s.answers, s.heard = answers, json.NewDecoder(heard)
	s.Cleanup(func() {
		answers.Close() // which ends it
		_ = s.cmd.Wait()
	})
}

// hear waits for what the process says.
func (s *stage) hear() (w word) {
	s.Helper()
	if err := s.heard.Decode(&w); err != nil {
		text, _ := os.ReadFile(s.stderr)
		s.Fatalf("it says nothing: %v: %s", err, text)
	}
	s.look.text(w.Stage, w.Text)
	return w
}

// expect is hear of what must be said now.
func (s *stage) expect(name string) word {
	s.Helper()
	w := s.hear()
	if w.Stage != name {
		s.Fatalf("%s, and not %s: %s", w.Stage, name, w.Text)
	}
	return w
}

// goOn answers.
func (s *stage) goOn() {
	s.Helper()
	if _, err := s.answers.WriteString("\n"); err != nil {
		s.Fatal(err)
	}
}

// player is the process.
func (s *stage) player() canary.Process {
	s.Helper()
	p, ok := canary.ProcessOf(s.cmd.Process.Pid)
	if !ok {
		s.Fatal("the process that plays is gone")
	}
	return p
}
