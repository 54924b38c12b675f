package score

import (
	"slices"

	"github.com/kavach-dev/kavach/policy"
)

// Entry is a row of the control table: what a control is worth on each backend
// and what proves it. Policy, doctor, results, tests and docs share this table.
type Entry struct {
	Control policy.Control

	// Process, OCI, GVisor, WASM are the points of each backend. 0: the backend
	// does not have this control.
	Process, OCI, GVisor, WASM int

	// Means is what the control does, and ProvenBy what is looked at.
	Means, ProvenBy string
}

// Base is what the base controls of each backend add up to. Backends without a
// column yet get theirs when they are built.
var Base = map[string]int{
	"noop": 0, "process": 50, "oci": 55, "wasm": 65, "gvisor": 70, "sgx": 80, "sev": 82, "firecracker": 90,
}

var table = []Entry{
	{policy.NSPid, 5, 5, 5, 5, "own PID namespace", "inode of /proc/PID/ns/pid differs from the host's"},
	{policy.NSMount, 6, 6, 6, 6, "own mount namespace", "inode of /proc/PID/ns/mnt"},
	{policy.NSNet, 5, 5, 5, 5, "own network namespace", "inode of /proc/PID/ns/net"},
	{policy.NSIpc, 2, 2, 2, 2, "own IPC namespace", "inode of /proc/PID/ns/ipc"},
	{policy.NSUts, 1, 1, 1, 1, "own UTS namespace", "inode of /proc/PID/ns/uts"},
	{policy.NSCgroup, 1, 1, 1, 1, "own cgroup namespace", "inode of /proc/PID/ns/cgroup"},
	{policy.NSUser, 6, 6, 6, 6, "own user namespace; root inside is nobody outside", "/proc/PID/uid_map, and the host uid in /proc/PID/status"},
	{policy.RootPivoted, 8, 9, 9, 8, "no host path but what was named", "/proc/PID/mountinfo; a canary of the host is absent inside"},
	{policy.CapsNone, 6, 6, 6, 6, "no capability, and none to be had", "CapEff, CapPrm, CapBnd, CapAmb in /proc/PID/status"},
	{policy.NoNewPrivs, 4, 4, 4, 4, "execve grants nothing", "NoNewPrivs in /proc/PID/status"},
	{policy.FDsClean, 2, 2, 2, 2, "descriptors 0, 1, 2 only", "/proc/PID/fd"},
	{policy.EnvClean, 1, 1, 1, 1, "no environment of the host", "/proc/PID/environ"},
	{policy.ProcMasked, 3, 4, 3, 3, "fresh /proc; kernel files masked, /proc/sys read-only", "/proc/PID/mountinfo"},
	{policy.ImageVerified, 0, 3, 3, 3, "what is run came from a digest", "the digest in the store; of a module, of its bytes"},
	{policy.KernelOwn, 0, 0, 16, 12, "system calls are served by another kernel, or by none", "the runtime's state; the system call table as seen inside"},
	{policy.SeccompOn, 5, 5, 5, 5, "system call filter", "Seccomp in /proc/PID/status; a refused call from inside"},
	{policy.LandlockOn, 3, 3, 3, 3, "Landlock domain", "a file that is there and not granted, opened from inside"},
	{policy.NetOff, 5, 5, 5, 5, "no way to any network", "/proc/PID/net/dev and route; connect from inside"},
	{policy.RootReadonly, 3, 3, 3, 3, "read-only root", "/proc/PID/mountinfo; a write from inside"},
	{policy.Limits, 2, 2, 2, 2, "memory, CPU and PIDs bounded", "cgroup files; /proc/PID/limits"},
}

// Table returns the control table, base controls first.
func Table() []Entry { return slices.Clone(table) }

// Points is what the control is worth on the named backend.
func (e Entry) Points(name string) int {
	switch name {
	case "process":
		return e.Process
	case "oci":
		return e.OCI
	case "gvisor":
		return e.GVisor
	case "wasm":
		return e.WASM
	}
	return 0
}

// Max is the highest score of a backend whose column is in the table.
func Max(name string) int {
	sum := 0
	for _, e := range table {
		sum += e.Points(name)
	}
	return min(sum, 100)
}
