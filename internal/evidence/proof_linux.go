package evidence

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/cgroup"
	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/policy"
)

// Verdict makes a state of whether a thing was seen.
func Verdict(seen bool) backend.State {
	if seen {
		return backend.Enforced
	}
	return backend.Missing
}

// Prove turns evidence into proofs. Each is a sentence that a person can check
// on a command of their own, with the file that it names.
func Prove(e Evidence, p *policy.Policy, f *seccomp.Filters) []backend.Proof {
	if e.Bare {
		return proveBare(e, p, f)
	}
	proofs := namespaceProofs(e)
	return append(proofs,
		userProof(e), rootProof(e, p), capsProof(e), nnpProof(e), fdsProof(e), envProof(e), procProof(e),
		seccompProof(e, p, f), landlockProof(e, p), netProof(e), readonlyProof(e, p), limitsProof(e, p))
}

func namespaceProofs(e Evidence) []backend.Proof {
	var proofs []backend.Proof
	for _, ns := range []struct {
		control policy.Control
		file    string
	}{
		{policy.NSPid, "pid"}, {policy.NSMount, "mnt"}, {policy.NSNet, "net"},
		{policy.NSIpc, "ipc"}, {policy.NSUts, "uts"}, {policy.NSCgroup, "cgroup"},
	} {
		inode, own := e.NS[ns.file]
		words := fmt.Sprintf("/proc/%d/ns/%s is %s:[%d], the host's is another", e.PID, ns.file, ns.file, inode)
		if !own {
			words = fmt.Sprintf("/proc/%d/ns/%s is the host's", e.PID, ns.file)
		}
		proofs = append(proofs, backend.Proof{Control: ns.control, State: Verdict(own), Outside: words})
	}
	return proofs
}

func userProof(e Evidence) backend.Proof {
	_, own := e.NS["user"]
	uids := strings.Fields(e.Status["Uid"])
	root := slices.Contains(uids, "0") || len(uids) == 0
	words := fmt.Sprintf("/proc/%d/uid_map is %q; on the host its uids are %s", e.PID, e.UIDMap, strings.Join(uids, " "))
	return backend.Proof{Control: policy.NSUser, State: Verdict(own && !root), Outside: words}
}

func rootProof(e Evidence, p *policy.Policy) backend.Proof {
	root, found := mountAt(e, "/")
	absent := e.Report[guest.TryHostFile] == unix.ENOENT
	// The root is ours if it is a tmpfs or an overlay; and everything below it
	// was named by the plan.
	own := found && (root.FSType == "tmpfs" || root.FSType == "overlay")
	return backend.Proof{
		Control: policy.RootPivoted, State: Verdict(own && absent),
		Outside: fmt.Sprintf("/proc/%d/mountinfo: / is a %s, with %d mounts below it", e.PID, root.FSType, max(len(e.Mounts)-1, 0)),
		Inside:  fmt.Sprintf("access(%s), a file of the host: %s", e.HostFile, Answer(e.Report[guest.TryHostFile])),
	}
}

func capsProof(e Evidence) backend.Proof {
	none := true
	var words []string
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		none = none && strings.Trim(e.Status[set], "0") == "" && e.Status[set] != ""
		words = append(words, set+" "+e.Status[set])
	}
	return backend.Proof{
		Control: policy.CapsNone, State: Verdict(none),
		Outside: fmt.Sprintf("/proc/%d/status: %s", e.PID, strings.Join(words, ", ")),
	}
}

func nnpProof(e Evidence) backend.Proof {
	return backend.Proof{
		Control: policy.NoNewPrivs, State: Verdict(e.Status["NoNewPrivs"] == "1"),
		Outside: fmt.Sprintf("/proc/%d/status: NoNewPrivs %s", e.PID, e.Status["NoNewPrivs"]),
	}
}

func fdsProof(e Evidence) backend.Proof {
	fds := slices.Sorted(slices.Values(e.FDs))
	return backend.Proof{
		Control: policy.FDsClean, State: Verdict(slices.Equal(fds, []string{"0", "1", "2"})),
		Outside: fmt.Sprintf("/proc/%d/fd has %s", e.PID, strings.Join(fds, " ")),
	}
}

