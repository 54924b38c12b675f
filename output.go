package kavach

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/gate"
)

// tailSize is how much of the end of stderr is kept to explain a failure from.
const tailSize = 32 << 10

// streams is the standard input and output of one command: pipes on the
// command's side, the limit and the gate on the caller's.
type streams struct {
	stdin  *os.File // our end; nil: none
	inside []*os.File
	input  io.Reader
	out    []*output      // stdout and stderr; of a terminal, stdout alone
	gate   *gate.Command  // what all output passes through
	wg     sync.WaitGroup // the readers of output
}

// output is one stream on its way out.
type output struct {
	name      string // "stdout" or "stderr"
	pipe      *os.File
	sink      io.Writer     // the gate
	collected *bytes.Buffer // nil: live
	caller    io.Writer     // what is collected for the caller's own writer goes there in the end; nil: into the Result
	announce  func() error  // of caller
	limit     int64         // bytes that get through; negative: all
	terminal  bool          // it is what a terminal shows

	used int // of the buffer that the reader reads into

	// Written by the reader, read after wg.
	truncated bool
	held      bool // something had it open still, when the wait for it was over
	failed    error
	digest    *digester
}

// released is what came of all streams.
type released struct {
	stdout, stderr []byte
	stderrTail     []byte
	truncated      bool
	digests        []Digest
	report         gate.Report
	err            error
}

// open makes the pipes of a command and puts the gate before the caller.
func (s *Sandbox) open(ctx context.Context, exec int, cmd Cmd, inner *backend.Cmd) (_ *streams, err error) {
	st := &streams{gate: s.gate.Command(exec, cmd.Terminal != nil)}
	st.input = st.gate.Input(cmd.Stdin)
	defer func() {
		if err != nil {
			st.abandon()
		}
	}()
	if cmd.Stdin != nil {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		st.stdin, st.inside = w, append(st.inside, r)
		inner.Stdin = r
	}
	announce := s.releaser(ctx, exec)
	wanted := []struct {
		name  string
		to    io.Writer
		inner **os.File
	}{{"stdout", cmd.Stdout, &inner.Stdout}, {"stderr", cmd.Stderr, &inner.Stderr}}
	if cmd.Terminal != nil {
		wanted = wanted[:1]
	}
	for _, want := range wanted {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		st.inside = append(st.inside, w)
		o := &output{
			name: want.name, pipe: r, limit: int64(s.policy.Resources.Effective().Output), terminal: cmd.Terminal != nil,
		}
		st.out, *want.inner = append(st.out, o), w
		o.connect(s, st.gate, want.to, announce)
	}
	return st, nil
}

// releaser returns what records the start of a live release, once a command.
func (s *Sandbox) releaser(ctx context.Context, exec int) func() error {
	return sync.OnceValue(func() error {
		return s.runtime.record(context.WithoutCancel(ctx), Event{Act: ActRelease, Sandbox: s.id, Backend: s.backend, Exec: exec})
	})
}

// connect puts together: limit → gate → digest → caller or buffer. What the policy
// has collected is for the caller when its end is on record.
func (o *output) connect(s *Sandbox, g *gate.Command, to io.Writer, announce func() error) {
	collect, shown := to == nil, isShown(to)
	if collect || s.gate.Collected() {
		o.collected, o.caller, o.announce = new(bytes.Buffer), to, announce
		to, announce = o.collected, func() error { return nil }
	}
	o.digest = &digester{to: to, announce: announce}
	if s.runtime.Audit != nil {
		o.digest.hash = sha256.New()
	}
	o.sink = g.Stream(o.name, o.digest, gate.How{Collected: collect, Shown: shown})
}

