package kavach_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// hang is when a test takes what it waits for to be lost. It is no measure.
const hang = 2 * time.Minute

func onTerminal(script string) kavach.Cmd {
	cmd := sh(script)
	cmd.Terminal = &backend.WindowSize{Rows: 31, Cols: 97}
	return cmd
}

// person is who sits at a command's terminal.
type person struct {
	*testing.T
	process *kavach.Process
	keys    io.WriteCloser

	mu    sync.Mutex // guards what follows
	shown bytes.Buffer
	more  chan struct{} // capacity 1: there is more to see
}

func (p *person) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
	return p.shown.Write(b)
}

// sitDown starts a command and connects a person to it.
func sitDown(t *testing.T, sb *kavach.Sandbox, cmd kavach.Cmd) *person {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close(); r.Close() })
	p := &person{T: t, keys: w, more: make(chan struct{}, 1)}
	cmd.Stdin, cmd.Stdout = r, p
	if p.process, err = sb.Start(t.Context(), cmd); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *person) types(keys string) {
	p.Helper()
	if _, err := io.WriteString(p.keys, keys); err != nil {
		p.Fatal(err)
	}
}

// sees waits until a text is shown, and forgets all up to its end.
func (p *person) sees(text string) {
	p.Helper()
	late := time.After(hang)
	for {
		p.mu.Lock()
		shown := p.shown.String()
		at := strings.Index(shown, text)
		if at >= 0 {
			p.shown.Next(at + len(text))
		}
		p.mu.Unlock()
		if at >= 0 {
			return
		}
		select {
		case <-p.more:
		case <-late:
			p.Fatalf("%q is not shown, but %q", text, shown)
		}
	}
}

// ends waits for the end.
func (p *person) ends() *kavach.Result {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), hang)
	defer cancel()
	res, err := p.process.Wait(ctx)
	if err != nil {
		p.Fatal(err)
	}
	return res
}

func TestTerminal(t *testing.T) {
	tests := []struct {
		script, want, why string
	}{
		{"tty; stty size", "/dev/pts/0\r\n31 97\r\n", "it is the sandbox's own, and of the size that was asked for"},
		{"test -t 0 && test -t 1 && test -t 2 && echo all", "all\r\n", "all three descriptors are the terminal"},
		{"echo here >/dev/tty", "here\r\n", "it is the controlling terminal"},
		{"echo out; echo err >&2; echo out", "out\r\nerr\r\nout\r\n", "stderr is shown in its place"},
		{"ls /proc/self/fd | wc -l", "4\r\n", "nothing else is open, but the directory that is read"},
		{"printf 'a\\tb\\033[1m\\377'", "a\tb\x1b[1m\xff", "bytes are what they are"},
		{"stty -a | grep -ow iutf8", "iutf8\r\n", "the line editor erases characters"},
		{"exec </dev/null >/dev/null 2>&1; exec >/dev/tty; echo again", "again\r\n", "nobody has it open for a while"},
		{"seq 1 4000 | tail -n 3999; echo last", "", "more than a terminal holds"},
		{"(trap '' HUP; exec sleep 1000) & echo left", "left\r\n", "what is left behind has it open still"},
	}
	sb := real(t)
	for _, test := range tests {
		res, err := sb.Run(t.Context(), onTerminal(test.script))
		if err != nil {
			t.Fatalf("%s: %v", test.why, err)
		}
		want := test.want
		if want == "" {
			all, err := sb.Run(t.Context(), sh(test.script))
			if err != nil {
				t.Fatal(err)
			}
			want = strings.ReplaceAll(string(all.Stdout), "\n", "\r\n")
		}
		if res.ExitCode != 0 || res.Truncated || string(res.Stdout) != want || res.Stderr != nil {
			t.Errorf("%s: %.300q, want %.300q: %+v", test.why, res.Stdout, want, res.Usage)
		}
	}
}

