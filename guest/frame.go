package guest

import (
	"fmt"

	"github.com/kavach-dev/kavach/internal/wire"
)

// Frame is one message of the protocol.
type Frame = wire.Frame

// Kinds of frames. Those below 0x80 go to the guest.
const (
	kindSetup   = 1
	kindExec    = 2
	kindSignal  = 3
	kindKill    = 4
	kindResize  = 5
	kindReady   = 0x81
	kindFailed  = 0x82
	kindStarted = 0x83
	kindRefused = 0x84
	kindExited  = 0x85
	firstFromIn = 0x80
	maxDenials  = 512 // more than there are calls
)

// Exec starts a command. Its descriptors come with it: its stdin, stdout and
// stderr, what FDs names, and where there is something Given, a pipe to read that
// from.
type Exec struct {
	ID   uint32
	Args []string
	Env  []string
	Dir  string

	// FDs are the numbers, rising and from 3 on, that the descriptors beyond stdio
	// have in the command.
	FDs []uint32

	// Given are variables of its environment whose values are secrets: they are in no
	// frame, but in the pipe, one after another.
	Given []Given

	// Terminal asks for a terminal of this size, as the command's own. What
	// comes on its stdin is typed on it, what it shows is written to stdout; both
	// are made non-blocking, and belong to the guest.
	Terminal   bool
	Rows, Cols uint32
}

// Given is a variable, and how many bytes its value has.
type Given struct {
	Name   string
	Length uint32
}

// Resize changes the size of a command's terminal.
type Resize struct {
	ID         uint32
	Rows, Cols uint32
}

// Signal sends a signal to the process group of a command.
type Signal struct {
	ID     uint32
	Signal uint32
}

// Kill kills a command and all that it started.
type Kill struct{ ID uint32 }

// Ready says that the place is built, confined and proven. With it comes a
// descriptor of the upper directory of each OpWorkspace, and of the directory of each
// OpMemory that did not come with one, in their order; nothing but the guest has run
// by then.
type Ready struct{}

// Failed says that the place could not be built. The guest ends after it.
type Failed struct {
	Step   string // which step of the set-up
	Detail string // on what
	Errno  uint32
}

func (f *Failed) Error() string {
	return fmt.Sprintf("%s %s: %v", f.Step, f.Detail, errno(f.Errno))
}

// Started says that a command was executed.
type Started struct{ ID uint32 }

// Refused says that a command could not be executed.
type Refused struct {
	ID    uint32
	Step  string
	Errno uint32
}

// Exited says how a command ended.
type Exited struct {
	ID        uint32
	Status    uint32 // as wait4 tells it
	CPUMicros int64
	MaxRSS    int64 // bytes
	Denials   []DeniedCall
}

// DeniedCall is a system call that the filter refused, and how often. Where it
// was only logged, the bits say which of the judges would have refused it, and
// which would have answered ENOSYS, at least once.
type DeniedCall struct {
	Number          int64
	Count           uint32
	Refused, Absent uint32
}

func newFrame(kind uint8) Frame {
	switch kind {
	case kindSetup:
		return new(Setup)
	case kindExec:
		return new(Exec)
	case kindSignal:
		return new(Signal)
	case kindKill:
		return new(Kill)
	case kindResize:
		return new(Resize)
	case kindReady:
		return new(Ready)
	case kindFailed:
		return new(Failed)
	case kindStarted:
		return new(Started)
	case kindRefused:
		return new(Refused)
	case kindExited:
		return new(Exited)
	}
	return nil
}

func (*Exec) Kind() uint8    { return kindExec }
func (*Signal) Kind() uint8  { return kindSignal }
func (*Kill) Kind() uint8    { return kindKill }
func (*Resize) Kind() uint8  { return kindResize }
func (*Ready) Kind() uint8   { return kindReady }
func (*Failed) Kind() uint8  { return kindFailed }
func (*Started) Kind() uint8 { return kindStarted }
func (*Refused) Kind() uint8 { return kindRefused }
func (*Exited) Kind() uint8  { return kindExited }

