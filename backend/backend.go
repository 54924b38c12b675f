// Package backend is the contract between Kavach and the places that run code.
//
// A Backend makes Instances; an Instance starts Processes. The package holds
// interfaces, the data that crosses them and the typed errors, and imports
// nothing above policy. CONTRIBUTING.md says how to write a backend, and
// package backendtest holds the one table that each must pass.
//
// What this package does not protect: anything; it is a contract. The gate, the
// audit log and the deadline belong to package kavach, the same for everybody.
package backend

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/kavach-dev/kavach/policy"
)

// Backend makes isolated places of one kind.
type Backend interface {
	// Name is one of Names.
	Name() string

	// Probe tries the backend here and now and says what it can enforce. It
	// never guesses from a version or from the presence of a file. The error
	// is an *UnavailableError where the backend cannot run at all.
	Probe(ctx context.Context) (Info, error)

	// Create makes an isolated place. It refuses with *UnsupportedError where
	// the policy asks for a control that cannot be enforced, and leaves nothing
	// behind when it fails.
	Create(ctx context.Context, spec Spec) (Instance, error)
}

// Instance is one isolated place. Its methods may be called at once.
type Instance interface {
	// Start starts a command: any number of times, also at once. The error is
	// an *ExecError where the command is not there or cannot be executed.
	Start(ctx context.Context, cmd Cmd) (Process, error)

	// Proofs says what is in force, as observed from outside and from inside.
	Proofs(ctx context.Context) ([]Proof, error)

	// Destroy ends everything in the place and removes it: no process, mount,
	// cgroup, network namespace or file stays. It may be called again.
	Destroy(ctx context.Context) error
}

// Process is one running command.
type Process interface {
	// Signal sends sig to the process group of the command.
	Signal(sig syscall.Signal) error

	// Kill kills the command and whatever it started, also what has left its
	// process group or was daemonized. It returns before all are dead.
	Kill() error

	// Wait waits until the command itself has ended. A non-zero exit is not an
	// error; an error says that the place is gone or did not answer.
	Wait(ctx context.Context) (Exit, error)
}

// Pauser is an Instance that can stop all its commands and go on with them.
type Pauser interface {
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
}

// Snapshotter is an Instance whose state can be kept, and gone on with later, also
// on another machine. It is asked for by an assertion, as Pauser is; a backend
// without it needs to say nothing. No backend has it in this version: gVisor's
// checkpoint and the snapshots of a VM are what it is shaped after.
type Snapshotter interface {
	// Snapshot writes the state of the place, its memory and what is in its own
	// file systems, to files in dir, which is empty, the caller's, and open to
	// nobody else: whatever secret a command has in memory is in there. Commands
	// are stopped meanwhile, and go on afterwards, also where it fails; then dir
	// may hold anything, and is of no use. What was mounted from the host is not
	// part of it. Snapshots of a paused instance leave it paused.
	Snapshot(ctx context.Context, dir string) error
}

// Restorer is a Backend that makes an instance of what a Snapshotter of it wrote.
type Restorer interface {
	// Restore is Create of an instance with the commands of the snapshot in dir.
	// Spec has another ID than the one that was kept, and must ask for the same
	// policy and image: the backend holds what dir says against it, and refuses
	// what differs, as dir came from a disk. Proofs are taken anew. Commands that
	// ran go on unseen, with their input and output at an end: nobody has their
	// Process. Two instances of one snapshot must not get the same randomness: the
	// backend tells the kernel inside, or refuses.
	Restore(ctx context.Context, spec Spec, dir string) (Instance, error)
}

// Loader is an Instance that loads code whose functions can be called.
type Loader interface {
	// Load makes an instance of a module. cmd says what it gets, as a command does:
	// Args[0] is the module, by its path inside, unless Bytes holds it. The error is
	// an *ExecError where it is not there, or is not what it should be.
	Load(ctx context.Context, cmd Cmd, m Module) (Plugin, error)
}

