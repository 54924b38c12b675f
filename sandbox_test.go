package kavach_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/noop"
	"github.com/kavach-dev/kavach/backend/process"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/internal/testclock"
	"github.com/kavach-dev/kavach/policy"
)

func TestMain(m *testing.M) { testbin.Main(m) }

// real makes a sandbox of the process backend.
func real(t testing.TB, change ...func(*policy.Policy)) *kavach.Sandbox {
	t.Helper()
	p, err := policy.Preset("basic")
	if err != nil {
		t.Fatal(err)
	}
	p.BestEffort = []policy.Control{policy.Limits}          // an ordinary user has rlimits only
	p.Resources.Timeout = policy.Duration(10 * time.Minute) // far off, for tests that are not about it
	for _, c := range change {
		c(&p)
	}
	rt := &kavach.Runtime{Backends: []backend.Backend{&process.Backend{Guest: testbin.Kavach(t)}}}
	var sb *kavach.Sandbox
	if err := testclock.Again(t, func() (err error) {
		sb, err = rt.Create(t.Context(), kavach.Config{Policy: p})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := testclock.Again(t, func() error { return sb.Destroy(context.Background()) }); err != nil {
			t.Errorf("destroy: %v", err)
		}
	})
	return sb
}

// far is a time by which something that does not hang has come.
const far = time.Minute

func sh(script string) kavach.Cmd { return kavach.Cmd{Args: []string{"/bin/sh", "-c", script}} }

func TestNoCommand(t *testing.T) {
	w := newWorld()
	sb := w.create(t)
	for _, args := range [][]string{nil, {}, {""}, {"", "x"}} {
		if _, err := sb.Run(t.Context(), kavach.Cmd{Args: args}); err == nil {
			t.Errorf("%q runs", args)
		}
	}
	if journal := w.journal(); len(journal) != 4 {
		t.Errorf("%q", journal)
	}
}

