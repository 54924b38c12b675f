package guest

import (
	"syscall"

	"github.com/kavach-dev/kavach/internal/wire"
)

// Setup says how to build and confine the place. The host decides everything;
// the guest carries it out, step by step, and says which step failed.
type Setup struct {
	Hostname string

	// Scratch and ScratchInodes bound the one tmpfs that all of the place's
	// own files are on.
	Scratch, ScratchInodes int64

	// Ops build the root directory, in order.
	Ops []Op

	// RootReadonly makes the root directory read-only when it is built.
	RootReadonly bool

	// Pivot moves into the new root. Off in tests only.
	Pivot bool

	// Loopback brings lo up.
	Loopback bool

	// Confine is what the launcher, and so each command, is put under.
	Confine Confine

	// Rlimits are put on each command.
	Rlimits []Rlimit

	// Contained says that an OCI runtime has built the place: nothing of Hostname,
	// Scratch, Ops and what follows them is used, and the guest may have no
	// capability to begin with.
	Contained bool

	// Bare says that the guest has no namespace of its own: nothing is built, and
	// Hostname, Scratch, Ops and what follows them are not used. Nil: it has.
	Bare *Bare

	// Tasks says how many of the descriptors that came with this frame are
	// cgroup files to write "0" to from the launcher; they come after those of
	// the Ops.
	Tasks uint32

	// CgroupNS gives the launcher a cgroup namespace of its own when it has joined
	// them, so that its cgroup is the root of all that commands see.
	CgroupNS bool

	// OOMFirst makes the kernel kill commands rather than the guest when the
	// memory of both is used up.
	OOMFirst bool

	// Probe asks for a probe before Ready: its stdin and stdout are the last two
	// descriptors. With ProbeForks, each attempt is made by a child of it, as the
	// filter may kill who makes it.
	Probe, ProbeForks bool

	// ProbeLimits has the probe try TryMap and TryFork as well.
	ProbeLimits bool
}

// Bare is what a guest without namespaces needs to know beside the rest.
type Bare struct {
	// Filter is a seccomp filter, of struct sock_filter, that refuses what
	// namespaces would have made harmless. Empty, in tests only: none, and nothing
	// keeps commands from signalling the guest.
	Filter []byte

	// Canary is a file that everybody may read and no Landlock rule grants, and
	// Write one that a command could make in a directory of its user's.
	Canary, Write string
}

// Confine lists the layers. Each can be off, so that a test can show that the
// others do not stand in for it.
type Confine struct {
	// UserNS is what the sandbox's own user.max_user_namespaces is set to. Zero, so
	// that no nested user namespace gives a command capabilities, filter or not;
	// as many as a runtime needs for its container; -1: it is left as it is.
	UserNS int64

	DropCaps     bool
	NoNewPrivs   bool
	CloseFDs     bool
	Landlock     bool
	LandlockABI  uint32 // of what is restricted: the kernel's, or less
	LandlockNet  bool   // refuse TCP bind and connect, too
	LandlockRule []LandlockRule
	Filter       []byte // of struct sock_filter, for every thread of the guest; empty: none

	// CommandFilter is another of them, for the thread that commands are forked
	// from. Where it is there, the listener answers what it asks, else what
	// Filter asks.
	CommandFilter []byte

	// Unheard installs them without a listener, where the kernel has none.
	Unheard bool

	// LogOnly makes the listener let pass what it is asked, and note what the
	// judges, at most 32 filters that are not installed, would have answered.
	// Guard is one more such filter: what it refuses is refused.
	LogOnly bool
	Guard   []byte
	Judges  [][]byte
}

// LandlockRule grants rights below a path (landlock(7)).
type LandlockRule struct {
	Path   string
	Rights uint64
}

// Rlimit is one resource limit, soft and hard alike.
type Rlimit struct {
	Resource uint32
	Value    uint64
}

// OpKind says what an Op does.
type OpKind uint8

// The ops. Paths are absolute, inside the new root; none is followed through a
// symbolic link.
const (
	OpDir       OpKind = iota + 1 // directory at Path with Mode, and its parents
	OpFile                        // file at Path with Mode and Data
	OpSymlink                     // symbolic link at Path to Source
	OpBind                        // what is at Source on the host, or came as a descriptor
	OpScratch                     // writable directory with Mode
	OpProc                        // procfs of the new PID namespace
	OpDevpts                      // a devpts of its own, with at most Data terminals; "": any number
	OpMask                        // an empty file or directory over what is there
	OpReadonly                    // what is there, read-only
	OpLayer                       // the tree in Source is one more layer, above those before, of the next OpOverlay or OpCopy
	OpOverlay                     // an overlay over those layers at Path, its upper layer on the stage; Data are more options
	OpCgroup                      // the cgroup 2 hierarchy (cgroups(7)); an empty directory, where it is not to be had
	OpWorkspace                   // an overlay at Path over the tree in Source, its upper layer on the stage
	OpCopy                        // a copy of those layers on the stage, at Path, for where there is no overlay
	OpPin                         // the directory that is there, or is made, as a mount of its own, which nobody can move
	OpMemory                      // a directory that is nowhere but in memory, read-only; the host writes to it, by a descriptor
)

