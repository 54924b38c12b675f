//go:build linux

package backendtest

import (
	"os"

	"github.com/kavach-dev/kavach/policy"
)

// cgroupFiles are files of the host by which a cgroup is changed: on version 1 the
// first names a program that the kernel runs as root, the second devices that may
// be used; on version 2 they move processes and switch controllers.
var cgroupFiles = []string{
	"/sys/fs/cgroup/memory/release_agent", "/sys/fs/cgroup/devices/devices.allow",
	"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/cgroup.subtree_control", "/sys/fs/cgroup/unified/cgroup.procs",
}

// cgroupRows are CONTAINMENT 47.
var cgroupRows = []Row{
	{
		Number: 47, Name: "the cgroup files of the host",
		Why:    "release_agent is run as root on the host (CVE-2022-0492), and the others lift what bounds the sandbox",
		Layers: []policy.Control{policy.RootPivoted, policy.NSUser, policy.LandlockOn}, RootTwin: true,
		Attempt: func(e *Env) (bool, string) {
			seen := "none of them is on this host"
			for _, name := range cgroupFiles {
				if _, err := os.Stat(name); err != nil {
					continue
				}
				var through bool
				if through, seen = e.Attack("open-write", name); through {
					return true, seen
				}
			}
			return false, seen
		},
	},
	{
		Number: 47, Name: "the cgroup tree of version 2, by a mount of one's own",
		Why:     "who mounts the tree, in whatever namespace, has its files (CVE-2022-0492)",
		Layers:  privileged,
		Attempt: func(e *Env) (bool, string) { return e.Attack("mount", "cgroup2") },
	},
	{
		Number: 47, Name: "a cgroup hierarchy of version 1, by a mount of one's own",
		Why:     "as above; a new hierarchy has a release_agent as well",
		Layers:  privileged,
		NoTwin:  "the kernel lets only the machine's root make a hierarchy; the row of version 2 shows the layers",
		Attempt: func(e *Env) (bool, string) { return e.Attack("mount", "cgroup") },
	},
}
