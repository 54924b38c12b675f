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
	// root says that the caller is root and was mapped away to ids of the
	// sandbox's own, which own nothing on this machine.
	root     bool
	uid, gid int // the commands'

	// count is how many ids, from 0 on, are mapped to those from first on. Zero:
	// only that of the commands is.
	first, count int
}

// Ids of sandboxes, when root makes them: ranges that no distribution hands out
// (systemd's containers end at 1879048191, useradd's subuids far below). Where one
// id is enough there is room for a million, and for thirty thousand images with
// their 65536.
const (
	firstID    = 0x74_00_00_00
	idRange    = 1 << 20
	firstBlock = 0x78_00_00_00
	idBlock    = 1 << 16
	idBlocks   = 0x78_00
)

// hostIDs chooses them. Two sandboxes have the same with a chance of one in a
// million, or in thirty thousand, and then each other's share of RLIMIT_NPROC; and
// the end of one that is bare, which kills what runs as this uid, is the end of
// the other.
func hostIDs(c *Config) ids {
	n, err := strconv.ParseUint(c.ID, 16, 64)
	if os.Geteuid() != 0 || err != nil {
		return ids{uid: os.Geteuid(), gid: os.Getegid()}
	}
	mine := func(first, count int) bool {
		return mapped("/proc/self/uid_map", first, count) && mapped("/proc/self/gid_map", first, count)
	}
	block := firstBlock + int(n%idBlocks)*idBlock
	if (c.Container != nil || len(c.Layers) > 0) && c.UID < idBlock && c.GID < idBlock && mine(block, idBlock) {
		return ids{root: true, uid: block + c.UID, gid: block + c.GID, first: block, count: idBlock}
	}
	if own := firstID + int(n%idRange); mine(own, 1) {
		return ids{root: true, uid: own, gid: own}
	}
	return ids{uid: os.Geteuid(), gid: os.Getegid()}
}

// mapped reports whether this user namespace, which may be a container's, has
// these ids.
func mapped(file string, id, count int) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var inside, outside, length int
		if _, err := fmt.Sscan(lines.Text(), &inside, &outside, &length); err != nil {
			continue
		}
		if id >= inside && id+count <= inside+length {
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

// IDs is how many ids, from 0 on, there will be in the jail. Zero: one.
func (c *Config) IDs() int { return hostIDs(c).count }
