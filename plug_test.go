package kavach_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// world is a backend, an audit log, a gate and credentials that are not real and
// write what happens to them into one journal, so that its order can be seen.
type world struct {
	mu      sync.Mutex // guards what follows
	entries []string
	events  []kavach.Event

	refuse kavach.Act // the audit log does not take this
	gate   *gate
	attach error // of Credentials.Attach
	detach error
	start  error // of Instance.Start
	silent bool  // Instance.Start answers when nobody waits any more
	layers []backend.Layer

	made backend.Spec // what Create was given last
	nope error        // of Create
	undo error        // of Instance.Destroy
}

var errTest = errors.New("the test says no")

func newWorld() *world { return &world{} }

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.entries = append(w.entries, fmt.Sprintf(format, args...))
}

func (w *world) journal() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.entries)
}

func (w *world) runtime() *kavach.Runtime {
	rt := &kavach.Runtime{Backends: []backend.Backend{w}, Audit: w, Credentials: (*lender)(w)}
	if w.gate != nil {
		w.gate.world = w
		rt.Gate = w.gate
	}
	return rt
}

func (w *world) tryCreate(ctx context.Context) (*kavach.Sandbox, error) {
	return w.runtime().Create(ctx, kavach.Config{Backend: "noop"})
}

func (w *world) create(t *testing.T, p ...policy.Policy) *kavach.Sandbox {
	t.Helper()
	cfg := kavach.Config{Backend: "noop"}
	if len(p) > 0 {
		cfg.Policy = p[0]
	}
	sb, err := w.runtime().Create(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return sb
}

// Backend. It has the name of the one that scores nothing.

func (*world) Name() string                                { return "noop" }
func (*world) Probe(context.Context) (backend.Info, error) { return backend.Info{}, nil }

func (w *world) Create(_ context.Context, spec backend.Spec) (backend.Instance, error) {
	w.note("make")
	w.made = spec
	if w.nope != nil {
		return nil, w.nope
	}
	return &place{world: w}, nil
}

// place is an instance that runs functions of this test.
type place struct{ *world }

func (p *place) Proofs(context.Context) ([]backend.Proof, error) { p.note("prove"); return nil, nil }
func (p *place) Destroy(context.Context) error                   { p.note("unmake"); return p.undo }
func (p *place) Pause(context.Context) error                     { p.note("freeze"); return nil }
func (p *place) Resume(context.Context) error                    { p.note("thaw"); return nil }
func (p *place) Halt(context.Context) error                      { p.note("halt"); return nil }
func (p *place) Layers() []backend.Layer                         { return p.layers }

func (p *place) Start(ctx context.Context, cmd backend.Cmd) (backend.Process, error) {
	p.note("start %s", strings.Join(cmd.Args, " "))
	if p.silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if p.start != nil {
		return nil, p.start
	}
	r := &running{place: p, done: make(chan struct{})}
	if cmd.Args[0] == "wait" {
		r.kill = make(chan struct{})
		go func() { <-r.kill; r.exit = backend.Exit{Code: -1, Signal: syscall.SIGKILL}; close(r.done) }()
		return r, nil
	}
	// The caller closes its copies when Start is back.
	out, err := dup(cmd.Stdout), dup(cmd.Stderr)
	go func() {
		defer close(r.done)
		defer out.Close()
		defer err.Close()
		switch cmd.Args[0] {
		case "say":
			fmt.Fprint(out, cmd.Args[1])
			fmt.Fprint(err, cmd.Args[2])
		case "env":
			fmt.Fprint(out, strings.Join(cmd.Env, "\n"))
		case "die":
			r.err = backend.ErrDestroyed
		}
	}()
	return r, nil
}

func dup(f *os.File) *os.File {
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		panic(err)
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), f.Name())
}

type running struct {
	place *place
	done  chan struct{}
	exit  backend.Exit
	err   error
	once  sync.Once
	kill  chan struct{}
}

func (r *running) Signal(syscall.Signal) error { return nil }

func (r *running) Kill() error {
	r.once.Do(func() {
		r.place.note("kill")
		if r.kill != nil {
			close(r.kill)
		}
	})
	return nil
}

func (r *running) Wait(ctx context.Context) (backend.Exit, error) {
	select {
	case <-r.done:
		r.place.note("end")
		return r.exit, r.err
	case <-ctx.Done():
		return backend.Exit{}, ctx.Err()
	}
}

// Audit

func (w *world) Record(_ context.Context, e kavach.Event) error {
	w.note("record %s", e.Act)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	if e.Act == w.refuse {
		return errTest
	}
	return nil
}