// Module is a WebAssembly module to load.
type Module struct {
	// Bytes are the module, in the binary format. Nil: it is a file inside.
	Bytes []byte

	// Functions are what it may import beside WASI preview 1.
	Functions []HostFunction

	// Memory bounds its linear memory, in bytes. Zero, or more than
	// resources.memory of the policy: that.
	Memory policy.Bytes

	// StartTimeout bounds the wall time that it may take to initialise itself. Zero:
	// only the context does.
	StartTimeout time.Duration
}

// ValueType is the type of a value, as in the binary format of WebAssembly (core
// specification, 5.3.1).
type ValueType byte

// The types of numbers.
const (
	I32 ValueType = 0x7f
	I64 ValueType = 0x7e
	F32 ValueType = 0x7d
	F64 ValueType = 0x7c
)

// Signature says what a function is called with, and returns.
type Signature struct{ Params, Results []ValueType }

// HostFunction is a function of the host, for a module to import. Values are 64
// bits each: an i32 is in the lower half, f32 and f64 are as math.Float32bits and
// math.Float64bits say.
type HostFunction struct {
	// Module and Name are what it is imported from, and as.
	Module, Name string

	Signature

	// Call is called in the host's process while the module waits, with as many
	// arguments as there are Params. An error, or other than as many results as there
	// are Results, traps: the call of the module that led here fails with it. ctx is
	// that call's. All that is in memory is the module's, and hostile.
	Call func(ctx context.Context, memory Memory, args []uint64) (results []uint64, err error)
}

// Memory is the linear memory of an instance. Addresses are the module's.
type Memory interface {
	// Read returns n bytes from offset on; Write writes them. The error is a
	// *MemoryError where a part of them is beyond the memory's end.
	Read(ctx context.Context, offset, n uint32) ([]byte, error)
	Write(ctx context.Context, offset uint32, data []byte) error
}

// Plugin is an instance of a module, and the process that it is in. One call is
// made at a time, and Renew, Read and Write not during one but by host functions.
type Plugin interface {
	Process
	Memory

	// Functions are what the module exports.
	Functions() map[string]Signature

	// Call calls a function with as many arguments as it has parameters. The error is
	// a *TrapError where the module is at fault. When ctx is done, the process is
	// killed, and the error is ctx's.
	Call(ctx context.Context, name string, args ...uint64) ([]uint64, error)

	// Renew has what follows be done to a new instance, which has nothing of what the
	// one before had in its memory.
	Renew(ctx context.Context) error
}

// WindowSize is the size of a terminal, in characters.
type WindowSize struct{ Rows, Cols uint16 }

// Resizer is a Process whose terminal can change its size. Each Process of a
// backend that gives terminals is one.
type Resizer interface {
	// Resize changes the size, and sends SIGWINCH to the foreground.
	Resize(WindowSize) error
}

// Layered is an Instance that keeps the changes to writable mounts (access
// "rw") apart from the host's files.
type Layered interface {
	// Halt ends every process in the place, for good, and keeps its layers.
	// Only Destroy is of use afterwards. It may be called again.
	Halt(ctx context.Context) error

	// Layers are those of the writable mounts, in the order of the policy. Their
	// files are the instance's, and closed by Destroy. Until Halt has returned,
	// what is in them may be changing.
	Layers() []Layer
}

// Layer is one writable mount: what was there, and what was made of it.
type Layer struct {
	Mount policy.Mount

	// Base is the host's directory as it was opened when the place was made.
	Base *os.File

	// Upper is the upper directory of the overlay, in the format of overlayfs
	// with userxattr (Documentation/filesystems/overlayfs.rst): a character
	// device 0:0 is a deletion, user.overlay.opaque a directory that hides what
	// was there. Everything in it is hostile.
	Upper *os.File
}

// Files is an Instance that files can be taken out of.
type Files interface {
	// Export writes the file at e.Path, or the directory and what is below it, to w,
	// as package internal/takeout has it, and returns when it has. It is read by a
	// process inside, with the rights of a command and as confined, so whatever is
	// in the way of one is in the way of this; and it may be anything, as who else
	// is inside may have a hand in it. An error, and a stream without its end, mean
	// that nothing was exported; an *ExportError, that nothing is wrong with the place
	// all the same. w is a pipe, and the caller's.
	Export(ctx context.Context, e Export, w *os.File) error
}