func TestTerminalRefused(t *testing.T) {
	sb := real(t)
	cmd := onTerminal("true")
	cmd.Stderr = io.Discard
	if _, err := sb.Run(t.Context(), cmd); err == nil || !strings.Contains(err.Error(), "Stderr") {
		t.Errorf("a stderr beside a terminal: %v", err)
	}
	cmd = onTerminal("true")
	cmd.Args = []string{"/bin/nothing-is-here"}
	var refused *backend.ExecError
	if _, err := sb.Run(t.Context(), cmd); !errors.As(err, &refused) || !refused.NotFound() {
		t.Errorf("no such command: %v", err)
	}
	p, err := sb.Start(t.Context(), sh("sleep 1000"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Resize(backend.WindowSize{Rows: 1, Cols: 1}); err == nil {
		t.Error("a pipe has a size")
	}
	w := newWorld()
	q, err := w.create(t).Start(t.Context(), kavach.Cmd{Args: []string{"say", "", ""}})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Resize(backend.WindowSize{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a backend without terminals: %v", err)
	}
	if _, err := q.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// Keys mean what they mean on a terminal, a change of its size is told, and the
// end of what is typed is the end of nothing.
func TestTerminalSession(t *testing.T) {
	sb := real(t)
	p := sitDown(t, sb, kavach.Cmd{
		Args: []string{"/bin/bash", "--norc", "--noprofile"}, Env: []string{"PS1=ready> ", "TERM=dumb"},
		Terminal: &backend.WindowSize{Rows: 31, Cols: 97},
	})
	p.sees("ready> ")
	// The shell hands the terminal over before the program starts.
	started := func(program string) string { return "sh -c 'echo start''ed; exec " + program + "'\r" }
	p.types(started("sleep 1000"))
	p.sees("\r\nstarted\r\n")
	p.types("\x03")
	p.sees("ready> ")
	p.types("echo status=$?\r")
	p.sees("\r\nstatus=130\r\n")
	p.types("sh -c 'trap \"echo size=\\$(stty size)\" WINCH; echo start''ed; while :; do sleep .1; done'\r")
	p.sees("\r\nstarted\r\n")
	if err := p.process.Resize(backend.WindowSize{Rows: 11, Cols: 1111}); err != nil {
		t.Fatal(err)
	}
	p.sees("size=11 1111\r\n")
	p.types("\x03")
	p.sees("ready> ")
	p.types(started("cat"))
	p.sees("\r\nstarted\r\n")
	p.types("h\xc3\xa9\x7f\x7fello\r") // two characters, and both erased
	p.sees("\r\nello\r\n")
	p.types("\x04")
	p.sees("ready> ")
	p.types(started("sleep 1000"))
	p.sees("\r\nstarted\r\n")
	p.types("\x1a")
	p.sees("Stopped")
	p.types("kill -9 %1; wait; exec sh -c 'echo pid=$$; read line; exit 9'\r")
	p.sees("\r\npid=")
	p.keys.Close()
	if err := p.process.Signal(syscall.SIGCONT); err != nil { // it is there still
		t.Fatal(err)
	}
	if err := p.process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if res := p.ends(); res.Signal != syscall.SIGHUP || res.Truncated {
		t.Errorf("%+v", res)
	}
	if err := p.process.Resize(backend.WindowSize{Rows: 1, Cols: 1}); err != nil {
		t.Errorf("resize after the end: %v", err)
	}
}

// What is typed before anybody reads it waits, as far as a terminal holds it,
// and then the one who types does; meanwhile the place works.
func TestTerminalTypeAhead(t *testing.T) {
	sb := real(t)
	cmd := onTerminal("stty raw -echo; echo ready; until [ -e /tmp/go ]; do sleep .1; done; head -c 1000000 | sha256sum; echo done; sleep 1000")
	p := sitDown(t, sb, cmd)
	p.sees("ready")
	keys := bytes.Repeat([]byte("0123456789"), 100000)
	typed := make(chan error, 1)
	go func() { _, err := p.keys.Write(keys); typed <- err }()
	res, err := sb.Run(t.Context(), sh("echo >/tmp/go; printf '"+strings.Repeat("0123456789", 10)+"%.0s' $(seq 1 10000) | sha256sum"))
	if err != nil || res.ExitCode != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	p.sees(string(bytes.TrimSpace(res.Stdout)))
	if err := <-typed; err != nil {
		t.Error(err)
	}
	p.sees("done")
	if err := p.process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.ends()
}

// tardy takes what it is given when the command has long ended.
type tardy struct {
	bytes.Buffer
	begun, ready chan struct{}
	once         sync.Once
}

func (s *tardy) Write(b []byte) (int, error) {
	s.once.Do(func() { close(s.begun) })
	<-s.ready
	return s.Buffer.Write(b)
}

// Nothing is lost of what a command has shown, however late it is taken, and
// whoever has the terminal still.
func TestTerminalSlowReader(t *testing.T) {
	for _, script := range []string{
		"seq 1 3000; echo $$ >/tmp/ended",
		"seq 1 3000; (trap '' HUP; exec sleep 1000) & echo $$ >/tmp/ended",
	} {
		sb := real(t)
		taker := &tardy{begun: make(chan struct{}), ready: make(chan struct{})}
		cmd := onTerminal(script)
		cmd.Stdout = taker
		p, err := sb.Start(t.Context(), cmd)
		if err != nil {
			t.Fatal(err)
		}
		<-taker.begun
		if res, err := sb.Run(t.Context(), sh(`until [ -s /tmp/ended ]; do sleep .1; done
			while [ -d /proc/$(cat /tmp/ended) ]; do sleep .1; done`)); err != nil || res.ExitCode != 0 {
			t.Fatalf("%+v, %v", res, err)
		}
		ended := make(chan *kavach.Result, 1)
		go func() {
			res, err := p.Wait(t.Context())
			if err != nil {
				t.Error(err)
			}
			ended <- res
		}()
		time.Sleep(3 * time.Second) // it is waited for no more by then, were it one that lies
		close(taker.ready)
		res := <-ended
		want, err := sb.Run(t.Context(), sh("seq 1 3000"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(taker.String(), "\r", ""); got != string(want.Stdout) || res.Truncated {
			t.Errorf("%s: %d bytes, want %d: %+v", script, len(got), len(want.Stdout), res)
		}
	}
}

// With the command the terminal ends: it is hung up on what has it still.
func TestTerminalHangUp(t *testing.T) {
	sb := real(t)
	res, err := sb.Run(t.Context(), onTerminal(`
		(trap '' HUP; exec 3</dev/tty; echo >/tmp/open; cat <&3; echo >/tmp/gone) &
		until [ -e /tmp/open ]; do sleep .1; done`))
	if err != nil || res.ExitCode != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	if res, err := sb.Run(t.Context(), sh("until [ -e /tmp/gone ]; do sleep .1; done")); err != nil || res.ExitCode != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	if res, err := sb.Run(t.Context(), sh("ls /dev/pts")); err != nil || string(res.Stdout) != "ptmx\n" {
		t.Errorf("a terminal is left: %+v, %v", res, err)
	}
}

// Limits hold as they do without a terminal.
func TestTerminalLimits(t *testing.T) {
	sb := real(t, func(p *policy.Policy) { p.Resources.Output = 1000 })
	cmd := onTerminal("yes")
	cmd.Timeout = time.Second
	res, err := sb.Run(t.Context(), cmd)
	if err != nil || !res.TimedOut || !res.Truncated || len(res.Stdout) != 1000 {
		t.Errorf("%d bytes, %+v, %v", len(res.Stdout), res.TimedOut, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p := sitDown(t, sb, onTerminal("trap '' INT QUIT TSTP HUP TERM; echo ready; while :; do sleep 1; done"))
	p.sees("ready")
	p.types("\x03\x1c\x1a")
	cancel()
	if res, err := p.process.Wait(ctx); !errors.Is(err, context.Canceled) || res == nil || res.Signal != syscall.SIGKILL {
		t.Errorf("%+v, %v", res, err)
	}
}

// A session that is frozen goes on where it was, and one that is destroyed while
// it is open, or frozen, leaves nothing.
func TestTerminalPauseAndDestroy(t *testing.T) {
	real(t) // what is made once is made
	before := descriptors(t)
	for _, frozen := range []bool{false, true} {
		sb := real(t)
		p := sitDown(t, sb, onTerminal("echo ready; while read line; do echo got $line; done"))
		p.sees("ready")
		if err := pause(sb); errors.Is(err, errors.ErrUnsupported) {
			t.Log("an ordinary user has no freezer")
		} else if err != nil {
			t.Fatal(err)
		} else {
			p.types("typed\r")
			if err := resume(sb); err != nil {
				t.Fatal(err)
			}
			p.sees("got typed\r\n")
			if frozen {
				if err := pause(sb); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := destroy(sb); err != nil {
			t.Fatal(err)
		}
		if res, err := p.process.Wait(t.Context()); !errors.Is(err, backend.ErrDestroyed) || res.ExitCode != -1 {
			t.Errorf("%+v, %v", res, err)
		}
		p.keys.Close()
		p.process = nil
	}
	for range 200 {
		if descriptors(t) <= before+2 { // the tests' own pipes, which end with it
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d descriptors more", descriptors(t)-before)
}

func descriptors(t *testing.T) int {
	t.Helper()
	names, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// holder is a place whose commands are over at once, and whose terminals it does
// not let go.
type holder struct {
	*world
	held *os.File
}

type heldPlace struct {
	*place
	holder *holder
}

func (h *holder) Create(context.Context, backend.Spec) (backend.Instance, error) {
	return &heldPlace{&place{world: h.world}, h}, nil
}

func (h *heldPlace) Start(_ context.Context, cmd backend.Cmd) (backend.Process, error) {
	h.holder.held = dup(cmd.Stdout)
	r := &running{place: h.place, done: make(chan struct{})}
	close(r.done)
	_, err := io.WriteString(h.holder.held, "partial")
	return r, err
}

// A place that says that a command has ended, and holds its output, is not
// waited for without end.
func TestTerminalHeldByThePlace(t *testing.T) {
	h := &holder{world: newWorld()}
	rt := &kavach.Runtime{Backends: []backend.Backend{h}}
	sb, err := rt.Create(t.Context(), kavach.Config{Backend: "noop"})
	if err != nil {
		t.Fatal(err)
	}
	res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"hold"}, Terminal: &backend.WindowSize{}})
	h.held.Close()
	if err != nil || !res.Truncated || string(res.Stdout) != "partial" {
		t.Errorf("%+v, %v", res, err)
	}
}