func envProof(e Evidence) backend.Proof {
	var other []string
	for _, kv := range e.Environ {
		if key, _, _ := strings.Cut(kv, "="); !slices.Contains(e.Given, kv) {
			other = append(other, key)
		}
	}
	given := ""
	if len(e.Given) > 0 {
		given = ", beside " + strings.Join(e.Given, " ")
	}
	return backend.Proof{
		Control: policy.EnvClean, State: Verdict(len(other) == 0),
		Outside: fmt.Sprintf("/proc/%d/environ has %d variables%s%s; a command gets what the policy and the call name", e.PID, len(other), of(other), given),
	}
}

// of lists names in parentheses, where there are any.
func of(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (" + strings.Join(names, " ") + ")"
}

// procProof looks for a procfs of its own whose /proc/sys is read-only and over
// which files are mounted.
func procProof(e Evidence) backend.Proof {
	proc, found := mountAt(e, "/proc")
	sys, sysFound := mountAt(e, "/proc/sys")
	masks := 0
	for _, m := range e.Mounts {
		// An empty file or directory of a tmpfs, or, from a runtime, /dev/null.
		null := m.Root == "/null" && (m.FSType == "devtmpfs" || m.FSType == "tmpfs")
		if strings.HasPrefix(m.Point, "/proc/") && (m.FSType == "tmpfs" && m.Readonly || null) {
			masks++
		}
	}
	held := found && proc.FSType == "proc" && proc.Root == "/" && sysFound && sys.Readonly && masks > 0
	return backend.Proof{
		Control: policy.ProcMasked, State: Verdict(held),
		Outside: fmt.Sprintf("/proc/%d/mountinfo: /proc is a procfs of its own, %d files masked, /proc/sys read-only: %t", e.PID, masks, sysFound && sys.Readonly),
	}
}

// landlockProof has no outside witness: the kernel shows a domain to nobody. It
// was taken before any code but Kavach's own had run inside.
func landlockProof(e Evidence, p *policy.Policy) backend.Proof {
	proof := backend.Proof{Control: policy.LandlockOn, State: backend.Missing, Inside: "the policy asks for no domain"}
	if p.Filesystem.Landlock == policy.Off {
		return proof
	}
	refused, control := e.Report[guest.TryCanary], e.Report[guest.TryControl]
	held := refused == unix.EACCES && control == 0
	proof.Inside = fmt.Sprintf("ABI %d; open(%s), which everybody may read: %s; the same without the domain: %s",
		e.ABI, guest.CanaryPath, Answer(refused), Answer(control))
	if !p.Network.Loopback && e.ABI >= 4 {
		tcp := e.Report[guest.TryTCP]
		// Where a filter lets nobody have a socket, there is none to try with.
		none := tcp != 0 && tcp == e.Report[guest.TryRoute]
		held = held && (tcp == unix.EACCES || none)
		proof.Inside += "; connect by TCP: " + Answer(tcp)
	}
	proof.State = Verdict(held)
	if lacks := LandlockLacks(e.ABI, !p.Network.Loopback); len(lacks) > 0 {
		proof.Inside += "; this kernel's Landlock cannot restrict " + strings.Join(lacks, ", ")
		proof.State = lessOf(proof.State)
	}
	if len(e.RightsGaps) > 0 {
		proof.Inside += "; " + strings.Join(e.RightsGaps, "; ")
		proof.State = lessOf(proof.State)
	}
	return proof
}

// lessOf is the state of what holds, but not all of what is asked for.
func lessOf(s backend.State) backend.State {
	if s == backend.Enforced {
		return backend.Partial
	}
	return s
}

func netProof(e Evidence) backend.Proof {
	_, own := e.NS["net"]
	alone := own && slices.Equal(e.Links, []string{"lo"}) && e.Routes == 0
	unreachable := e.Report[guest.TryRoute] != 0
	state := Verdict(alone && unreachable)
	if vsock := e.Report[guest.TryVsock] == 0; vsock && state == backend.Enforced {
		state = backend.Partial // the way to the hypervisor is of the machine, not of the namespace
	}
	return backend.Proof{
		Control: policy.NetOff, State: state,
		Outside: fmt.Sprintf("/proc/%d/net: links %s, %d routes", e.PID, strings.Join(e.Links, " "), e.Routes),
		Inside: fmt.Sprintf("a UDP socket connected to 192.0.2.1: %s; an AF_VSOCK socket: %s",
			Answer(e.Report[guest.TryRoute]), Answer(e.Report[guest.TryVsock])),
	}
}

