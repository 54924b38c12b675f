// Package confine takes from the processes of gVisor what gVisor leaves them: it
// puts the sentry and the gofer into Landlock domains, and tries what they forbid.
//
// The sentry is the process that answers untrusted code's system calls. gVisor
// gives it an empty root directory, no capabilities and a seccomp filter; with
// the domain it may open nothing but its own /proc, which gVisor unmounts before
// the first system call is answered, and may use no TCP socket of this kernel.
// The gofer, which opens files for the sentry, may open what is below the
// container's root, as files only, and no more than that.
//
// What this package does not protect: what the sentry reaches through descriptors
// that it was given, and what the filters of gVisor's own let through. Where the
// kernel has no Landlock, nothing is confined here, and the report says so.
package confine

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights on files by the ABI of Landlock that knows them (landlock(7)).
const (
	fsV1 = uint64(unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1)
	fsV2 = fsV1 | unix.LANDLOCK_ACCESS_FS_REFER
	fsV3 = fsV2 | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	fsV5 = fsV3 | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// ABIs that brought rights which are no rights on files.
const (
	abiNet   = 4 // Linux 6.7
	abiIoctl = 5 // Linux 6.10
	abiScope = 6 // Linux 6.12
)

// ABI is the version of Landlock that this kernel has. Zero: none.
func ABI() int {
	abi, _, err := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if err != 0 {
		return 0
	}
	return int(abi)
}

// knownFS are the rights on files that an ABI knows.
func knownFS(abi int) uint64 {
	switch {
	case abi >= abiIoctl:
		return fsV5
	case abi >= 3: // Linux 6.2
		return fsV3
	case abi == 2: // Linux 5.19
		return fsV2
	}
	return fsV1
}

// rule allows rights on what is below an open file, or on that file.
type rule struct {
	fd     int
	rights uint64
}

// ruleset makes the description of a domain: everything that the kernel's
// Landlock can refuse is refused but for the rules.
func ruleset(abi int, rules []rule) (fd int, err error) {
	attr := unix.LandlockRulesetAttr{Access_fs: knownFS(abi)}
	if abi >= abiNet {
		attr.Access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= abiScope {
		// Signals need no scope: gVisor gives each of its processes a PID
		// namespace, and Go signals its own threads.
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
	}
	size := unsafe.Sizeof(attr)
	if abi < abiScope { // an older kernel knows a shorter one
		size = unsafe.Offsetof(attr.Scoped)
	}
	if abi < abiNet {
		size = unsafe.Offsetof(attr.Access_net)
	}
	r, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return -1, fmt.Errorf("landlock: create a ruleset: %w", errno)
	}
	for _, rule := range rules {
		beneath := pathBeneath(rule, attr.Access_fs)
		_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, r, unix.LANDLOCK_RULE_PATH_BENEATH,
			uintptr(unsafe.Pointer(&beneath[0])), 0, 0, 0)
		if errno != 0 {
			unix.Close(int(r))
			return -1, fmt.Errorf("landlock: add a rule: %w", errno)
		}
	}
	return int(r), nil
}

// pathBeneath is struct landlock_path_beneath_attr, which is packed, and so is no
// struct of Go.
func pathBeneath(r rule, known uint64) (attr [12]byte) {
	*(*uint64)(unsafe.Pointer(&attr[0])) = r.rights & known
	*(*int32)(unsafe.Pointer(&attr[8])) = int32(r.fd)
	return attr
}
