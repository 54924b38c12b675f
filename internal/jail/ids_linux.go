package jail

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// ids are who the guest and its commands are on the host.
type ids struct {
	// root says that the caller is root and was mapped away to a uid of the
	// sandbox's own, which owns nothing on this machine.
	root     bool
	uid, gid int
}

// Uids of sandboxes, when root makes them: a range that no distribution hands
// out (systemd's containers end at 1879048191, useradd's subuids far below),
// with room for a million.
const (
	firstID = 0x74_00_00_00
	idRange = 1 << 20
)

// hostIDs chooses them. Two sandboxes have the same with a chance of one in a
// million, and then each other's share of RLIMIT_NPROC; and the end of one that
// is bare, which kills what runs as this uid, is the end of the other.
func hostIDs(id string, uid, gid int) ids {
	if os.Geteuid() == 0 {
		n, err := strconv.ParseUint(id, 16, 64)
		own := firstID + int(n%idRange)
		if err == nil && mapped("/proc/self/uid_map", own) && mapped("/proc/self/gid_map", own) {
			return ids{root: true, uid: own, gid: own}
		}
	}
	return ids{uid: os.Geteuid(), gid: os.Getegid()}
}

// mapped reports whether this user namespace, which may be a container's, has
// this id.
func mapped(file string, id int) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var inside, outside, count int
		if _, err := fmt.Sscan(lines.Text(), &inside, &outside, &count); err != nil {
			continue
		}
		if id >= inside && id-inside < count {
			return true
		}
	}
	return false
}

// lastCap is the kernel's highest capability.
var lastCap = sync.OnceValue(func() uintptr {
	b, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		return 40 // CAP_CHECKPOINT_RESTORE, Linux 5.9
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 8)
	if err != nil {
		return 40
	}
	return uintptr(n)
})