// Export is what to take out of a place, and how much of it at most.
type Export struct {
	// Path is absolute, inside, and clean (path.Clean).
	Path string

	FileBytes  int64 // of one file
	TotalBytes int64 // of all files
	Entries    int   // files, directories, and what is refused
	Depth      int   // directories in each other
}

// ExportError says why something is not exported where the place is well: commands
// do not see it, or whoever is inside kept it from being read.
type ExportError struct{ Path, Reason string }

func (e *ExportError) Error() string { return e.Path + ": " + e.Reason }

// SecretFiles is an Instance that shows commands files which are nowhere but in
// memory. One that is made with a Spec that has SecretFiles must be one.
type SecretFiles interface {
	// Give shows a file at one of the paths of Spec.SecretFiles: with this content,
	// mode 0400, and owned by the user that commands run as; in the place of one that was
	// given there before, which who has it open finds empty. The content is the caller's,
	// and not kept but in the file.
	Give(path string, content []byte) error

	// Take ends that: there is no file, and who has it open still finds it empty. Of
	// one that is not there it does nothing.
	Take(path string) error
}

// Spec is what a backend is given to make an instance.
type Spec struct {
	// ID names the sandbox: 16 lower-case hexadecimal digits, unique on this
	// machine. Names of cgroups and records are made from it.
	ID string

	// Policy has been validated. Where Image is not nil, its process.user,
	// process.env and process.workdir are the image's where the caller set none.
	Policy policy.Policy

	// Image is what Policy.Filesystem.Image names, opened. Nil: it names none.
	Image *Image

	// SecretFiles are the paths, absolute, inside, and clean, that files in memory may
	// be given at (SecretFiles, the interface). The directory of each is theirs
	// alone: nothing else is seen in it, and commands cannot write to it. A backend
	// without such files refuses with an error that matches errors.ErrUnsupported.
	// Nil: none.
	SecretFiles []string
}

// Cmd is a command to start. There is no command string anywhere: a shell runs
// only where the caller names it in Args.
type Cmd struct {
	// Args is argv. Args[0] is looked up in the PATH of Env, inside, unless it
	// holds a slash. Never empty.
	Args []string

	// Env is the whole environment, as "KEY=value".
	Env []string

	// Dir is the working directory, an absolute path inside.
	Dir string

	// Stdin, Stdout, Stderr are the command's descriptors 0, 1, 2, and nil
	// means /dev/null inside. The caller keeps its own copies. They are pipes
	// or sockets: a file or a terminal of the host is never handed in.
	Stdin, Stdout, Stderr *os.File

	// Terminal gives the command a terminal of the place's own, of this size, as
	// its controlling terminal and its descriptors 0, 1, 2: what is read from
	// Stdin is typed on it, what it shows is written to Stdout, and Stderr is
	// nil. Stdin and Stdout may be made non-blocking. A backend without terminals
	// refuses with an error that matches errors.ErrUnsupported. Nil: none.
	Terminal *WindowSize

	// Files are the command's descriptors beyond those three: pipes, in the order of
	// their numbers. The caller keeps its own copies. A backend that has no such
	// thing refuses with an error that matches errors.ErrUnsupported. Nil: none.
	Files []Descriptor

	// Secrets are variables of the environment beside Env, and in the place of those
	// that have the same name there. Their values are in memory that is the
	// caller's, who zeroes it when Start has returned: a backend makes no copy that
	// outlives that. Nil: none.
	Secrets []Secret
}

// Descriptor is an open file that a command is given.
type Descriptor struct {
	FD   int // 3 or more
	File *os.File
}

// MaxSecret is how many bytes a secret has at most: half of what the kernel takes for
// one string of an environment (MAX_ARG_STRLEN, execve(2)).
const MaxSecret = 64 << 10

// Secret is a variable whose value is a secret. However it is printed, that is not
// shown: it is behind a pointer, which package fmt does not follow even where it heeds
// no Formatter (a verb that it does not know for a pointer).
type Secret struct {
	Name  string
	value *[]byte
}