// Credentials

type lender world

func (l *lender) Attach(_ context.Context, _ string, cmd *backend.Cmd) (func() error, error) {
	w := (*world)(l)
	w.note("attach")
	if w.attach != nil {
		return nil, w.attach
	}
	cmd.Env = append(cmd.Env, "TOKEN=lent")
	return func() error { w.note("detach"); return w.detach }, nil
}

// Gate

// gate replaces a word, refuses a stream that holds another, and does not open
// or breaks down where it is told to.
type gate struct {
	world            *world
	redact, withhold string
	noOpen, noWrite  string // names of streams
}

type sink struct {
	*gate
	stream kavach.Stream
	out    io.Writer
	held   bytes.Buffer
}

func (g *gate) Open(s kavach.Stream, out io.Writer) (io.WriteCloser, error) {
	if s.Name == g.noOpen {
		return nil, errTest
	}
	g.world.note("open %s", s.Name)
	return &sink{gate: g, stream: s, out: out}, nil
}

func (s *sink) Write(p []byte) (int, error) {
	if s.stream.Name == s.noWrite {
		return 0, errTest
	}
	return s.held.Write(p)
}

func (s *sink) Close() error {
	s.world.note("close %s", s.stream.Name)
	text := s.held.String()
	if s.withhold != "" && strings.Contains(text, s.withhold) {
		return &kavach.WithheldError{Stream: s.stream, Reason: "a secret"}
	}
	if s.redact != "" {
		text = strings.ReplaceAll(text, s.redact, "[redacted]")
	}
	if text == "" {
		return nil
	}
	_, err := io.WriteString(s.out, text)
	return err
}

func say(out, err string) kavach.Cmd { return kavach.Cmd{Args: []string{"say", out, err}} }