func TestCandidates(t *testing.T) {
	if _, err := new(kavach.Runtime).Create(t.Context(), kavach.Config{}); !errors.Is(err, kavach.ErrNoBackend) {
		t.Errorf("no backends: %v", err)
	}
	w := newWorld()
	if _, err := w.runtime().Create(t.Context(), kavach.Config{}); err == nil {
		t.Error("noop was chosen, and is only to be named")
	}
	for _, cfg := range []kavach.Config{
		{Backend: "noop", Policy: policy.Policy{Require: policy.Require{Backends: []string{"process"}}}},
		{Backend: "process"},
		{Backend: "nope"},
		{Backend: "noop", Policy: policy.Policy{Filesystem: policy.Filesystem{Root: "/"}}},
	} {
		if _, err := w.runtime().Create(t.Context(), cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
	if journal := w.journal(); len(journal) > 0 {
		t.Errorf("something was made: %q", journal)
	}
	var low *kavach.ScoreError
	_, err := w.runtime().Create(t.Context(), kavach.Config{Backend: "noop", Policy: policy.Policy{Require: policy.Require{MinScore: 1}}})
	if !errors.As(err, &low) || low.Min != 1 || !slices.Contains(w.journal(), "unmake") {
		t.Errorf("%v, %q", err, w.journal())
	}
}

// Nothing that two callers do at once leaves anything, or hangs.
func TestRaces(t *testing.T) {
	real(t) // what is made once is made
	before := runtime.NumGoroutine()
	tests := []struct {
		name string
		do   []func(*kavach.Sandbox) error
	}{
		{"destroy and destroy", []func(*kavach.Sandbox) error{destroy, destroy, destroy}},
		{"destroy and run", []func(*kavach.Sandbox) error{destroy, runIt, runIt, runIt}},
		{"destroy and sleep", []func(*kavach.Sandbox) error{later(destroy), sleepy, sleepy}},
		{"destroy and pause", []func(*kavach.Sandbox) error{later(destroy), sleepy, pause, resume, pause, resume}},
		{"many runs", []func(*kavach.Sandbox) error{runIt, runIt, runIt, runIt, runIt, runIt, runIt, runIt}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for range 5 {
				sb := real(t)
				var wg sync.WaitGroup
				for i, do := range test.do {
					wg.Add(1)
					go func() {
						defer wg.Done()
						var state *kavach.StateError
						err := do(sb)
						if err != nil && !errors.As(err, &state) && !errors.Is(err, backend.ErrDestroyed) && !errors.Is(err, errors.ErrUnsupported) {
							t.Errorf("%d: %v", i, err)
						}
					}()
				}
				ended := make(chan struct{})
				go func() { wg.Wait(); close(ended) }()
				if _, ok := testclock.Receive(ended, far); !ok {
					t.Fatal("it hangs")
				}
				if err := sb.Destroy(t.Context()); err != nil || sb.State() != kavach.Destroyed {
					t.Errorf("%v, the state is %s", err, sb.State())
				}
			}
		})
	}
	if testclock.Until(far, func() bool { return runtime.NumGoroutine() <= before }) {
		return
	}
	buf := make([]byte, 64<<10)
	t.Errorf("%d goroutines more\n%s", runtime.NumGoroutine()-before, buf[:runtime.Stack(buf, true)])
}

func destroy(sb *kavach.Sandbox) error { return sb.Destroy(context.Background()) }
func pause(sb *kavach.Sandbox) error   { return sb.Pause(context.Background()) }
func resume(sb *kavach.Sandbox) error  { return sb.Resume(context.Background()) }

func runIt(sb *kavach.Sandbox) error {
	res, err := sb.Run(context.Background(), sh("echo here"))
	if err == nil && string(res.Stdout) != "here\n" {
		return fmt.Errorf("%+v", res)
	}
	return err
}

func sleepy(sb *kavach.Sandbox) error {
	_, err := sb.Run(context.Background(), sh("sleep 1000"))
	return err
}

func later(do func(*kavach.Sandbox) error) func(*kavach.Sandbox) error {
	return func(sb *kavach.Sandbox) error {
		time.Sleep(30 * time.Millisecond)
		return do(sb)
	}
}

// Destroy is legal in every state, again as well.
func TestDestroyFromEveryState(t *testing.T) { testclock.Try(t, destroyFromEveryState) }

func destroyFromEveryState(t testing.TB) {
	tests := []struct {
		state kavach.State
		reach func(*kavach.Sandbox) error
	}{
		{kavach.Running, func(*kavach.Sandbox) error { return nil }},
		{kavach.Paused, pause},
		{kavach.Destroyed, destroy},
	}
	for _, test := range tests {
		sb := real(t)
		p, err := sb.Start(t.Context(), sh("sleep 1000"))
		if err != nil {
			t.Fatal(err)
		}
		if err := test.reach(sb); errors.Is(err, errors.ErrUnsupported) {
			continue // an ordinary user has no freezer
		} else if err != nil || sb.State() != test.state {
			t.Fatalf("%v, the state is %s", err, sb.State())
		}
		for range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // it goes on all the same
			if err := sb.Destroy(ctx); err != nil || sb.State() != kavach.Destroyed {
				t.Errorf("from %s: %v, the state is %s", test.state, err, sb.State())
			}
		}
		res, err := p.Wait(t.Context())
		if !errors.Is(err, backend.ErrDestroyed) || res == nil || res.ExitCode != -1 || sb.State() != kavach.Destroyed {
			t.Errorf("from %s: the command: %+v, %v", test.state, res, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	sb := real(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sb.Run(ctx, sh("true")); !errors.Is(err, context.Canceled) {
		t.Errorf("before: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	cmd := sh("echo partial; sleep 1000 & sleep 1000")
	cmd.Stdout = writerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil })
	res, err := sb.Run(ctx, cmd)
	if !errors.Is(err, context.Canceled) || res == nil || res.TimedOut || res.Signal != syscall.SIGKILL {
		t.Errorf("meanwhile: %+v, %v", res, err)
	}
	if res, err := sb.Run(t.Context(), sh("echo well")); err != nil || string(res.Stdout) != "well\n" {
		t.Errorf("afterwards: %+v, %v", res, err)
	}
}

func TestTimeout(t *testing.T) {
	const short, long = 500 * time.Millisecond, time.Hour
	tests := []struct {
		why             string
		policy, command time.Duration
		late            bool
	}{
		{"the policy's", short, 0, true},
		{"the command's, which is shorter", long, short, true},
		{"the policy's, which is shorter", short, long, true},
		{"a negative one is none of its own", short, -1, true},
		{"there is time enough", long, long, false},
		{"none", policy.Unlimited, 0, false},
	}
	for _, test := range tests {
		t.Run(test.why, func(t *testing.T) {
			testclock.Try(t, func(t testing.TB) {
				sb := real(t, func(p *policy.Policy) { p.Resources.Timeout = policy.Duration(test.policy) })
				cmd := sh("echo partial; sleep 0.7")
				if test.late {
					cmd = sh("echo partial; sleep 1000")
				}
				cmd.Timeout = test.command
				res, err := sb.Run(t.Context(), cmd)
				if err != nil {
					t.Fatal(err)
				}
				if res.TimedOut != test.late || test.late && (res.Usage.Wall < short || res.ExitCode != -1) || string(res.Stdout) != "partial\n" {
					t.Errorf("%+v", res)
				}
			})
		})
	}
}

// Silence of a place that was asked to start a command ends at the deadline, and
// ends the place.
func TestSilentPlace(t *testing.T) {
	w := newWorld()
	w.silent = true
	sb := w.create(t)
	cmd := say("x", "")
	cmd.Timeout = 50 * time.Millisecond
	_, err := sb.Run(t.Context(), cmd)
	if !errors.Is(err, context.DeadlineExceeded) || sb.State() != kavach.Destroyed {
		t.Errorf("%v, the state is %s", err, sb.State())
	}
	if n := len(w.journal()); w.journal()[n-1] != "record result" || !slices.Contains(w.journal(), "detach") {
		t.Errorf("%q", w.journal())
	}
}

func TestOutputLimit(t *testing.T) {
	const limit = 1000
	tests := []struct {
		write     int
		truncated bool
	}{{0, false}, {limit - 1, false}, {limit, false}, {limit + 1, true}, {1 << 20, true}}
	for _, live := range []bool{false, true} {
		sb := real(t, func(p *policy.Policy) { p.Resources.Output = limit })
		for _, test := range tests {
			cmd := sh(fmt.Sprintf("head -c %d /dev/zero; head -c 5 /dev/zero >&2", test.write))
			var out bytes.Buffer
			if live {
				cmd.Stdout = &out
			}
			res, err := sb.Run(t.Context(), cmd)
			if err != nil {
				t.Fatal(err)
			}
			if !live {
				out.Write(res.Stdout)
			} else if res.Stdout != nil {
				t.Error("live output is in the result as well")
			}
			if out.Len() != min(test.write, limit) || res.Truncated != test.truncated || res.ExitCode != 0 || len(res.Stderr) != 5 {
				t.Errorf("%d bytes, live %t: %d came, truncated %t, exit %d", test.write, live, out.Len(), res.Truncated, res.ExitCode)
			}
		}
	}
}

// slow is a reader of output that takes its time.
type slow struct{ bytes.Buffer }

func (s *slow) Write(p []byte) (int, error) {
	time.Sleep(400 * time.Millisecond)
	return s.Buffer.Write(p)
}

// What a command wrote before it ended is not lost because the caller was slow.
func TestSlowReader(t *testing.T) {
	sb := real(t)
	cmd := sh("head -c 150000 /dev/zero")
	var out slow
	cmd.Stdout = &out
	res, err := sb.Run(t.Context(), cmd)
	if err != nil || out.Len() != 150000 || res.Truncated {
		t.Errorf("%d bytes, %+v, %v", out.Len(), res, err)
	}
}

// A writer that fails stops the release, not the command.
func TestBrokenWriter(t *testing.T) {
	sb := real(t)
	cmd := sh("head -c 1000000 /dev/zero; exit 3")
	cmd.Stdout = brokenWriter{}
	res, err := sb.Run(t.Context(), cmd)
	if !errors.Is(err, errTest) || res == nil || res.ExitCode != 3 {
		t.Errorf("%+v, %v", res, err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errTest }

func TestStdin(t *testing.T) {
	sb := real(t)
	long := strings.Repeat("0123456789", 100_000)
	tests := []struct {
		why    string
		stdin  io.Reader
		script string
		want   string
	}{
		{"nil is /dev/null", nil, "cat; readlink /proc/self/fd/0", "/dev/null\n"},
		{"empty", strings.NewReader(""), "cat", ""},
		{"text", strings.NewReader("text"), "cat", "text"},
		{"more than a pipe holds", strings.NewReader(long), "cat", long},
		{"a command that does not read it", strings.NewReader(long), "echo done", "done\n"},
		{"a reader that fails ends it", io.MultiReader(strings.NewReader("part"), failingReader{}), "cat", "part"},
	}
	for _, test := range tests {
		cmd := sh(test.script)
		cmd.Stdin = test.stdin
		res, err := sb.Run(t.Context(), cmd)
		if err != nil || string(res.Stdout) != test.want {
			t.Errorf("%s: %d bytes, %v", test.why, len(res.Stdout), err)
		}
	}
	// One that never ends holds nobody up.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	cmd := sh("echo done")
	cmd.Stdin = r
	cmd.Timeout = far
	if res, err := sb.Run(t.Context(), cmd); err != nil || string(res.Stdout) != "done\n" || res.TimedOut {
		t.Errorf("%+v, %v", res, err)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errTest }

// The command's environment and directory, as the command sees them.
func TestWhatACommandSees(t *testing.T) {
	t.Setenv("OURS", "secret")
	sb := real(t, func(p *policy.Policy) {
		p.Process.Env = map[string]string{"A": "policy"}
		p.Process.Workdir = "/tmp"
	})
	cmd := kavach.Cmd{Args: []string{"env"}, Env: []string{"B=call"}}
	res, err := sb.Run(t.Context(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(res.Stdout))
	slices.Sort(got)
	want := []string{"A=policy", "B=call", "HOME=/tmp", "LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for dir, want := range map[string]string{"": "/tmp\n", "/usr": "/usr\n"} {
		res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"pwd"}, Dir: dir})
		if err != nil || string(res.Stdout) != want {
			t.Errorf("%q: %+v, %v", dir, res, err)
		}
	}
	var refused *backend.ExecError
	if _, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"pwd"}, Dir: "/nowhere"}); !errors.As(err, &refused) || refused.Step != "chdir" {
		t.Errorf("a directory that is not there: %v", err)
	}
	if _, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"no-such-command"}}); !errors.As(err, &refused) || !refused.NotFound() {
		t.Errorf("a command that is not there: %v", err)
	}
}

