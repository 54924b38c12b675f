package guest

import "fmt"

// Frame is one message of the protocol.
type Frame interface {
	kind() uint8
	encode(*encoder)
	decode(*decoder)
}

// Kinds of frames. Those below 0x80 go to the guest.
const (
	kindSetup    = 1
	kindExec     = 2
	kindSignal   = 3
	kindKill     = 4
	kindResize   = 5
	kindReady    = 0x81
	kindFailed   = 0x82
	kindStarted  = 0x83
	kindRefused  = 0x84
	kindExited   = 0x85
	firstFromIn  = 0x80
	maxDenials   = 64
	headerLength = 8 // length u32, kind u8, descriptors u8, two bytes zero
)

// Exec starts a command. Three descriptors come with it: its stdin, stdout and
// stderr.
type Exec struct {
	ID   uint32
	Args []string
	Env  []string
	Dir  string

	// Terminal asks for a terminal of this size, as the command's own. What
	// comes on its stdin is typed on it, what it shows is written to stdout; both
	// are made non-blocking, and belong to the guest.
	Terminal   bool
	Rows, Cols uint32
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
// descriptor of the upper directory of each OpWorkspace, in their order; nothing
// but the guest has run by then.
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

// DeniedCall is a system call that the filter refused, and how often.
type DeniedCall struct {
	Number int64
	Count  uint32
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

func (*Exec) kind() uint8    { return kindExec }
func (*Signal) kind() uint8  { return kindSignal }
func (*Kill) kind() uint8    { return kindKill }
func (*Resize) kind() uint8  { return kindResize }
func (*Ready) kind() uint8   { return kindReady }
func (*Failed) kind() uint8  { return kindFailed }
func (*Started) kind() uint8 { return kindStarted }
func (*Refused) kind() uint8 { return kindRefused }
func (*Exited) kind() uint8  { return kindExited }

func (f *Exec) encode(e *encoder) {
	e.u32(f.ID)
	encodeList(e, f.Args, e.str)
	encodeList(e, f.Env, e.str)
	e.str(f.Dir)
	e.bool(f.Terminal)
	e.u32(f.Rows)
	e.u32(f.Cols)
}

func (f *Exec) decode(d *decoder) {
	f.ID = d.u32()
	f.Args = decodeList(d, 4, d.str)
	f.Env = decodeList(d, 4, d.str)
	f.Dir = d.str()
	f.Terminal, f.Rows, f.Cols = d.bool(), d.u32(), d.u32()
}

func (f *Signal) encode(e *encoder) { e.u32(f.ID); e.u32(f.Signal) }
func (f *Signal) decode(d *decoder) { f.ID, f.Signal = d.u32(), d.u32() }
func (f *Resize) encode(e *encoder) { e.u32(f.ID); e.u32(f.Rows); e.u32(f.Cols) }
func (f *Resize) decode(d *decoder) { f.ID, f.Rows, f.Cols = d.u32(), d.u32(), d.u32() }
func (f *Kill) encode(e *encoder)   { e.u32(f.ID) }
func (f *Kill) decode(d *decoder)   { f.ID = d.u32() }
func (f *Ready) encode(*encoder)    {}
func (f *Ready) decode(*decoder)    {}

func (f *Failed) encode(e *encoder) { e.str(f.Step); e.str(f.Detail); e.u32(f.Errno) }
func (f *Failed) decode(d *decoder) { f.Step, f.Detail, f.Errno = d.str(), d.str(), d.u32() }

func (f *Started) encode(e *encoder) { e.u32(f.ID) }
func (f *Started) decode(d *decoder) { f.ID = d.u32() }

func (f *Refused) encode(e *encoder) { e.u32(f.ID); e.str(f.Step); e.u32(f.Errno) }
func (f *Refused) decode(d *decoder) { f.ID, f.Step, f.Errno = d.u32(), d.str(), d.u32() }

func (f *Exited) encode(e *encoder) {
	e.u32(f.ID)
	e.u32(f.Status)
	e.i64(f.CPUMicros)
	e.i64(f.MaxRSS)
	encodeList(e, f.Denials, func(c DeniedCall) { e.i64(c.Number); e.u32(c.Count) })
}

func (f *Exited) decode(d *decoder) {
	f.ID, f.Status, f.CPUMicros, f.MaxRSS = d.u32(), d.u32(), d.i64(), d.i64()
	f.Denials = decodeList(d, 12, func() DeniedCall { return DeniedCall{Number: d.i64(), Count: d.u32()} })
}

// Decode reads one frame's payload. It is what the fuzz target calls.
func Decode(kind uint8, payload []byte) (Frame, error) {
	f := newFrame(kind)
	if f == nil {
		return nil, fmt.Errorf("%w: kind %#x", errFrame, kind)
	}
	d := &decoder{b: payload}
	f.decode(d)
	if err := d.end(); err != nil {
		return nil, err
	}
	return f, nil
}

// Encode returns a frame's kind and payload.
func Encode(f Frame) (kind uint8, payload []byte) {
	var e encoder
	f.encode(&e)
	return f.kind(), e.b
}
