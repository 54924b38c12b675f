//go:build linux

package worker

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/sys"
	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/wasmwire"
	"github.com/kavach-dev/kavach/internal/wire"
)

// startFunction is what a command exports (WASI, application ABI), and
// initFunction what a reactor does.
const (
	startFunction = "_start"
	initFunction  = "_initialize"
)

// run runs the command of the module, and returns its exit code. An error before
// it has begun leaves the worker as it was.
func (w *worker) run(f *wasmwire.Run, fds []int) (code int, err error) {
	defer wire.CloseAll(fds)
	module := w.module.compiled
	if module == nil {
		return 0, fail("run", errors.New("no module is loaded"))
	}
	if module.ExportedFunctions()[startFunction] == nil {
		return 0, fail("start", fmt.Errorf("it exports no %s, so it is no command; a library's functions are called by Sandbox.Load", startFunction))
	}
	if name := w.lacks(nil); name != "" {
		return 0, fail("link", fmt.Errorf("it imports %s, and a command gets WASI preview 1 alone", name))
	}
	config, err := w.config(&f.Config)
	if err != nil {
		return 0, err
	}
	if err := w.inherit(&f.Config, fds); err != nil {
		return 1, err // it has a part of somebody's
	}
	if err := w.conn.Send(&wasmwire.Started{}); err != nil {
		return 1, err
	}
	_, trap := w.instantiate(config.WithStartFunctions(startFunction))
	var exit *sys.ExitError
	switch {
	case trap == nil:
		return 0, nil
	case errors.As(trap, &exit):
		const statusBits = 0xff // wait(2)
		code = int(exit.ExitCode() & statusBits)
		if code != 0 && w.memory.refused {
			_ = w.conn.Send(&wasmwire.Ended{OutOfMemory: true}) // who does not listen loses a word
		}
		return code, nil
	}
	w.endTrapped(trap)
	return 0, nil
}

// endTrapped ends the worker as a program ends that crashed.
func (w *worker) endTrapped(trap error) {
	reason := trapText(trap)
	if w.memory.refused && !errors.Is(trap, errNoRoom) {
		reason = fmt.Sprintf("it was refused more than %d MiB of memory, and then: %s", w.memory.limit>>20, reason)
	}
	fmt.Fprintln(os.Stderr, "kavach-wasm: trap:", reason)
	_ = w.conn.Send(&wasmwire.Ended{OutOfMemory: w.memory.refused, Reason: bounded(reason)}) // see above
	if w.memory.refused {
		die(unix.SIGKILL) // as the kernel ends who is out of memory
	}
	die(unix.SIGABRT)
}

var errNoRoom = errors.New("its memory does not fit into the limit")

// trapText is what went wrong, with where; the names in it are the module's own.
func trapText(trap error) string {
	text := strings.ReplaceAll(trap.Error(), " (recovered by wazero)", "")
	text = strings.TrimPrefix(text, "module[] function["+startFunction+"] failed: ")
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.TrimSpace(text))
}

// instantiate makes an instance, and runs what it starts with.
func (w *worker) instantiate(config wazero.ModuleConfig) (instance module, err error) {
	defer func() {
		// A module whose memory is too small from the start cannot be told from a
		// bug by wazero, which panics.
		if r := recover(); r != nil {
			if !w.memory.refused {
				panic(r)
			}
			instance, err = nil, fmt.Errorf("%w of %d MiB", errNoRoom, w.memory.limit>>20)
		}
	}()
	m, err := w.runtime.InstantiateModule(w.memory.with(w.ctx), w.module.compiled, config)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// inherit takes what comes as descriptors: what is to be the worker's 0, 1 and 2, and
// the secrets of the environment.
func (w *worker) inherit(c *wasmwire.Config, fds []int) error {
	if c.Stdio {
		const stdio = 3
		if len(fds) < stdio {
			return fmt.Errorf("%d descriptors in the place of three", len(fds))
		}
		for to, from := range fds[:stdio] {
			if err := unix.Dup3(from, to, 0); err != nil {
				return err
			}
		}
		fds = fds[stdio:]
	}
	return w.setEnviron(c, fds)
}

// config is what the module gets.
func (w *worker) config(c *wasmwire.Config) (wazero.ModuleConfig, error) {
	w.memory = memories{limit: c.Memory}
	// Without a name, so that there can be another instance of the module.
	config := wazero.NewModuleConfig().WithName("").WithArgs(c.Args...).WithFSConfig(w.preopens(c)).
		WithStdin(os.Stdin).WithStdout(os.Stdout).WithStderr(os.Stderr)
	config = withClock(config, c)
	return withRandomness(config, c)
}