// What a command comes to is a result, not an error.
func TestOutcomes(t *testing.T) {
	sb := real(t)
	for _, test := range []struct {
		script string
		code   int
		signal syscall.Signal
	}{
		{"exit 0", 0, 0}, {"exit 7", 7, 0}, {"exit 255", 255, 0},
		{"kill -TERM $$", -1, syscall.SIGTERM}, {"kill -KILL $$", -1, syscall.SIGKILL},
	} {
		res, err := sb.Run(t.Context(), sh(test.script))
		if err != nil || res.ExitCode != test.code || res.Signal != test.signal || res.TimedOut || res.OOMKilled {
			t.Errorf("%s: %+v, %v", test.script, res, err)
		}
	}
	cmd, up := sh("trap 'exit 9' USR1; echo up; while :; do sleep 0.01; done"), make(chan bool, 1)
	cmd.Stdout = writerFunc(func(p []byte) (int, error) { up <- true; return len(p), nil })
	p, err := sb.Start(t.Context(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := testclock.Receive(up, far); !ok {
		t.Fatal("it does not come up")
	}
	if err := p.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if res, err := p.Wait(t.Context()); err != nil || res.ExitCode != 9 {
		t.Errorf("%+v, %v", res, err)
	}
}

// Commands of one sandbox, many at once.
func TestManyAtOnce(t *testing.T) {
	sb := real(t)
	var wg sync.WaitGroup
	var wrong atomic.Int64
	for i := range 40 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			res, err := sb.Run(t.Context(), sh(fmt.Sprintf("cat; echo %d; exit %d", i, i)))
			if err != nil || string(res.Stdout) != fmt.Sprintln(i) || res.ExitCode != i {
				wrong.Add(1)
			}
		}()
	}
	wg.Wait()
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d of 40 went wrong", n)
	}
}

// A reader that is slow to take the output does not make a command late that
// ended in time.
func TestSlowReaderIsNotLate(t *testing.T) { testclock.Try(t, slowReaderIsNotLate) }

func slowReaderIsNotLate(t testing.TB) {
	rt := &kavach.Runtime{Backends: []backend.Backend{noop.Backend{}}}
	sb, err := rt.Create(t.Context(), kavach.Config{Backend: "noop"})
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Destroy(context.Background())
	res, err := sb.Run(t.Context(), kavach.Cmd{
		Args: []string{"/bin/echo", "x"}, Timeout: time.Second,
		Stdout: writerFunc(func(p []byte) (int, error) { time.Sleep(1500 * time.Millisecond); return len(p), nil }),
	})
	if err != nil || res.TimedOut || res.ExitCode != 0 {
		t.Errorf("got %+v, %v", res, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
