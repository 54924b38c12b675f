package backend

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/kavach-dev/kavach/policy"
)

// ErrDestroyed is returned by the methods of an instance that is gone.
var ErrDestroyed = errors.New("the sandbox is destroyed")

// UnavailableError says that a backend cannot run on this machine.
type UnavailableError struct {
	Backend string // its name
	Reason  string // what was tried, and what came of it
	Fix     string // what to do; empty where nothing is known
}

func (e *UnavailableError) Error() string {
	return join(fmt.Sprintf("backend %s is not available: %s", e.Backend, e.Reason), e.Fix)
}

// Is makes the error match errors.ErrUnsupported.
func (e *UnavailableError) Is(target error) bool { return target == errors.ErrUnsupported }

// UnsupportedError says that a control was asked for and cannot be enforced.
type UnsupportedError struct {
	Backend string
	Control policy.Control
	Reason  string
	Fix     string
}

func (e *UnsupportedError) Error() string {
	return join(fmt.Sprintf("backend %s cannot enforce %s: %s", e.Backend, e.Control, e.Reason), e.Fix)
}

// Is makes the error match errors.ErrUnsupported.
func (e *UnsupportedError) Is(target error) bool { return target == errors.ErrUnsupported }

// ExecError says that a command could not be executed, which is the caller's
// matter: the sandbox itself is well. It matches fs.ErrNotExist where the
// command was not found.
type ExecError struct {
	Path  string        // as the caller named it
	Step  string        // which step failed: "lookup", "chdir", "exec", …
	Dir   string        // where it was to start, inside
	Errno syscall.Errno // what the kernel answered
	Hint  string        // what to do; empty where nothing is known

	// Reason says what is wrong where Errno does not: of a WebAssembly module, which
	// is ENOEXEC to a kernel. Empty: Errno says it.
	Reason string
}

func (e *ExecError) Error() string {
	switch {
	case e.Step == "chdir" && errors.Is(e.Errno, fs.ErrNotExist):
		return join(fmt.Sprintf("the working directory %s does not exist in the sandbox", e.Dir), e.Hint)
	case e.Step == "chdir":
		return join(fmt.Sprintf("the working directory %s cannot be entered in the sandbox: %v", e.Dir, e.Errno), e.Hint)
	case e.NotFound():
		return join(fmt.Sprintf("%s: command not found in the sandbox", e.Path), e.Hint)
	case e.Reason != "":
		return join(fmt.Sprintf("%s: cannot be executed: %s", e.Path, e.Reason), e.Hint)
	}
	return join(fmt.Sprintf("%s: cannot be executed (%s: %v)", e.Path, e.Step, e.Errno), e.Hint)
}

// NotFound reports whether the command does not exist inside.
func (e *ExecError) NotFound() bool {
	return (e.Step == "lookup" || e.Step == "exec") && errors.Is(e.Errno, fs.ErrNotExist)
}

func (e *ExecError) Unwrap() error { return e.Errno }

// UnreadyError says that a command was not made ready in time, for a reason that is
// neither its own nor the sandbox's, which is well.
type UnreadyError struct {
	What string // was to be done
	Err  error  // the context's
	Fix  string
}

func (e *UnreadyError) Error() string {
	return join(fmt.Sprintf("%s: it took too long: %v", e.What, e.Err), e.Fix)
}

func (e *UnreadyError) Unwrap() error { return e.Err }

// TrapError says that a call of a module ended by a trap, or ended the module.
type TrapError struct {
	Function string

	// Reason is the runtime's, with names of the module's own in it.
	Reason string

	// OutOfMemory says that the module was refused memory that it asked for, because
	// of a limit of Kavach's.
	OutOfMemory bool

	// Exited says that the module ended itself (proc_exit), with Code.
	Exited bool
	Code   uint32
}

func (e *TrapError) Error() string {
	if e.Exited {
		return fmt.Sprintf("%s ended the module with code %d", e.Function, e.Code)
	}
	why := e.Reason
	if e.OutOfMemory {
		why += " (the module was refused more memory than its limit)"
	}
	return fmt.Sprintf("%s trapped: %s", e.Function, why)
}

// MemoryError says that an address is not in a module's memory.
type MemoryError struct{ Offset, Size uint32 }

func (e *MemoryError) Error() string {
	return fmt.Sprintf("%d bytes at %d are not in the module's memory", e.Size, e.Offset)
}

func join(what, fix string) string {
	if fix == "" {
		return what
	}
	return what + "; " + fix
}
