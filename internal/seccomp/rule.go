package seccomp

// profiles is a set of the lists a group of calls belongs to.
type profiles uint8

const (
	inDefault profiles = 1 << iota
	inStrict

	nowhere  profiles = 0
	commands          = inDefault | inStrict
)

// group is a line of the tables: calls which share a reason.
type group struct {
	// in are the profiles that allow the calls. Zero: refused by all.
	in profiles

	// why says why the calls are allowed, or refused by the other profiles.
	why string

	// calls are names, separated by white space. One that an architecture does
	// not have is left out there.
	calls string

	// when restricts the calls to some arguments. Zero: any.
	when rule

	// absent answers ENOSYS instead of refusing: the caller shall believe that
	// the kernel does not have the call.
	absent bool
}

// rule holds if one of its alternatives holds.
type rule []alternative

// alternative holds if all of its tests hold.
type alternative []test

// test holds if argument arg, masked, is one of values, of which there is at
// least one; with least, if it is not less than the only value. With not, it
// holds where it would not.
type test struct {
	arg    int
	mask   uint64
	not    bool
	least  bool
	values []uint64
}

// Masks. The kernel declares most arguments int or unsigned int and drops the
// upper half of the register before it looks: a test on such an argument must
// drop it as well, or a caller hides a value by setting a bit up there, as with
// TIOCSTI in CVE-2019-10063. Pointers and unsigned long are compared whole.
const (
	low   = 0xffff_ffff
	whole = ^uint64(0)
)