// NewSecret is a variable of this name. The value has no NUL in it, and stays where it
// is: it is the caller's.
func NewSecret(name string, value []byte) Secret { return Secret{name, &value} }

// Value is the value itself, not a copy.
func (s Secret) Value() []byte {
	if s.value == nil {
		return nil
	}
	return *s.value
}

// Format writes the name alone, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%s=[secret]", s.Name) }

// MarshalText is the name alone, for JSON and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.Name + "=[secret]"), nil }

// Exit says how a command ended.
type Exit struct {
	// Code is the exit code; -1 where a signal ended the command.
	Code int

	// Signal is the signal that ended the command, or 0.
	Signal syscall.Signal

	// OOMKilled says that the kernel killed something in the instance for want
	// of memory while this command ran.
	OOMKilled bool

	// CPU is user and system time of the command and of its children that were
	// waited for.
	CPU time.Duration

	// MemoryPeak is in bytes: of the instance where a cgroup counts, else the
	// largest resident set among the command and its children. 0: not known.
	MemoryPeak int64

	// PIDsPeak is the largest number of tasks at once. 0: not known.
	PIDsPeak int

	// Denials are the refusals that were seen while this command ran.
	Denials []Denial

	// Needed are the system calls that were let pass and logged, where the
	// policy says so (seccomp.mode "log"). Sorted by name. Nil: nothing was logged.
	Needed []Need
}

// Need is a system call that a command made and that a seccomp profile would
// have refused.
type Need struct {
	// Call is its name; "syscall_N" where Kavach knows none.
	Call string `json:"call"`

	// Count is how often it was made so that any of the profiles would have
	// refused it.
	Count int `json:"count"`

	// RefusedBy are the profiles that would have refused it: "strict",
	// "default", and paths of the policy's seccomp.files.
	RefusedBy []string `json:"refused_by"`

	// AbsentFrom are those that would have answered ENOSYS, as a kernel without
	// the call: libraries do without.
	AbsentFrom []string `json:"absent_from,omitempty"`
}

// Noted is an Instance with something to say about how it was made, for people.
type Noted interface {
	Notes() []string
}

// Denial is one refusal by the kernel that Kavach saw.
type Denial struct {
	// Kind is "syscall" or "path".
	Kind string `json:"kind"`

	// Target is the name of the system call, or the path.
	Target string `json:"target"`

	// Rule is the control or profile that refused.
	Rule string `json:"rule"`

	// Hint says what would allow it; empty where nothing would.
	Hint string `json:"hint,omitempty"`

	// Count is how often it was refused.
	Count int `json:"count"`
}

// Info is what a probe found out.
type Info struct {
	// Controls has a finding for each control that the backend knows, whether
	// it can be enforced here or not.
	Controls []Finding

	// Notes are for people: what the backend is made of here, and what is known
	// to be wrong with it. They change no score.
	Notes []string
}

// Finding is what a trial of one control showed.
type Finding struct {
	Control policy.Control `json:"name"`
	State   State          `json:"state"`

	// Detail is what was tried and what was seen.
	Detail string `json:"detail"`

	// Fix is what to do where State is not Enforced. Empty: nothing known.
	Fix string `json:"fix,omitempty"`
}

// State says how far a control is in force.
type State string

// The states of a control.
const (
	// Enforced: it was seen to hold.
	Enforced State = "enforced"
	// Partial: a part of it was seen to hold; the proof says which.
	Partial State = "partial"
	// Unverified: it may hold, and nobody saw it.
	Unverified State = "unverified"
	// Missing: it is not there.
	Missing State = "missing"
)

// Proof is evidence for one control of one instance. Proofs are taken from a
// probe that is started exactly as a command is.
type Proof struct {
	Control policy.Control
	State   State

	// Outside is what was seen from the host, in words that a person can check
	// by hand. Empty: there is no witness outside.
	Outside string

	// Inside is what the probe tried and what the kernel answered.
	Inside string
}

// Names lists the backends that exist or are to come, weakest first.
func Names() []string {
	return []string{"noop", "process", "oci", "wasm", "gvisor", "sgx", "sev", "firecracker"}
}