func (f *Exec) Encode(e *wire.Encoder) {
	e.U32(f.ID)
	wire.EncodeList(e, f.Args, e.Str)
	wire.EncodeList(e, f.Env, e.Str)
	e.Str(f.Dir)
	wire.EncodeList(e, f.FDs, e.U32)
	wire.EncodeList(e, f.Given, func(g Given) { e.Str(g.Name); e.U32(g.Length) })
	e.Bool(f.Terminal)
	e.U32(f.Rows)
	e.U32(f.Cols)
}

func (f *Exec) Decode(d *wire.Decoder) {
	f.ID = d.U32()
	f.Args = wire.DecodeList(d, 4, d.Str)
	f.Env = wire.DecodeList(d, 4, d.Str)
	f.Dir = d.Str()
	f.FDs = wire.DecodeList(d, 4, d.U32)
	f.Given = wire.DecodeList(d, 8, func() Given { return Given{Name: d.Str(), Length: d.U32()} })
	f.Terminal, f.Rows, f.Cols = d.Bool(), d.U32(), d.U32()
}

func (f *Signal) Encode(e *wire.Encoder) { e.U32(f.ID); e.U32(f.Signal) }
func (f *Signal) Decode(d *wire.Decoder) { f.ID, f.Signal = d.U32(), d.U32() }
func (f *Resize) Encode(e *wire.Encoder) { e.U32(f.ID); e.U32(f.Rows); e.U32(f.Cols) }
func (f *Resize) Decode(d *wire.Decoder) { f.ID, f.Rows, f.Cols = d.U32(), d.U32(), d.U32() }
func (f *Kill) Encode(e *wire.Encoder)   { e.U32(f.ID) }
func (f *Kill) Decode(d *wire.Decoder)   { f.ID = d.U32() }
func (f *Ready) Encode(*wire.Encoder)    {}
func (f *Ready) Decode(*wire.Decoder)    {}

func (f *Failed) Encode(e *wire.Encoder) { e.Str(f.Step); e.Str(f.Detail); e.U32(f.Errno) }
func (f *Failed) Decode(d *wire.Decoder) { f.Step, f.Detail, f.Errno = d.Str(), d.Str(), d.U32() }

func (f *Started) Encode(e *wire.Encoder) { e.U32(f.ID) }
func (f *Started) Decode(d *wire.Decoder) { f.ID = d.U32() }

func (f *Refused) Encode(e *wire.Encoder) { e.U32(f.ID); e.Str(f.Step); e.U32(f.Errno) }
func (f *Refused) Decode(d *wire.Decoder) { f.ID, f.Step, f.Errno = d.U32(), d.Str(), d.U32() }

func (f *Exited) Encode(e *wire.Encoder) {
	e.U32(f.ID)
	e.U32(f.Status)
	e.I64(f.CPUMicros)
	e.I64(f.MaxRSS)
	wire.EncodeList(e, f.Denials, func(c DeniedCall) { e.I64(c.Number); e.U32(c.Count); e.U32(c.Refused); e.U32(c.Absent) })
}

func (f *Exited) Decode(d *wire.Decoder) {
	f.ID, f.Status, f.CPUMicros, f.MaxRSS = d.U32(), d.U32(), d.I64(), d.I64()
	f.Denials = wire.DecodeList(d, 20, func() DeniedCall {
		return DeniedCall{Number: d.I64(), Count: d.U32(), Refused: d.U32(), Absent: d.U32()}
	})
}

// Limits of frames. From host to guest a frame holds an argv and an
// environment (at most 2 MiB for the kernel, execve(2)); from guest to host
// everything is small.
const (
	maxToGuest = 8 << 20
	maxToHost  = 64 << 10
)

var (
	hostSide  = wire.Protocol{New: newFrame, MaxIn: maxToHost, MaxOut: maxToGuest}
	guestSide = wire.Protocol{New: newFrame, MaxIn: maxToGuest, MaxOut: maxToHost}
)