// Flags of OpBind, and of OpFile.
const (
	BindDevice  = 1 << iota // a device node: it may be used as one
	BindFD                  // the tree came as a descriptor
	BindMaybe               // nothing is to be done where Source does not exist
	BindWrite               // commands may write to it
	BindAsIs                // with the attributes that it has; in tests only
	FileReplace             // of OpFile: whatever an image has there, a link too, goes first
)

// Op is one step in building the root.
type Op struct {
	Kind   OpKind
	Path   string
	Source string
	Data   string
	Mode   uint32
	Flags  uint32

	// Dev and Ino say what the host saw at Source; something else there by now
	// is refused. Zero: not looked at.
	Dev, Ino uint64
}

func (*Setup) Kind() uint8 { return kindSetup }

func (f *Setup) Encode(e *wire.Encoder) {
	e.Str(f.Hostname)
	e.I64(f.Scratch)
	e.I64(f.ScratchInodes)
	wire.EncodeList(e, f.Ops, func(o Op) {
		e.U8(uint8(o.Kind))
		e.Str(o.Path)
		e.Str(o.Source)
		e.Str(o.Data)
		e.U32(o.Mode)
		e.U32(o.Flags)
		e.U64(o.Dev)
		e.U64(o.Ino)
	})
	e.Bool(f.RootReadonly)
	e.Bool(f.Pivot)
	e.Bool(f.Loopback)
	f.Confine.encode(e)
	wire.EncodeList(e, f.Rlimits, func(r Rlimit) { e.U32(r.Resource); e.U64(r.Value) })
	e.U32(f.Tasks)
	e.Bool(f.CgroupNS)
	e.Bool(f.OOMFirst)
	e.Bool(f.Probe)
	e.Bool(f.ProbeForks)
	e.Bool(f.ProbeLimits)
	e.Bool(f.Contained)
	e.Bool(f.Bare != nil)
	if f.Bare != nil {
		e.Str(string(f.Bare.Filter))
		e.Str(f.Bare.Canary)
		e.Str(f.Bare.Write)
	}
}

func (f *Setup) Decode(d *wire.Decoder) {
	f.Hostname = d.Str()
	f.Scratch, f.ScratchInodes = d.I64(), d.I64()
	f.Ops = wire.DecodeList(d, 37, func() Op {
		return Op{
			Kind: OpKind(d.U8()), Path: d.Str(), Source: d.Str(), Data: d.Str(),
			Mode: d.U32(), Flags: d.U32(), Dev: d.U64(), Ino: d.U64(),
		}
	})
	f.RootReadonly, f.Pivot, f.Loopback = d.Bool(), d.Bool(), d.Bool()
	f.Confine.decode(d)
	f.Rlimits = wire.DecodeList(d, 12, func() Rlimit { return Rlimit{Resource: d.U32(), Value: d.U64()} })
	f.Tasks, f.CgroupNS, f.OOMFirst = d.U32(), d.Bool(), d.Bool()
	f.Probe, f.ProbeForks, f.ProbeLimits, f.Contained = d.Bool(), d.Bool(), d.Bool(), d.Bool()
	if d.Bool() {
		f.Bare = &Bare{Filter: []byte(d.Str()), Canary: d.Str(), Write: d.Str()}
	}
}

func (c *Confine) encode(e *wire.Encoder) {
	e.I64(c.UserNS)
	e.Bool(c.DropCaps)
	e.Bool(c.NoNewPrivs)
	e.Bool(c.CloseFDs)
	e.Bool(c.Landlock)
	e.U32(c.LandlockABI)
	e.Bool(c.LandlockNet)
	wire.EncodeList(e, c.LandlockRule, func(r LandlockRule) { e.Str(r.Path); e.U64(r.Rights) })
	e.Str(string(c.Filter))
	e.Str(string(c.CommandFilter))
	e.Bool(c.Unheard)
	e.Bool(c.LogOnly)
	e.Str(string(c.Guard))
	wire.EncodeList(e, c.Judges, func(f []byte) { e.Str(string(f)) })
}

func (c *Confine) decode(d *wire.Decoder) {
	c.UserNS = d.I64()
	c.DropCaps, c.NoNewPrivs, c.CloseFDs = d.Bool(), d.Bool(), d.Bool()
	c.Landlock, c.LandlockABI, c.LandlockNet = d.Bool(), d.U32(), d.Bool()
	c.LandlockRule = wire.DecodeList(d, 12, func() LandlockRule { return LandlockRule{Path: d.Str(), Rights: d.U64()} })
	c.Filter, c.CommandFilter = d.Bytes(), d.Bytes()
	c.Unheard, c.LogOnly, c.Guard = d.Bool(), d.Bool(), d.Bytes()
	c.Judges = wire.DecodeList(d, 4, d.Bytes)
}

// errno gives the kernel's text for a number that came over the channel.
func errno(n uint32) error { return syscall.Errno(n) }
