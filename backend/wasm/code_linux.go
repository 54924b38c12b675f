package wasm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/wasmwire"
	"github.com/kavach-dev/kavach/policy"
)

// code is the compiled code of one module: machine code, in a file in memory that
// nobody can change.
type code struct {
	made chan struct{} // holds one token while somebody makes it; guards what follows
	name string        // of it, in a cache of wazero's
	file *os.File      // nil: it is not made yet
}

// maxCodes is how many modules' code a Backend keeps at hand, beside what is on disk.
const maxCodes = 32

// code returns the compiled code of a module: what is at hand, or on disk, or what
// is compiled now of what open opens.
func (b *Backend) code(ctx context.Context, d digest, open func() (*os.File, error)) (*code, error) {
	c := b.entry(d)
	select {
	case c.made <- struct{}{}:
	case <-ctx.Done():
		return nil, tooLong(ctx.Err())
	}
	defer func() { <-c.made }()
	if c.file != nil {
		return c, nil
	}
	if c.read(b.kept(d)); c.file != nil {
		return c, nil
	}
	module, err := open()
	if err != nil {
		return nil, err
	}
	defer module.Close()
	// Whoever found the module may have run others: it is looked at once more.
	if got, err := digestOf(module); err != nil || got != d {
		return nil, errors.Join(err, fmt.Errorf("a worker says that a module is %s, and it is %s", d, got))
	}
	if err := c.compile(ctx, b, module); err != nil {
		return nil, err
	}
	b.keep(d, c)
	return c, nil
}

// entry is where the code of a module is, or is going to be.
func (b *Backend) entry(d digest) *code {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.codes[d]
	if c != nil {
		return c
	}
	for other := range b.codes {
		if len(b.codes) < maxCodes {
			break
		}
		delete(b.codes, other) // any; who uses it has it still, and it is closed when nobody has
	}
	if b.codes == nil {
		b.codes = make(map[digest]*code)
	}
	c = &code{made: make(chan struct{}, 1)}
	b.codes[d] = c
	return c
}

// forget drops code that is of no use: of another machine, or another wazero.
func (b *Backend) forget(d digest, c *code) {
	b.mu.Lock()
	if b.codes[d] == c {
		delete(b.codes, d)
	}
	b.mu.Unlock()
	b.unkeep(d)
}

func digestOf(f *os.File) (d digest, err error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, wasmwire.MaxCode)); err != nil {
		return d, err
	}
	h.Sum(d[:0])
	return d, nil
}

// What compiling may take. A module of 5 MB, as Go makes them, takes 2 s and 400 MB.
const (
	compileMemory  = 2 << 30
	compileSpace   = wasmwire.MaxCode
	compileTimeout = 5 * time.Minute
)

// compile makes the code in a jail of its own, in which nothing of the module is
// run and which nobody else is in: what could be wrong with it is only what the
// module itself brought about.
func (c *code) compile(ctx context.Context, b *Backend, module *os.File) (err error) {
	ctx, cancel := context.WithTimeout(ctx, compileTimeout)
	defer cancel()
	p := policy.Policy{BestEffort: policy.Controls()} // the sandbox itself refuses what is missing
	p.Filesystem.TmpSize = compileSpace
	p.Resources.Memory, p.Resources.CPUs = compileMemory, float64(runtime.NumCPU())
	spec := backend.Spec{ID: fmt.Sprintf("%016x", rand.Uint64()), Policy: p}
	cfg, _, err := b.place(&spec)
	if err != nil {
		return err
	}
	j, err := start(ctx, cfg, &p)
	if err != nil {
		return fmt.Errorf("make a jail to compile in: %w", err)
	}
	defer func() { err = errors.Join(err, j.Close(context.WithoutCancel(ctx))) }()
	w, err := startWorker(ctx, j, backend.Cmd{}, b)
	if err != nil {
		return fmt.Errorf("start a worker to compile with: %w", err)
	}
	defer w.conn.Close()
	out, err := memoryFile("code", wasmwire.MaxCode)
	if err != nil {
		return err
	}
	answer, err := ask[*wasmwire.Compiled](ctx, w, &wasmwire.Compile{}, int(module.Fd()), int(out.Fd()))
	if err == nil && !filepath.IsLocal(answer.Name) {
		err = fmt.Errorf("a worker gave its code a name that leads elsewhere: %q", answer.Name)
	}
	if err == nil {
		err = seal(out, int64(answer.Size))
	}
	if err != nil {
		out.Close()
		var said *refusedError
		switch {
		case errors.As(err, &said):
			return err
		case errors.Is(err, context.DeadlineExceeded):
			return tooLong(err)
		}
		if errors.Is(err, errWorkerMemory) {
			err = fmt.Errorf("it takes more than %d MiB of memory", compileMemory>>20)
		}
		return fmt.Errorf("compile the module: %w", err)
	}
	c.name, c.file = answer.Name, out
	return nil
}

// tooLong says what to do about a module that was not compiled in time.
func tooLong(err error) error {
	return &backend.UnreadyError{What: "compile the module", Err: err, Fix: "allow it more time (--timeout); where there is a cache, the next run is spared it"}
}

// memoryFile makes a file in memory which can hold so many bytes and no more,
// whoever writes to it.
func memoryFile(name string, most int64) (*os.File, error) {
	fd, err := unix.MemfdCreate("kavach-"+name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if err = f.Truncate(most); err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_GROW)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	return f, nil
}

// seal ends all writing to a file in memory. That fails while somebody has it mapped
// for that.
func seal(f *os.File, size int64) error {
	if size <= 0 {
		return errors.New("a worker wrote nothing")
	}
	err := f.Truncate(size)
	if err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_WRITE)
	}
	if err != nil {
		return fmt.Errorf("seal a file in memory: %w", err)
	}
	return nil
}

// keptName is what the code of a module is called on disk, and header what is before
// it there, with its name.
func keptName(d digest) string { return strings.TrimPrefix(d.String(), "sha256:") }

const header = "kavach-wasm 1 "