// isShown reports whether what is written to a writer is shown on a terminal, as far
// as the writer can tell: an *os.File can.
func isShown(to io.Writer) bool {
	f, ok := to.(interface{ Stat() (os.FileInfo, error) })
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// started is called when the command has its own copies of the pipes.
func (st *streams) started() {
	for _, f := range st.inside {
		f.Close()
	}
	st.inside = nil
	if st.stdin != nil {
		// Not waited for: a reader of the caller's may block for ever, as a
		// terminal does. It ends at its next byte, when the pipe is gone.
		go func(w *os.File, r io.Reader) {
			defer w.Close()
			_, _ = io.Copy(w, r)
		}(st.stdin, st.input)
	}
	for _, o := range st.out {
		st.wg.Add(1)
		go func() { defer st.wg.Done(); o.read() }()
	}
}

// abandon closes everything of a command that did not start.
func (st *streams) abandon() {
	for _, f := range st.inside {
		f.Close()
	}
	if st.stdin != nil {
		st.stdin.Close()
	}
	for _, o := range st.out {
		o.pipe.Close()
	}
	st.wg.Wait()
	_, _ = st.gate.Finish(context.Background()) // nothing was written to it
}

// floodRate is how many bytes a second are read at most when the limit is
// reached. What is dropped is read on the host's processors, which no cgroup of the
// command's pays for: this much is a fiftieth of one.
const floodRate = 64 << 20

// read moves one stream. It reads on when the limit is reached, if slower, or when
// nobody takes the output, so that a command never blocks on a full pipe for that.
func (o *output) read() {
	buf := make([]byte, 64<<10)
	defer func() { clear(buf[:o.used]) }() // what nobody has redacted yet

	var since time.Time // the limit was reached
	var dropped float64
	for {
		n, err := o.pipe.Read(buf)
		o.take(buf[:n])
		switch late := errors.Is(err, os.ErrDeadlineExceeded); {
		case late && o.terminal:
			o.held = !o.outlast(buf)
		case late:
			o.held = !o.drain(buf)
		}
		if err != nil {
			return
		}
		if !o.truncated {
			continue
		}
		if dropped += float64(n); since.IsZero() {
			since = time.Now()
		}
		time.Sleep(time.Duration(dropped/floodRate*float64(time.Second)) - time.Since(since)) // negative: not at all
	}
}

// drain takes what is in the pipe when it is waited for no more, which the
// command may have written before it ended, while the caller was slow to take
// what came before. It reports whether that was all there ever will be.
func (o *output) drain(buf []byte) (all bool) {
	const most = 1 << 20                    // bytes in a pipe of an ordinary user (pipe(7), pipe-max-size)
	_ = o.pipe.SetReadDeadline(time.Time{}) // nothing is waited for below
	raw, err := o.pipe.SyscallConn()
	for taken := 0; err == nil && taken < most; {
		var n int
		var readErr error
		err = raw.Read(func(fd uintptr) bool {
			n, readErr = syscall.Read(int(fd), buf)
			return true
		})
		switch {
		case readErr == syscall.EINTR:
		case readErr != nil:
			return false
		case n == 0:
			return true
		default:
			o.take(buf[:n])
			taken += n
		}
	}
	return false
}

// outlast is drain for a terminal, which the place ends by itself: what the
// caller was slow to take may not have been in the pipe yet. So it waits, though
// no longer than terminalGrace in all, beside the time that the caller takes.
func (o *output) outlast(buf []byte) (all bool) {
	const most = 1 << 20 // bytes: much more than a terminal and a pipe hold
	patience := terminalGrace
	for taken := 0; taken < most && patience > 0; {
		asked := time.Now()
		_ = o.pipe.SetReadDeadline(asked.Add(patience))
		n, err := o.pipe.Read(buf)
		patience -= time.Since(asked)
		o.take(buf[:n])
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		taken += n
	}
	return false
}

func (o *output) take(p []byte) {
	o.used = max(o.used, len(p))
	if o.limit >= 0 && int64(len(p)) > o.limit {
		p, o.truncated = p[:o.limit], true
	}
	if o.limit >= 0 {
		o.limit -= int64(len(p))
	}
	if o.failed != nil || len(p) == 0 {
		return
	}
	_, o.failed = o.sink.Write(p)
}

// finish waits for the end of the output, but not for what a left-over process
// may still write, and asks the gate for its verdict.
func (st *streams) finish(ctx context.Context) released {
	if st.stdin != nil {
		st.stdin.Close()
	}
	done := make(chan struct{})
	go func() { st.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(drainGrace):
		for _, o := range st.out {
			_ = o.pipe.SetReadDeadline(time.Now())
		}
		<-done
	}
	var r released
	for _, o := range st.out {
		o.pipe.Close()
		if o.truncated {
			st.gate.Cut(o.name)
		}
		r.truncated = r.truncated || o.truncated || o.held
	}
	r.report, r.err = st.gate.Finish(ctx)
	for _, o := range st.out {
		if !r.report.Withheld() && !errors.Is(r.err, o.failed) { // else the gate has said it
			r.err = errors.Join(r.err, o.failed)
		}
		if o.digest.n > 0 {
			r.digests = append(r.digests, o.digest.sum(o.name))
		}
	}
	two := len(st.out) == 2
	if two {
		r.stderrTail = st.out[1].digest.tail
	}
	if r.err == nil {
		r.stdout = st.out[0].bytes()
		if two {
			r.stderr = st.out[1].bytes()
		}
	}
	return r
}

func (o *output) bytes() []byte {
	if o.collected == nil || o.caller != nil {
		return nil
	}
	return o.collected.Bytes()
}

// deliver hands over what was collected for callers' own writers.
func (st *streams) deliver() error {
	for _, o := range st.out {
		if o.caller == nil || o.collected.Len() == 0 {
			continue
		}
		if err := o.announce(); err != nil {
			return err
		}
		if _, err := o.caller.Write(o.collected.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// digester counts and hashes what was let out, where there is a record to put
// it in.
type digester struct {
	to       io.Writer
	announce func() error
	hash     hash.Hash // nil: nobody asks
	n        int64
	tail     []byte // the end of what was let out
}

func (d *digester) Write(p []byte) (int, error) {
	if err := d.announce(); err != nil {
		return 0, err
	}
	d.tail = append(d.tail, p...)
	if len(d.tail) > 2*tailSize {
		d.tail = append(d.tail[:0], d.tail[len(d.tail)-tailSize:]...)
	}
	n, err := d.to.Write(p)
	if d.hash != nil {
		d.hash.Write(p[:n])
		d.n += int64(n)
	}
	return n, err
}

func (d *digester) sum(stream string) Digest {
	return Digest{Stream: stream, Bytes: d.n, SHA256: hex.EncodeToString(d.hash.Sum(nil))}
}
