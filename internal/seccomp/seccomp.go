// Package seccomp compiles Kavach's system call profiles to the classic BPF
// programs which seccomp(2) installs. It installs nothing: the host compiles,
// and the guest, which has no tables, installs what it is sent.
//
// A profile is an allow-list, with rules on arguments where a call is only
// partly safe; groups.go and refused.go are the profiles. A filter answers
//
//   - another architecture than its own: the process is killed. i386 code
//     (int 0x80 on amd64) numbers its calls differently, so that no list of
//     ours means anything there;
//   - a number which the tables do not know, x32 numbers and clone3: ENOSYS,
//     as an older kernel would, so that libraries fall back;
//   - a known call which the profile refuses: EPERM, or a user notification
//     if [Options.Notify] is set;
//   - anything else: allowed, mostly without a look at the arguments, so that
//     the kernel (5.11 and later) answers from its bitmap of such calls and
//     does not run the filter.
//
// The filter is on all threads of the guest, and so on the commands which it
// forks. Kavach installs no other: if filters stack, the most restrictive answer
// counts, and ERRNO is more restrictive than USER_NOTIF, so that a second one
// would hide what it refuses. One of the threads answers the notifications.
// A call of its own that the filter refused would wait for itself, and the
// sandbox would hang: a profile must allow whatever the guest does after its
// set-up (TestGuestMayDoItsWork).
//
// What this package does not protect: everything behind a pointer (paths,
// socket addresses, the flags of openat2, clone3's structure), since another
// thread can change memory after the filter has read it; what calls that are
// allowed do with a bug in the kernel; files, networks and memory as such,
// which are the work of mounts, Landlock, namespaces and cgroups. chmod with
// S_ISUID is allowed: no_new_privs and nosuid mounts make the bit worthless
// inside, and [Options.NoSetID] is for where files are not only inside.
// ioctl is filtered by request and not by device. A program that may install
// filters of its own (default) can hide its refused calls from the listener,
// not get them through.
package seccomp

import "fmt"

//go:generate go run gen/main.go

// Options say for what a filter is compiled.
type Options struct {
	// Arch is the architecture of the guest, as in GOARCH: "amd64" or "arm64".
	// There is no default.
	Arch string

	// Notify answers refused calls with SECCOMP_RET_USER_NOTIF (Linux 5.0):
	// a listener counts them and answers EPERM. Without a listener, or once it
	// is closed, the kernel answers ENOSYS. Zero: EPERM by the filter itself.
	Notify bool

	// NoSetID refuses to make files setuid or setgid, and openat2 altogether
	// (ENOSYS), whose mode is behind a pointer. It is for sandboxes that write
	// to the host's own files, which outside are not nosuid. Zero: no.
	NoSetID bool
}

// Instruction has the layout of struct sock_filter (linux/filter.h).
type Instruction struct {
	Code   uint16
	JT, JF uint8
	K      uint32
}

// Names of profiles, equal to policy.SeccompDefault and policy.SeccompStrict.
const (
	profileDefault = "default"
	profileStrict  = "strict"
)

// Compile returns the filter for the guest and its commands. Profile is
// "default" or "strict"; "" is strict, as in a policy.
func Compile(profile string, o Options) ([]Instruction, error) {
	refused := uint32(retErrno | errEPERM)
	if o.Notify {
		refused = retUserNotif
	}
	switch profile {
	case profileDefault:
		return compile(inDefault, o, refused)
	case profileStrict, "":
		return compile(inStrict, o, refused)
	}
	return nil, fmt.Errorf("compile seccomp profile %q: want %q or %q", profile, profileStrict, profileDefault)
}
