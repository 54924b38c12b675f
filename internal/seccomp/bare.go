package seccomp

import (
	"slices"
	"strings"
)

// bare are the calls that a sandbox without namespaces refuses beside what its
// profile refuses: what a network, IPC or mount namespace would have made
// harmless, and what Landlock does not restrict (landlock(7), "Filesystem
// flags"). A rule says what stays allowed.
var bare = [...]group{
	{why: "there is no network namespace: no socket, but pairs that are connected for good", calls: `
		socket connect bind listen accept accept4`},
	// A datagram socket of a pair can be connected anew, and sends anywhere.
	{why: "pairs of streams, which stay connected", calls: `socketpair`, when: rule{{
		{arg: 1, mask: sockTypeMask, values: []uint64{sockStream, sockSeqpacket}},
	}}},
	{why: "a message to an address", calls: `sendto`, when: rule{{{arg: 4, mask: whole, values: []uint64{0}}}}},

	{why: "there is no IPC namespace", calls: `
		shmget shmat shmctl shmdt semget semop semtimedop semctl
		msgget msgsnd msgrcv msgctl
		mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr`},

	{why: "changes files of the user that can be read or just named: no mount is read-only, and Landlock does not look", calls: `
		chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat
		utime utimes futimesat utimensat file_setattr
		setxattr lsetxattr fsetxattr setxattrat
		removexattr lremovexattr fremovexattr removexattrat`},
	{why: "the same by ioctl, and signals to a process of choice", calls: `ioctl`, when: rule{{
		{arg: 1, mask: low, not: true, values: []uint64{
			fsSetFlags, fsSetFlags32, fsSetVersion, fsSetVersion32, fsSetXattr, fioSetOwn, siocSetGroup,
		}},
	}}},
	{why: "signals to a process of choice", calls: `fcntl`, when: rule{{
		{arg: 1, mask: low, not: true, values: []uint64{fSetOwn, fSetSig, fSetOwnEx}},
	}}},
	{why: "tells of files that cannot be opened", calls: `
		inotify_add_watch name_to_handle_at statmount listmount cachestat`},

	{why: "priority and processors of others; pid 0 is the caller", calls: `
		sched_setaffinity sched_setparam sched_setscheduler sched_setattr`, when: rule{{{arg: 0, mask: low, values: []uint64{0}}}}},
	{why: "as above", calls: `setpriority`, when: rule{{
		{arg: 0, mask: low, values: []uint64{prioProcess}}, {arg: 1, mask: low, values: []uint64{0}},
	}}},
	{why: "as above", calls: `ioprio_set`, when: rule{{
		{arg: 0, mask: low, values: []uint64{ioprioProcess}}, {arg: 1, mask: low, values: []uint64{0}},
	}}},
	{why: "memory of others that one may trace", calls: `process_madvise get_robust_list`},
}

// notEverybody is of use where Landlock does not scope signals: all that the user
// may signal would be the user's.
var notEverybody = group{why: "everything that may be signalled", calls: `kill`, when: rule{{
	{arg: 0, mask: low, not: true, values: []uint64{everybody}},
}}}

// Numbers of the rules above: linux/net.h, linux/fs.h and asm-generic/ioctls.h
// (equal on amd64 and arm64; the variants of 32-bit programs are accepted of
// others, too), asm-generic/fcntl.h, sys/resource.h, linux/ioprio.h.
const (
	sockSeqpacket = 5

	fsSetFlags     = 0x40086602
	fsSetFlags32   = 0x40046602
	fsSetVersion   = 0x40087602
	fsSetVersion32 = 0x40047602
	fsSetXattr     = 0x401c5820
	fioSetOwn      = 0x8901
	siocSetGroup   = 0x8902

	fSetOwn   = 8
	fSetSig   = 10
	fSetOwnEx = 15

	prioProcess   = 0
	ioprioProcess = 1

	everybody = low // -1, of kill(2)
)

// Bare returns the filter that a sandbox without namespaces has beside that of
// its profile. It allows what it does not know: the profile's has the last word.
// Scoped says that Landlock keeps signals in the sandbox (ABI 6).
func Bare(arch string, scoped bool) ([]Instruction, error) {
	m, err := machineOf(arch)
	if err != nil {
		return nil, err
	}
	var b builder
	kill, refused, allowed := b.put(opRet, retKillProcess), b.put(opRet, retErrno|errEPERM), b.put(opRet, retAllow)
	groups := bare[:]
	if !scoped {
		groups = append(slices.Clone(groups), notEverybody)
	}
	targets := make(map[string]label)
	for _, g := range groups {
		to := refused
		for i := len(g.when) - 1; i >= 0; i-- {
			then := allowed
			for j := len(g.when[i]) - 1; j >= 0; j-- {
				then = b.test(g.when[i][j], then, to)
			}
			to = then
		}
		for name := range strings.FieldsSeq(g.calls) {
			targets[name] = to
		}
	}
	runs := []span{{0, allowed}}
	for _, c := range m.calls {
		if to, ok := targets[c.name]; ok {
			runs = append(runs, span{c.nr, to}, span{c.nr + 1, allowed})
		}
	}
	b.search(merged(runs))
	number := b.put(opLoad, offNumber)
	b.branch(opJEq, m.audit, number, kill)
	b.put(opLoad, offArch)
	return b.program(), nil
}

// merged joins runs that begin where another begins, or lead where it leads.
func merged(runs []span) (out []span) {
	for _, r := range runs {
		if n := len(out); n > 0 && out[n-1].first == r.first {
			out[n-1].to = r.to
			continue
		}
		if n := len(out); n > 0 && out[n-1].to == r.to {
			continue
		}
		out = append(out, r)
	}
	return out
}
