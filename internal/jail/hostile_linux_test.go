package jail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/testclock"
)

// This test binary is its own guest, and a hostile one: what it does at the
// set-up is named by the size of the scratch space that it is told, and what it
// does later by the command that it is to run.
func init() {
	if len(os.Args) > 0 && os.Args[0] == guest.Name {
		err := hostile()
		fmt.Fprintln(os.Stderr, "hostile guest:", err)
		os.Exit(1)
	}
}

// What a hostile guest does at the set-up.
const (
	behave = iota
	leave
	ready       // says so, and proves nothing
	badReport   // a report of another size
	garbage     // no frames
	started     // an answer that nobody asked for
	descriptors // with an answer
	tooLong     // a frame that says that it is
	silent      // no answer at all
	loud        // on its stderr, before it leaves
	failed      // with a text that is long
	setupModes
)

// sendRaw writes bytes on the channel, and descriptors with them.
func sendRaw(b []byte, fds ...int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	return unix.Sendmsg(guest.ChannelFD, b, oob, nil, unix.MSG_NOSIGNAL)
}

// stay does nothing, without the Go runtime taking it for a deadlock.
func stay() {
	for {
		time.Sleep(time.Hour)
	}
}

func hostile() error {
	dup, err := unix.Dup(guest.ChannelFD)
	if err != nil {
		return err
	}
	c, err := guest.NewGuestConn(os.NewFile(uintptr(dup), "channel"))
	if err != nil {
		return err
	}
	frame, fds, err := c.Receive()
	if err != nil {
		return err
	}
	setup, ok := frame.(*guest.Setup)
	if !ok || len(fds) < 2 {
		return fmt.Errorf("%T with %v", frame, fds)
	}
	mode, probe := setup.Scratch-ownSpace, fds[len(fds)-1]
	report := make([]byte, guest.ReportSize)
	switch mode {
	case leave:
		return errors.New("good-bye")
	case ready:
		_ = c.Send(&guest.Ready{})
	case badReport:
		_ = unix.Send(probe, report[1:], 0)
	case garbage:
		_ = unix.Send(probe, report, 0)
		_ = sendRaw(bytes.Repeat([]byte{0xff}, 100))
	case started:
		_ = unix.Send(probe, report, 0)
		_ = c.Send(&guest.Started{ID: 1})
	case descriptors:
		_ = unix.Send(probe, report, 0)
		_ = sendRaw([]byte{0, 0, 0, 0, 0x81, 3, 0, 0}, 0, 1, 2)
		return errors.New("good-bye")
	case tooLong:
		_ = unix.Send(probe, report, 0)
		_ = sendRaw([]byte{0xff, 0xff, 0xff, 0x7f, 0x82, 0, 0, 0})
	case silent:
	case loud:
		for range 1000 {
			os.Stderr.Write(bytes.Repeat([]byte("x"), 64<<10))
		}
		return errors.New("the last word")
	case failed:
		_ = unix.Send(probe, report, 0)
		_ = c.Send(&guest.Failed{Step: strings.Repeat("s", 30<<10), Detail: "\x1b[2J", Errno: 1<<32 - 1})
	}
	if mode != behave {
		stay() // until it is killed
	}
	if err := unix.Send(probe, report, 0); err != nil {
		return err
	}
	if err := c.Send(&guest.Ready{}); err != nil {
		return err
	}
	for {
		frame, fds, err := c.Receive()
		if err != nil {
			return err
		}
		if f, ok := frame.(*guest.Exec); ok {
			answer(c, f, fds)
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

// answer does with a command what its name says.
func answer(c *guest.Conn, f *guest.Exec, fds []int) {
	say := func(frames ...guest.Frame) {
		for _, f := range frames {
			_ = c.Send(f)
		}
	}
	ok := func() { say(&guest.Started{ID: f.ID}, &guest.Exited{ID: f.ID}) }
	switch f.Args[0] {
	case "ok":
		ok()
	case "unknown ids":
		say(&guest.Started{ID: 999}, &guest.Refused{ID: 999, Step: "exec", Errno: 2}, &guest.Exited{ID: 999}, &guest.Exited{ID: 0})
		ok()
	case "after the end":
		ok()
		say(&guest.Started{ID: f.ID}, &guest.Exited{ID: f.ID}, &guest.Refused{ID: f.ID})
	case "started twice":
		say(&guest.Started{ID: f.ID}, &guest.Started{ID: f.ID})
	case "ended before it started":
		say(&guest.Exited{ID: f.ID})
	case "refused after it started":
		say(&guest.Started{ID: f.ID}, &guest.Refused{ID: f.ID, Step: "exec", Errno: 2})
	case "odd numbers":
		var denials []guest.DeniedCall
		for i := range 1000 {
			denials = append(denials, guest.DeniedCall{Number: -1 << 63, Count: 1<<32 - 1}, guest.DeniedCall{Number: int64(i)})
		}
		say(&guest.Started{ID: f.ID}, &guest.Exited{ID: f.ID, Status: 1<<32 - 1, CPUMicros: 1<<63 - 1, MaxRSS: -1, Denials: denials})
	case "odd errno":
		say(&guest.Refused{ID: f.ID, Step: "\x1b]0;title\a", Errno: 1<<32 - 1})
	case "a frame of the host's":
		say(&guest.Exec{ID: f.ID, Args: []string{"sh"}})
	case "ready again":
		say(&guest.Ready{})
	case "descriptors":
		_ = sendRaw([]byte{4, 0, 0, 0, 0x83, 3, 0, 0, byte(f.ID), 0, 0, 0}, fds...)
	case "descriptors in the middle":
		_ = sendRaw([]byte{4, 0, 0, 0, 0x83, 0, 0, 0})
		_ = sendRaw([]byte{byte(f.ID), 0, 0, 0}, fds...)
		say(&guest.Exited{ID: f.ID})
	case "garbage":
		_ = sendRaw(bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 100))
	case "half a frame":
		_ = sendRaw([]byte{4, 0, 0, 0, 0x83, 0, 0, 0, 1})
		os.Exit(0)
	case "leave":
		os.Exit(3)
	case "flood":
		for range 100_000 {
			say(&guest.Exited{ID: 12345})
		}
		ok()
	case "silent":
	case "deaf":
		say(&guest.Started{ID: f.ID})
		stay() // reads nothing any more
	}
}

// hostileJail starts a jail with this test binary as its guest.
func hostileJail(t *testing.T, ctx context.Context, mode int64) (*Jail, string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprintf("%016x", rand.Uint64())
	var j *Jail
	start := func() (err error) {
		j, err = Start(ctx, Config{
			ID: id, Backend: "test", Guest: self, UID: os.Geteuid(), GID: os.Getegid(),
			Scratch: mode, Memory: -1, PIDs: -1, CPUs: -1,
		})
		return err
	}
	if mode == behave {
		err = testclock.Again(t, start)
	} else {
		err = start()
	}
	if err == nil {
		t.Cleanup(func() {
			if err := j.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	return j, id, err
}

func fdCount(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// patient is a context that ends when something hangs.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	stop := testclock.AfterFunc(patience, cancel)
	t.Cleanup(func() { stop(); cancel() })
	return ctx
}

// settles waits until there are no more descriptors and goroutines than before.
func settles(t *testing.T, files, goroutines int) {
	t.Helper()
	if testclock.Until(patience, func() bool { return fdCount(t) <= files && runtime.NumGoroutine() <= goroutines }) {
		return
	}
	t.Errorf("%d descriptors and %d goroutines more than before", fdCount(t)-files, runtime.NumGoroutine()-goroutines)
}

// To the host each byte from a guest is hostile: there is an error, nothing
// else, and nothing is left.
func TestHostileSetUp(t *testing.T) {
	if j, _, err := hostileJail(t, t.Context(), behave); err != nil {
		t.Fatalf("the one that behaves is refused: %v", err)
	} else if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for mode := int64(leave); mode < setupModes; mode++ {
		t.Run(fmt.Sprint(mode), func(t *testing.T) {
			files, goroutines := fdCount(t), runtime.NumGoroutine()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // what ends the wait for those that are silent
			defer cancel()
			_, id, err := hostileJail(t, ctx, mode)
			if err == nil {
				t.Fatal("no error")
			}
			if len(err.Error()) > 64<<10 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			if strings.Contains(err.Error(), "\x1b") {
				t.Error("control characters reach the terminal")
			}
			t.Logf("%.200q", err)
			dir, err := StateDir()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(dir + "/" + id + recordSuffix); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("its record: %v", err)
			}
			cancel()
			settles(t, files, goroutines+1) // the context's
		})
	}
}

func TestHostileExec(t *testing.T) {
	for _, test := range []struct {
		does string
		// lives: the jail goes on; else it is ended, and so is the command.
		lives bool
		why   string
	}{
		{"ok", true, "one that behaves"},
		{"unknown ids", true, "an id that is known no more is no harm"},
		{"after the end", true, "an id that is known no more is no harm"},
		{"odd numbers", true, "they are shown, and nothing is done by them"},
		{"flood", true, "what nobody asked for is dropped"},
		{"started twice", false, "the protocol has one answer"},
		{"ended before it started", false, "who waits for the start must not wait for ever"},
		{"refused after it started", false, "a command that runs is not refused"},
		{"a frame of the host's", false, "a guest does not command"},
		{"ready again", false, "once is enough"},
		{"descriptors", false, "a descriptor from inside is a way in"},
		{"garbage", false, "what is no frame has no meaning"},
		{"half a frame", false, "the end, in a frame"},
		{"leave", false, "the end"},
	} {
		t.Run(test.does, func(t *testing.T) {
			j, _, err := hostileJail(t, t.Context(), behave)
			if err != nil {
				t.Fatal(err)
			}
			files, ctx := fdCount(t), patient(t)
			p, err := j.Exec(ctx, backend.Cmd{Args: []string{test.does}, Dir: "/"})
			if err == nil {
				_, err = p.Wait(ctx)
			}
			if ctx.Err() != nil {
				t.Fatalf("it hangs: %s", test.why)
			}
			if lives := err == nil; lives != test.lives {
				t.Errorf("%v: %s", err, test.why)
			}
			again, err := j.Exec(ctx, backend.Cmd{Args: []string{"ok"}, Dir: "/"})
			if err == nil {
				_, err = again.Wait(ctx)
			}
			if lives := err == nil; lives != test.lives || !lives && !errors.Is(err, backend.ErrDestroyed) {
				t.Errorf("afterwards: %v", err)
			}
			if fdCount(t) > files {
				t.Errorf("%d descriptors more", fdCount(t)-files)
			}
		})
	}
}

// A refusal is the caller's matter, whatever the guest writes into it.
func TestHostileRefusal(t *testing.T) {
	j, _, err := hostileJail(t, t.Context(), behave)
	if err != nil {
		t.Fatal(err)
	}
	_, err = j.Exec(t.Context(), backend.Cmd{Args: []string{"odd errno"}, Dir: "/"})
	var refused *backend.ExecError
	if !errors.As(err, &refused) || refused.Path != "odd errno" {
		t.Errorf("%v", err)
	}
	if strings.ContainsAny(err.Error(), "\x1b\a") {
		t.Errorf("control characters reach the terminal: %q", err)
	}
}

// Descriptors that come with the middle of a frame are dropped by the kernel.
func TestHostileDescriptorsInTheMiddle(t *testing.T) {
	j, _, err := hostileJail(t, t.Context(), behave)
	if err != nil {
		t.Fatal(err)
	}
	files, ctx := fdCount(t), patient(t)
	p, err := j.Exec(ctx, backend.Cmd{Args: []string{"descriptors in the middle"}, Dir: "/"})
	if err == nil {
		_, err = p.Wait(ctx)
	}
	if ctx.Err() != nil {
		t.Fatal("it hangs")
	}
	if fdCount(t) > files {
		t.Errorf("%d descriptors more (%v)", fdCount(t)-files, err)
	}
}

// A guest that takes no frame holds nobody up for longer than the patience.
func TestDeafGuest(t *testing.T) {
	j, _, err := hostileJail(t, t.Context(), behave)
	if err != nil {
		t.Fatal(err)
	}
	p, err := j.Exec(t.Context(), backend.Cmd{Args: []string{"deaf"}, Dir: "/"})
	if err != nil {
		t.Fatal(err)
	}
	watch := testclock.Start()
	long := strings.Repeat("x", 1<<20)
	for i := range 4 { // more than the socket holds
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if _, err := j.Exec(ctx, backend.Cmd{Args: []string{"true", long}, Dir: "/"}); err == nil {
			t.Errorf("command %d was started", i)
		}
		cancel()
	}
	if took := watch.Ran(); took > patience {
		t.Errorf("it took %v", took)
	}
	if _, err := p.Wait(t.Context()); !errors.Is(err, backend.ErrDestroyed) {
		t.Errorf("wait: %v", err)
	}
}

// A guest that never says whether it started a command is left at the caller's
// deadline.
func TestSilentGuest(t *testing.T) {
	j, _, err := hostileJail(t, t.Context(), behave)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := j.Exec(ctx, backend.Cmd{Args: []string{"silent"}, Dir: "/"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// A guest that does not read the secrets that it is given keeps nobody: when Exec has
// returned, nothing writes them any more, whatever was said.
func TestHostileToSecrets(t *testing.T) {
	value := make([]byte, backend.MaxSecret)
	var secrets []backend.Secret
	for _, name := range []string{"A", "B", "C"} { // more than a pipe holds
		secrets = append(secrets, backend.NewSecret(name, value))
	}
	for _, does := range []string{"ok", "odd errno", "garbage", "leave", "silent"} {
		j, _, err := hostileJail(t, t.Context(), behave)
		if err != nil {
			t.Fatal(err)
		}
		files, goroutines := fdCount(t), runtime.NumGoroutine()
		until := patience
		if does == "silent" {
			until = 200 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), until)
		_, err = j.Exec(ctx, backend.Cmd{Args: []string{does}, Dir: "/", Secrets: secrets})
		if (err == nil) != (does == "ok") {
			t.Errorf("%s: %v", does, err)
		}
		cancel()
		clear(value) // the race detector sees who still has it
		settles(t, files, goroutines)
	}
}
