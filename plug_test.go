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
	"github.com/kavach-dev/kavach/credential"
	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/policy"
)

// world is a backend, an audit log, a gate and credentials that are not real and
// write what happens to them into one journal, so that its order can be seen.
type world struct {
	mu      sync.Mutex // guards what follows
	entries []string
	events  []kavach.Event

	refuse kavach.Act // the audit log does not take this
	gate   *words
	attach error // of where the credential is read
	detach error // of what takes it back
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
	rt := &kavach.Runtime{Backends: []backend.Backend{w}, Audit: w}
	if w.gate != nil {
		w.gate.world = w
		rt.Gate = w.gate.gate()
	}
	return rt
}

func (w *world) tryCreate(ctx context.Context) (*kavach.Sandbox, error) {
	return w.runtime().Create(ctx, w.config())
}

func (w *world) config() kavach.Config {
	return kavach.Config{Backend: "noop", Credentials: []credential.Ref{{
		Credential: policy.Credential{Name: "token", Source: "a test", As: "file:/run/secrets/token"}, From: (*lender)(w),
	}}}
}

func (w *world) create(t *testing.T, p ...policy.Policy) *kavach.Sandbox {
	t.Helper()
	cfg := w.config()
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

func (l *lender) Secret(context.Context, string) ([]byte, error) {
	w := (*world)(l)
	w.note("attach")
	return []byte("lent for a test"), w.attach
}

func (p *place) Give(string, []byte) error { return nil }
func (p *place) Take(string) error         { p.note("detach"); return p.detach }

// Gate

// words is a scanner that finds words, each of its own severity. It notes which
// streams it is opened for, and crashes on one of them.
type words struct {
	world *world
	find  map[string]gate.Severity
	crash string // name of the stream
}

func (w *words) gate() *gate.Gate {
	return &gate.Gate{Scanners: []gate.Scanner{{Name: "words", Version: "1", New: func(s gate.Subject) gate.Search {
		if w.world != nil && s.Depth == 0 {
			w.world.note("open %s", s.Name)
		}
		return &wordSearch{w, s.Name, s.Depth}
	}}}}
}

type wordSearch struct {
	*words
	name  string
	depth int
}

func (s *wordSearch) Next(w gate.Window, found func(gate.Match)) gate.Hold {
	if s.name == s.crash {
		panic("the test says so")
	}
	if w.End && s.world != nil && s.depth == 0 {
		s.world.note("close %s", s.name)
	}
	for word, severity := range s.find {
		for at := max(0, w.Fresh-len(word)+1); ; {
			i := bytes.Index(w.Data[at:], []byte(word))
			if i < 0 {
				break
			}
			from := w.Start + int64(at+i)
			found(gate.Match{Rule: "word", Severity: severity, Start: from, End: from + int64(len(word)), Preview: "…"})
			at += i + 1
		}
	}
	tail := w.Tail()
	const longest = 16
	return gate.Hold{Keep: max(w.Start, tail-longest), Soft: max(w.Start, tail-longest), Hard: tail}
}

func say(out, err string) kavach.Cmd { return kavach.Cmd{Args: []string{"say", out, err}} }

// Everything in its order: nothing happens before its record.
func TestOrder(t *testing.T) {
	w := newWorld()
	w.gate = &words{}
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
		"record exec", "attach", "start say x ", "end", "detach", "close stdout", "record result",
		"record pause", "freeze", "record resume", "thaw",
		"unmake", "record destroy",
	}
	// A scanner may see what is said while the command runs, or once it has
	// ended: what waited for a few milliseconds of silence is looked at then.
	journal := w.journal()
	opened := slices.Index(journal, "open stdout")
	if opened < slices.Index(journal, "start say x ") || opened > slices.Index(journal, "close stdout") {
		t.Errorf("stdout is opened in the wrong place: %q", journal)
	}
	if got := slices.DeleteFunc(journal, func(s string) bool { return s == "open stdout" }); !slices.Equal(got, want) {
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
	block := policy.Policy{Gate: policy.Gate{Block: policy.SeverityHigh}}
	tests := []struct {
		gate           words
		policy         policy.Policy
		stdout, stderr string
		verdict        gate.Verdict
		why            string
	}{
		{words{}, policy.Policy{}, "one two", "three", gate.Pass, "nothing against it"},
		{words{find: map[string]gate.Severity{"two": gate.Medium}}, policy.Policy{}, "one [redacted:word]", "three", gate.Redact, "what is redacted is"},
		{words{find: map[string]gate.Severity{"two": gate.Low}}, policy.Policy{}, "one two", "three", gate.Pass, "what is too little to be redacted is told"},
		{words{find: map[string]gate.Severity{"two": gate.High}}, block, "", "", gate.Block, "nothing of either stream, when one is withheld"},
		{words{find: map[string]gate.Severity{"three": gate.High}}, block, "", "", gate.Block, "nothing of either stream, when one is withheld"},
		{words{crash: "stdout"}, policy.Policy{}, "", "", gate.Block, "a scanner that crashes lets nothing out"},
		{words{crash: "stderr"}, policy.Policy{Gate: policy.Gate{Quarantine: policy.SeverityHigh}}, "", "", gate.Block, "nor where there is no quarantine to keep it"},
		{words{find: map[string]gate.Severity{"two": gate.Critical}}, policy.Policy{Gate: policy.Gate{Mode: policy.GateOff}}, "one two", "three", "", "the policy has nothing looked at"},
	}
	for _, test := range tests {
		for _, live := range []bool{false, true} {
			for _, mode := range []string{test.policy.Gate.Mode, policy.GateCollected} {
				if test.policy.Gate.Mode == policy.GateOff {
					mode = policy.GateOff
				}
				w := newWorld()
				g := test.gate
				w.gate = &g
				p := test.policy
				p.Gate.Mode = mode
				sb := w.create(t, p)
				cmd := say("one two", "three")
				var out, errs bytes.Buffer
				if live {
					cmd.Stdout, cmd.Stderr = &out, &errs
				}
				res, err := sb.Run(t.Context(), cmd)
				if err != nil || res.Gate.Verdict != test.verdict || res.Gate.Withheld() != (res.Gate.Reason != "") {
					t.Fatalf("%s: %v, %+v", test.why, err, res)
				}
				if !live {
					out.Write(res.Stdout)
					errs.Write(res.Stderr)
				}
				alone := live && mode == "" && test.verdict == gate.Block // live streams are let out each by itself
				if alone && (strings.Contains(out.String(), "two") && test.stderr == "" && g.find["three"] == 0 && g.crash != "stderr" || g.find["three"] != 0 && errs.Len() > 0) {
					t.Errorf("%s: live %q %q", test.why, out.String(), errs.String())
				}
				if !alone && (out.String() != test.stdout || errs.String() != test.stderr) {
					t.Errorf("%s: %q %q", test.why, out.String(), errs.String())
				}
				if off := slices.Contains(res.Unscanned, "stdout"); off != (mode == policy.GateOff) {
					t.Errorf("%s: unscanned %q", test.why, res.Unscanned)
				}
				// The digests are of what was let out, not of what was said.
				for _, e := range w.events {
					for _, d := range e.Digests {
						if want := map[string]int{"stdout": out.Len(), "stderr": errs.Len()}[d.Stream]; d.Bytes != int64(want) {
							t.Errorf("%s: digest of %d bytes, %d were let out", test.why, d.Bytes, want)
						}
					}
				}
			}
		}
	}
}

// What a policy has collected reaches the caller's own writer when its end is on
// record, and not before.
func TestCollectedAfterTheRecord(t *testing.T) {
	w := newWorld()
	sb := w.create(t, policy.Policy{Gate: policy.Gate{Mode: policy.GateCollected}})
	cmd := say("out", "")
	cmd.Stdout = noting{w}
	if _, err := sb.Run(t.Context(), cmd); err != nil {
		t.Fatal(err)
	}
	got := w.journal()
	if end := got[len(got)-3:]; !slices.Equal(end, []string{"record result", "record release", "told out"}) {
		t.Errorf("%q", got)
	}
	w.refuse = kavach.ActResult
	if _, err := sb.Run(t.Context(), cmd); !errors.Is(err, errTest) || slices.Index(w.journal()[len(got):], "told out") >= 0 {
		t.Errorf("%v, %q", err, w.journal()[len(got):])
	}
}

// noting is a caller's writer.
type noting struct{ w *world }

func (n noting) Write(p []byte) (int, error) { n.w.note("told %s", p); return len(p), nil }

func TestGateStaysClosedWhereNothingStarts(t *testing.T) {
	w := newWorld()
	w.gate, w.start = &words{}, errTest
	sb := w.create(t)
	if _, err := sb.Run(t.Context(), say("x", "y")); !errors.Is(err, errTest) {
		t.Fatal(err)
	}
	want := []string{"record exec", "attach", "start say x y", "detach", "record result"}
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
		{"a gate that crashes", func(w *world) { w.gate = &words{crash: "stdout"} }, say("x", ""), 1, nil},
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
// call's, and nothing of ours.
func TestEnvironment(t *testing.T) {
	t.Setenv("OURS", "secret")
	t.Setenv("LD_PRELOAD", "")
	w := newWorld()
	sb := w.create(t, policy.Policy{Process: policy.Process{Env: map[string]string{"A": "policy", "B": "policy", "LANG": "C"}}})
	res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"env"}, Env: []string{"B=call", "C=1", "C=2", "D="}})
	if err != nil {
		t.Fatal(err)
	}
	want := "A=policy\nB=call\nC=2\nD=\nHOME=/tmp\nLANG=C\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if string(res.Stdout) != want {
		t.Errorf("got  %q\nwant %q", res.Stdout, want)
	}
}
