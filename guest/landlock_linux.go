package guest

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights that a rule may grant, by what they are for (landlock(7)).
const (
	LandlockRead  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	LandlockExec  = LandlockRead | unix.LANDLOCK_ACCESS_FS_EXECUTE
	LandlockList  = unix.LANDLOCK_ACCESS_FS_READ_DIR
	LandlockWrite = LandlockExec | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER
	LandlockDevice = LandlockRead | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV

	landlockFile = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// fsRights is how many file system rights each ABI has: bit 0 to bit n-1.
var fsRights = []uint{0, 13, 14, 15, 15, 16}

// LandlockABI asks the kernel which version of Landlock it has. 0: none.
func LandlockABI() int {
	abi, _, err := syscall.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if err != 0 {
		return 0
	}
	return int(abi)
}

// rulesetAttr is struct landlock_ruleset_attr, ABI 6.
type rulesetAttr struct{ fs, net, scoped uint64 }

// LandlockHandled is the set of file system rights that a kernel of this ABI can
// restrict. A newer one than is known here restricts these as well.
func LandlockHandled(abi int) uint64 { return 1<<fsRights[min(abi, len(fsRights)-1)] - 1 }

// handled is all that a kernel of this ABI can restrict.
func handled(abi int, net bool) rulesetAttr {
	attr := rulesetAttr{fs: LandlockHandled(abi)}
	if abi >= 4 && net {
		attr.net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if abi >= 6 {
		attr.scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	return attr
}

// restrict puts the calling thread into a domain in which only what the rules
// grant is allowed, of all that Landlock of this ABI can restrict.
func restrict(rules []LandlockRule, abi int, net bool) error {
	attr := handled(abi, net)
	ruleset, _, err := syscall.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET,
		uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if err != 0 {
		return fail("landlock", "create ruleset", err)
	}
	defer unix.Close(int(ruleset))
	for _, rule := range rules {
		if err := allow(ruleset, rule, attr.fs); err != nil {
			return fail("landlock", rule.Path, err)
		}
	}
	if _, _, err := syscall.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0, 0); err != 0 {
		return fail("landlock", "restrict self", err)
	}
	return nil
}

func allow(ruleset uintptr, rule LandlockRule, handled uint64) error {
	fd, err := unix.Open(rule.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil // what is not there needs no right
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	rights := rule.Rights & handled
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= landlockFile
	}
	if rights == 0 {
		return nil
	}
	beneath := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, e := syscall.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, ruleset, unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&beneath)), 0, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}