func readonlyProof(e Evidence, p *policy.Policy) backend.Proof {
	root, found := mountAt(e, "/")
	state := Verdict(found && root.Readonly && (e.Report[guest.TryWrite] == unix.EROFS || e.Report[guest.TryWrite] == unix.EACCES))
	return backend.Proof{
		Control: policy.RootReadonly, State: state,
		Outside: fmt.Sprintf("/proc/%d/mountinfo: / is read-only: %t", e.PID, root.Readonly),
		Inside:  "create a file in /: " + Answer(e.Report[guest.TryWrite]),
	}
}

// limitsProof reads back what bounds the commands together. Without a cgroup,
// rlimits bound each process, which is a part of what was asked for.
func limitsProof(e Evidence, p *policy.Policy) backend.Proof {
	proof := backend.Proof{Control: policy.Limits, State: backend.Missing}
	want := p.Resources.Effective()
	if want.Memory < 0 || want.PIDs < 0 || want.CPUs < 0 {
		proof.Outside = "the policy asks for no limit of memory, CPU or PIDs"
		return proof
	}
	if e.Cgroup != nil {
		proof.State = boundsState(e.Cgroup, want)
		proof.Outside = fmt.Sprintf("its cgroup: %s; %d of its tasks are for the guest", strings.Join(e.Cgroup.Files, ", "), e.Cgroup.OwnTasks)
		if own := e.Cgroup.OwnMemory; own > 0 {
			proof.Outside += fmt.Sprintf(" and the runtime, and %d bytes of memory", own)
		}
		return proof
	}
	processes, data := limitOf(e.Limits, "Max processes"), limitOf(e.Limits, "Max data size")
	if processes != "unlimited" && data == fmt.Sprint(int64(want.Memory)+e.OwnMemory) {
		proof.State = backend.Partial
	}
	proof.Outside = fmt.Sprintf("no cgroup (%v); /proc/%d/limits: %s processes for the sandbox, %s bytes of data for each process, CPU not bounded",
		e.CgroupErr, e.PID, processes, data)
	return proof
}

// boundsState holds what the kernel says against what was asked for. Memory, CPU
// and PIDs are the control; swap and disks without their bound make it a part.
func boundsState(b *cgroup.Bounds, want policy.Resources) backend.State {
	if b.Memory <= 0 || b.Memory > int64(want.Memory) || b.PIDs != int64(want.PIDs) || b.Quota != cgroup.Quota(want.CPUs) {
		return backend.Missing
	}
	swap := want.Swap < 0 || b.SwapCounted && b.Swap <= int64(want.Swap) || b.SwapAvoided && want.Swap == 0
	read := want.IORead <= 0 || b.NoDisk || b.Read > 0 && b.Read <= int64(want.IORead)
	write := want.IOWrite <= 0 || b.NoDisk || b.Write > 0 && b.Write <= int64(want.IOWrite) && b.Buffered
	if !swap || !read || !write {
		return backend.Partial
	}
	return backend.Enforced
}

// limitOf reads the hard limit of a line of /proc/PID/limits.
func limitOf(limits, name string) string {
	for _, line := range strings.Split(limits, "\n") {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if fields := strings.Fields(rest); len(fields) > 1 {
				return fields[1]
			}
		}
	}
	return "unlimited"
}

// mountAt finds what is mounted last, and so seen, at a place.
func mountAt(e Evidence, point string) (m Mount, found bool) {
	for _, candidate := range e.Mounts {
		if candidate.Point == point {
			m, found = candidate, true
		}
	}
	return m, found
}

// Answer says what the kernel answered, by its name.
func Answer(e syscall.Errno) string {
	if e == 0 {
		return "allowed"
	}
	if e == guest.Killed {
		return "killed"
	}
	if name := unix.ErrnoName(e); name != "" {
		return name
	}
	return e.Error()
}