// Everything in its order: nothing happens before its record.
func TestOrder(t *testing.T) {
	w := newWorld()
	w.gate = &gate{}
	sb := w.create(t)
	if _, err := sb.Run(t.Context(), say("x", "")); err != nil {
		t.Fatal(err)
	}
	for _, act := range []func(context.Context) error{sb.Pause, sb.Resume, sb.Destroy, sb.Destroy} {
		if err := act(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"record create", "make", "prove", "record prove",
		"record exec", "attach", "open stdout", "open stderr", "start say x ", "end", "detach", "close stdout", "close stderr", "record result",
		"record pause", "freeze", "record resume", "thaw",
		"unmake", "record destroy",
	}
	if got := w.journal(); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// A log that does not take a record stops what it announces.
func TestAuditFails(t *testing.T) {
	tests := []struct {
		act      kavach.Act
		never    []string // none of this is in the journal
		always   []string
		released bool
		why      string
	}{
		{kavach.ActCreate, []string{"make"}, nil, false, "nothing is made"},
		{kavach.ActProve, []string{"record exec"}, []string{"unmake"}, false, "nothing is handed out, and nothing is left"},
		{kavach.ActExec, []string{"start", "attach", "open"}, nil, false, "nothing is started, no credential lent"},
		{kavach.ActRelease, nil, []string{"end", "detach", "record result"}, false, "not a byte is let out live"},
		{kavach.ActResult, nil, []string{"end", "detach"}, true, "no result is returned"},
		{kavach.ActPause, []string{"freeze"}, nil, true, "nothing is frozen"},
		{kavach.ActResume, []string{"thaw"}, []string{"freeze"}, true, "nothing is thawed"},
		{kavach.ActDestroy, nil, []string{"unmake"}, true, "what is to be removed is removed, and the caller is told"},
	}
	for _, test := range tests {
		t.Run(string(test.act), func(t *testing.T) {
			w := newWorld()
			w.refuse = test.act
			var live bytes.Buffer
			err := life(t.Context(), w, &live)
			if !errors.Is(err, errTest) {
				t.Errorf("%v: %s", err, test.why)
			}
			journal := w.journal()
			for _, line := range test.never {
				if slices.ContainsFunc(journal, func(s string) bool { return strings.HasPrefix(s, line) }) {
					t.Errorf("%q is in %q: %s", line, journal, test.why)
				}
			}
			for _, line := range test.always {
				if !slices.Contains(journal, line) {
					t.Errorf("%q is not in %q: %s", line, journal, test.why)
				}
			}
			if released := live.Len() > 0; released != test.released {
				t.Errorf("released live: %q: %s", live.String(), test.why)
			}
		})
	}
}

// life is that of a sandbox, up to the first error.
func life(ctx context.Context, w *world, live io.Writer) error {
	sb, err := w.tryCreate(ctx)
	if err != nil {
		return err
	}
	cmd := say("live", "")
	cmd.Stdout = live
	res, err := sb.Run(ctx, cmd)
	if err != nil {
		if res != nil && len(res.Stdout)+len(res.Stderr) > 0 {
			return errors.New("output beside an error")
		}
		return err
	}
	for _, act := range []func(context.Context) error{sb.Pause, sb.Resume, sb.Destroy} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Destroy does not hang on the log: what it removes stays removed.
func TestDestroyWithoutAudit(t *testing.T) {
	w := newWorld()
	sb := w.create(t)
	w.refuse = kavach.ActDestroy
	if err := sb.Destroy(t.Context()); !errors.Is(err, errTest) || sb.State() != kavach.Destroyed {
		t.Errorf("%v, the state is %s", err, sb.State())
	}
	if err := sb.Destroy(t.Context()); err != nil {
		t.Errorf("again: %v", err)
	}
}

// What is recorded, and what is not.
func TestEvents(t *testing.T) {
	w := newWorld()
	sb := w.create(t, policy.Policy{Process: policy.Process{Env: map[string]string{"KEY": "value-of-the-policy"}}})
	cmd := say("out-text", "err-text")
	cmd.Env = []string{"OTHER=value-of-the-call"}
	if _, err := sb.Run(t.Context(), cmd); err != nil {
		t.Fatal(err)
	}
	w.start = errTest
	if _, err := sb.Run(t.Context(), cmd); !errors.Is(err, errTest) {
		t.Fatal(err)
	}
	if err := sb.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	var result, exec, failed *kavach.Event
	last := time.Time{}
	for i := range w.events {
		e := &w.events[i]
		if e.Sandbox != sb.ID() || e.Backend != "noop" || e.Time.Before(last) {
			t.Errorf("%+v", e)
		}
		last = e.Time
		if e.Act == kavach.ActExec && exec == nil {
			exec = e
		}
		if e.Act == kavach.ActResult && e.Err == "" {
			result = e
		}
		if e.Act == kavach.ActResult && e.Err != "" {
			failed = e
		}
		// The policy, with its environment, is the caller's own and is recorded.
		text := fmt.Sprintf("%+v %+v", e.EnvKeys, e.Result)
		for _, secret := range []string{"value-of", "out-text", "err-text", "lent"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %q: %s", e.Act, secret, text)
			}
		}
	}
	if exec == nil || !slices.Equal(exec.Args, cmd.Args) || !slices.Equal(exec.EnvKeys, []string{"HOME", "KEY", "LANG", "OTHER", "PATH"}) || exec.Exec != 1 {
		t.Errorf("exec: %+v", exec)
	}
	if result == nil || len(result.Digests) != 2 || result.Digests[0].Stream != "stdout" || result.Digests[0].Bytes != 8 || result.Exec != 1 {
		t.Errorf("result: %+v", result)
	}
	if failed == nil || failed.Exec != 2 || failed.Result != nil {
		t.Errorf("the command that did not start: %+v", failed)
	}
}

func TestGate(t *testing.T) {
	tests := []struct {
		gate           gate
		stdout, stderr string
		withheld       string // name of the stream
		err            error
		why            string
	}{
		{gate{}, "one two", "three", "", nil, "nothing against it"},
		{gate{redact: "two"}, "one [redacted]", "three", "", nil, "what is redacted is"},
		{gate{withhold: "two"}, "", "", "stdout", nil, "nothing of either stream, when one is withheld"},
		{gate{withhold: "three"}, "", "", "stderr", nil, "nothing of either stream, when one is withheld"},
		{gate{noWrite: "stdout"}, "", "", "", errTest, "a gate that fails lets nothing out"},
		{gate{noOpen: "stderr"}, "", "", "", errTest, "nothing runs without its gate"},
	}
	for _, test := range tests {
		for _, live := range []bool{false, true} {
			w := newWorld()
			g := test.gate
			w.gate = &g
			sb := w.create(t)
			cmd := say("one two", "three")
			var out, errs bytes.Buffer
			if live {
				cmd.Stdout, cmd.Stderr = &out, &errs
			}
			res, err := sb.Run(t.Context(), cmd)
			if !live && res != nil {
				out.Write(res.Stdout)
				errs.Write(res.Stderr)
			}
			var withheld *kavach.WithheldError
			switch {
			case test.withheld != "":
				if !errors.As(err, &withheld) || withheld.Stream.Name != test.withheld {
					t.Errorf("%s: %v", test.why, err)
				}
			case !errors.Is(err, test.err):
				t.Errorf("%s: %v", test.why, err)
			}
			if live && test.withheld != "" || live && test.err != nil {
				// Live streams are let out each by itself.
				if test.withheld != "stderr" && strings.Contains(out.String(), "two") || test.withheld == "stderr" && errs.Len() > 0 {
					t.Errorf("%s: live %q %q", test.why, out.String(), errs.String())
				}
			} else if out.String() != test.stdout || errs.String() != test.stderr {
				t.Errorf("%s: %q %q", test.why, out.String(), errs.String())
			}
			journal := w.journal()
			if test.gate.noOpen != "" && slices.ContainsFunc(journal, func(s string) bool { return strings.HasPrefix(s, "start") }) {
				t.Errorf("%s: %q", test.why, journal)
			}
			for _, name := range []string{"stdout", "stderr"} {
				if slices.Contains(journal, "open "+name) && !slices.Contains(journal, "close "+name) {
					t.Errorf("%s: the gate of %s stays open: %q", test.why, name, journal)
				}
			}
			// The digests are of what was let out, not of what was said.
			for _, e := range w.events {
				for _, d := range e.Digests {
					if want := map[string]int{"stdout": out.Len(), "stderr": errs.Len()}[d.Stream]; live && d.Bytes != int64(want) {
						t.Errorf("%s: digest of %d bytes, %d were let out", test.why, d.Bytes, want)
					}
				}
			}
		}
	}
}

func TestGateStaysClosedWhereNothingStarts(t *testing.T) {
	w := newWorld()
	w.gate, w.start = &gate{}, errTest
	sb := w.create(t)
	if _, err := sb.Run(t.Context(), say("x", "y")); !errors.Is(err, errTest) {
		t.Fatal(err)
	}
	want := []string{"record exec", "attach", "open stdout", "open stderr", "start say x y", "close stdout", "close stderr", "detach", "record result"}
	if got := w.journal()[4:]; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// What is lent is taken back, once, however it goes.
func TestCredentials(t *testing.T) {
	tests := []struct {
		name     string
		set      func(*world)
		cmd      kavach.Cmd
		detaches int
		err      error
	}{
		{"a command that ends", func(*world) {}, say("x", ""), 1, nil},
		{"a command that does not start", func(w *world) { w.start = errTest }, say("x", ""), 1, errTest},
		{"a gate that does not open", func(w *world) { w.gate = &gate{noOpen: "stdout"} }, say("x", ""), 1, errTest},
		{"nothing is lent", func(w *world) { w.attach = errTest }, say("x", ""), 0, errTest},
		{"they cannot be taken back", func(w *world) { w.detach = errTest }, say("x", ""), 1, errTest},
		{"a command that is too late", func(*world) {}, kavach.Cmd{Args: []string{"wait"}, Timeout: 10 * time.Millisecond}, 1, nil},
		{"a place that dies", func(*world) {}, kavach.Cmd{Args: []string{"die"}}, 1, backend.ErrDestroyed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			test.set(w)
			sb := w.create(t)
			if _, err := sb.Run(t.Context(), test.cmd); !errors.Is(err, test.err) || (err != nil) != (test.err != nil) {
				t.Errorf("%v, want %v", err, test.err)
			}
			n, ended := 0, false
			for _, line := range w.journal() {
				switch {
				case line == "detach":
					n++
					if ended {
						t.Error("taken back after the result was recorded")
					}
				case line == "record result":
					ended = true
				case strings.HasPrefix(line, "start") && test.detaches == 0:
					t.Error("it ran without")
				}
			}
			if n != test.detaches || !ended {
				t.Errorf("taken back %d times, want %d: %q", n, test.detaches, w.journal())
			}
		})
	}
}

// What a command has in its environment: the defaults, the policy's, the
// call's, what is lent, and nothing of ours.
func TestEnvironment(t *testing.T) {
	t.Setenv("OURS", "secret")
	t.Setenv("LD_PRELOAD", "")
	w := newWorld()
	sb := w.create(t, policy.Policy{Process: policy.Process{Env: map[string]string{"A": "policy", "B": "policy", "LANG": "C"}}})
	res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"env"}, Env: []string{"B=call", "C=1", "C=2", "D="}})
	if err != nil {
		t.Fatal(err)
	}
	want := "A=policy\nB=call\nC=2\nD=\nHOME=/tmp\nLANG=C\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nTOKEN=lent"
	if string(res.Stdout) != want {
		t.Errorf("got  %q\nwant %q", res.Stdout, want)
	}
}
