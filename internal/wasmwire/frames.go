// Package wasmwire is what the wasm backend and its workers say to each other.
//
//	setup ▶ ◀ hello                     the worker confines itself, and says what is refused
//	load  ▶ ◀ found ▶ ◀ loaded          a module: which one it is, then its compiled code
//	run   ▶ ◀ started … ◀ ended         its command, at whose end the worker ends
//	serve ▶ ◀ ready, call ▶ ◀ returned  its functions, one call at a time
//
// In the place of any answer may come failed.
//
// What this package does not protect: it says nothing of who may be believed. To
// the host, all that a worker sends is hostile.
package wasmwire

import (
	"strings"
	"syscall"

	"github.com/kavach-dev/kavach/internal/wire"
)

// ChannelFD is the worker's end of the channel.
const ChannelFD = 3

// Bounds of what is sent. An argv and an environment are at most 2 MiB for the
// kernel (execve(2)); MaxData is how much memory is read or written at once.
const (
	MaxData     = 1 << 20
	maxToWorker = 8 << 20
	maxToHost   = MaxData + 1<<10

	// MaxModule bounds a module, and MaxCode what is compiled of one, in bytes.
	MaxModule = 256 << 20
	MaxCode   = 1 << 30

	// MaxGiven bounds how many secrets a module has in its environment, and
	// MaxGivenSize how many bytes these have in all, with their names.
	MaxGiven     = 256
	MaxGivenSize = 1 << 20
)

// HostSide and WorkerSide are what the ends of the channel speak.
var (
	HostSide   = wire.Protocol{New: newFrame, MaxIn: maxToHost, MaxOut: maxToWorker}
	WorkerSide = wire.Protocol{New: newFrame, MaxIn: maxToWorker, MaxOut: maxToHost}
)

// Kinds of frames. Those below 0x80 go to the worker.
const (
	kindSetup      = 1
	kindLoad       = 2
	kindWant       = 3
	kindCode       = 4
	kindCompile    = 5
	kindRun        = 6
	kindServe      = 7
	kindCall       = 8
	kindRenew      = 9
	kindRead       = 10
	kindWrite      = 11
	kindHostReturn = 12

	kindHello    = 0x81
	kindFound    = 0x82
	kindWritten  = 0x83
	kindLoaded   = 0x84
	kindCompiled = 0x85
	kindStarted  = 0x86
	kindEnded    = 0x87
	kindReady    = 0x88
	kindReturned = 0x89
	kindHostCall = 0x8a
	kindData     = 0x8b
	kindFailed   = 0x8c
)

// Setup is the first thing that a worker is told.
type Setup struct {
	// Filter is put on the whole worker. Empty, in tests: none.
	Filter []byte

	// Dir is a directory of the worker's own. Empty: it has none, and needs none.
	Dir string

	// Links makes directories be opened by their names, as wazero does it. In tests
	// only: links lead out of them then.
	Links bool
}

// Hello says that the worker is confined: by what the kernel answered to calls
// that its filter refuses, as errnos; 0 is that it carried them out.
type Hello struct {
	Exec, Socket, Filter uint32
}

// Load names a module. Where descriptors come with it, the one is the module
// itself.
type Load struct {
	// Name is looked up as a command is: in Path unless it holds a slash, and, as
	// modules are not installed as programs are, then in Dir.
	Name, Path, Dir string
}

// Found says which module it is, when it was read.
type Found struct {
	Digest string // 32 bytes of SHA-256
	Size   uint64
	Kept   bool // the worker has it already, and its code
}

// Want asks for the module itself, to be written to the descriptor that comes with
// it; Written says that it was.
type (
	Want    struct{}
	Written struct{}
)

// Code comes with a descriptor of compiled code, which has that name in a cache of
// wazero's. Loaded says that the module can be run.
type (
	Code   struct{ Name string }
	Loaded struct{}
)

// Compile comes with two descriptors: of a module, and of a file for its compiled
// code. Compiled says what that is called.
type (
	Compile  struct{}
	Compiled struct {
		Name string
		Size uint64
	}
)

// Preopen is a directory that a module sees: Path, relative to the directory Base of
// the worker's file system, which no module can exchange.
type Preopen struct {
	Base, Path string
	Name       string // for the module
}

// Function is a function of a module, or of the host for it. Types are those of
// the binary format: 0x7f i32, 0x7e i64, 0x7d f32, 0x7c f64.
type Function struct {
	Module  string // of the host's: what it is imported from
	Name    string
	Params  []byte
	Results []byte
}

// Config says what a module gets.
type Config struct {
	Args, Env []string
	Dir       string
	Preopens  []Preopen

	// Memory bounds its linear memory, in bytes. Zero: nothing is bounded.
	Memory uint64

	// Clock, where FixedClock says so, is the time in nanoseconds since 1970 at
	// which the module's clocks start: they go on with each look and each sleep.
	FixedClock bool
	Clock      int64

	// Seed, of 32 bytes, is what all of the module's randomness comes from. Empty:
	// the kernel.
	Seed string

	// Stdio says that stdin, stdout and stderr come with it, as descriptors; else
	// they are the worker's.
	Stdio bool

	// Given are variables beside Env whose values are secrets: they are in no frame,
	// but in a pipe, one after another, whose descriptor comes last. None: there is no
	// such descriptor.
	Given []Given
}

// Given is a variable, and how many bytes its value has.
type Given struct {
	Name   string
	Length uint32
}

// Size is how many bytes an entry of an environment has.
func (g *Given) Size() int { return len(g.Name) + len("=") + int(g.Length) + len("\x00") }

// CheckGiven says what is wrong with Given: EINVAL, the names; E2BIG, that there is too
// much of it; 0, nothing.
func (c *Config) CheckGiven() syscall.Errno {
	if len(c.Given) > MaxGiven {
		return syscall.E2BIG
	}
	total := 0
	named := make(map[string]bool)
	for _, g := range c.Given {
		if g.Name == "" || strings.ContainsAny(g.Name, "=\x00") || named[g.Name] {
			return syscall.EINVAL
		}
		named[g.Name] = true
		if total += g.Size(); g.Length > MaxGivenSize || total > MaxGivenSize {
			return syscall.E2BIG
		}
	}
	return 0
}

// Run runs the command of the module that is loaded. Started says that it is about
// to begin, and Ended, which comes only where it trapped, that the worker will
// end itself.
type (
	Run     struct{ Config Config }
	Started struct{}
	Ended   struct {
		OutOfMemory bool
		Reason      string
	}
)

// Serve makes an instance of the module that is loaded. Ready lists its functions.
type Serve struct {
	Config    Config
	Functions []Function // that it may import
}

// Ready says that functions can be called.
type Ready struct{ Functions []Function }

// Call calls a function; Returned says what came of it. Trap is why it did not
// return; "": it did.
type (
	Call struct {
		Name string
		Args []uint64
	}
	Returned struct {
		Results     []uint64
		Trap        string
		OutOfMemory bool
		Exited      bool // the module ended itself, with Code
		Code        uint32
	}
)

// Renew has the next call be made to a new instance.
type Renew struct{}

// Read and Write are for the linear memory of the instance; Data is the answer. OK
// is false where there is no such part of it.
type (
	Read  struct{ Offset, Size uint32 }
	Write struct {
		Offset uint32
		Data   []byte
	}
	Data struct {
		OK    bool
		Bytes []byte
	}
)

// HostCall asks for a function of the host, by its index in Serve, while a call is
// going on; HostReturn answers. Failed is why the call is to trap; "": it is not.
type (
	HostCall struct {
		Index uint32
		Args  []uint64
	}
	HostReturn struct {
		Results []uint64
		Failed  string
	}
)

// Failed says which step failed, and why, in words of the worker's; Errno is 0
// where the kernel had no part in it.
type Failed struct {
	Step   string
	Reason string
	Errno  uint32
}

func newFrame(kind uint8) wire.Frame {
	if make := frames[kind]; make != nil {
		return make()
	}
	return nil
}

var frames = [256]func() wire.Frame{
	kindSetup:      func() wire.Frame { return new(Setup) },
	kindLoad:       func() wire.Frame { return new(Load) },
	kindWant:       func() wire.Frame { return new(Want) },
	kindCode:       func() wire.Frame { return new(Code) },
	kindCompile:    func() wire.Frame { return new(Compile) },
	kindRun:        func() wire.Frame { return new(Run) },
	kindServe:      func() wire.Frame { return new(Serve) },
	kindCall:       func() wire.Frame { return new(Call) },
	kindRenew:      func() wire.Frame { return new(Renew) },
	kindRead:       func() wire.Frame { return new(Read) },
	kindWrite:      func() wire.Frame { return new(Write) },
	kindHostReturn: func() wire.Frame { return new(HostReturn) },
	kindHello:      func() wire.Frame { return new(Hello) },
	kindFound:      func() wire.Frame { return new(Found) },
	kindWritten:    func() wire.Frame { return new(Written) },
	kindLoaded:     func() wire.Frame { return new(Loaded) },
	kindCompiled:   func() wire.Frame { return new(Compiled) },
	kindStarted:    func() wire.Frame { return new(Started) },
	kindEnded:      func() wire.Frame { return new(Ended) },
	kindReady:      func() wire.Frame { return new(Ready) },
	kindReturned:   func() wire.Frame { return new(Returned) },
	kindHostCall:   func() wire.Frame { return new(HostCall) },
	kindData:       func() wire.Frame { return new(Data) },
	kindFailed:     func() wire.Frame { return new(Failed) },
}
