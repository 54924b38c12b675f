package container

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/policy"
)

// kernelProof: whoever sends what the guest says is runsc, which so serves the
// system calls that the guest makes, and nothing else is executed in the keeper.
func (r *run) kernelProof(e evidence.Evidence) backend.Proof {
	g := &r.gvisor
	exe := evidence.Executes(e.PID, r.path)
	proof := backend.Proof{
		Control: policy.KernelOwn, State: evidence.Verdict(exe && len(g.others) == 0),
		Outside: fmt.Sprintf("what the guest sends comes from process %d, whose /proc/%d/exe is %s: %t; of the %d processes below the keeper (%d) %d execute it",
			e.PID, e.PID, r.path, exe, g.runtime+len(g.others), r.jail.PID(), g.runtime),
		Inside: fmt.Sprintf("an AF_VSOCK socket: %s; io_uring_setup: %s", evidence.Answer(e.Report[guest.TryVsock]), evidence.Answer(e.Report[guest.TryIOUring])),
	}
	if len(g.others) > 0 {
		proof.Outside += ", and others " + strings.Join(g.others, ", ")
	}
	return proof
}

// sentryRoot: the sentry is in a directory with nothing of the host.
func (r *run) sentryRoot(e evidence.Evidence, p backend.Proof) backend.Proof {
	own := len(e.Mounts) > 0
	for _, m := range e.Mounts {
		own = own && (m.FSType == "tmpfs" || m.FSType == "proc")
	}
	absent := e.Report[guest.TryHostFile] == unix.ENOENT
	p.State = evidence.Verdict(own && absent)
	p.Outside = fmt.Sprintf("/proc/%d/mountinfo, of the sentry: %s; /proc/%d/mountinfo, of the gofer: %s",
		e.PID, words(e.Mounts), r.gvisor.gofer, words(r.gvisor.goferMounts))
	return p
}

// words is what is mounted where.
func words(mounts []evidence.Mount) string {
	var list []string
	for _, m := range mounts {
		list = append(list, m.FSType+" on "+m.Point)
	}
	return strings.Join(list, ", ")
}

// sentryFiles: descriptors of commands are the sentry's own affair; what counts is
// that it holds none that leads to a file of the host.
func (r *run) sentryFiles(e evidence.Evidence) backend.Proof {
	files := r.gvisor.files
	proof := backend.Proof{
		Control: policy.FDsClean, State: evidence.Verdict(len(files) == 0),
		Outside: fmt.Sprintf("/proc/%d/fd, of the sentry: %d sockets, pipes, memory, and files of its own root directory and the container's", e.PID, len(e.FDs)-len(files)),
	}
	if len(files) > 0 {
		proof.Outside += ", and " + strings.Join(files, ", ")
	}
	return proof
}

// sentryProc: /proc is made up by the sentry, and no procfs is where the gofer
// could open files of it.
func (r *run) sentryProc() backend.Proof {
	kernels := slices.ContainsFunc(r.gvisor.goferMounts, func(m evidence.Mount) bool { return m.FSType == "proc" || m.FSType == "sysfs" })
	return backend.Proof{
		Control: policy.ProcMasked, State: evidence.Verdict(!kernels && len(r.gvisor.goferMounts) > 0),
		Outside: fmt.Sprintf("/proc/%d/mountinfo, of the gofer, has a procfs or sysfs: %t; the sentry serves its own", r.gvisor.gofer, kernels),
	}
}

// sentryFilter: the sentry, and all that it runs the container's code in, have a
// filter of gVisor's on the host; the policy's is put on inside.
func (r *run) sentryFilter(e evidence.Evidence, p backend.Proof) backend.Proof {
	g := &r.gvisor
	gofer := status(g.gofer)["Seccomp"]
	if e.Status["Seccomp"] != "2" || len(g.open) != 0 || gofer != "2" {
		p.State = backend.Missing
	}
	p.Outside = fmt.Sprintf("/proc/%d/status, of the sentry: Seccomp %s; %d processes that run the code of the container, without a filter of them: %d; the gofer %d: Seccomp %s",
		e.PID, e.Status["Seccomp"], g.stubs, len(g.open), g.gofer, gofer)
	return p
}

// sentryDomain has no witness outside, as no domain has. Whoever says it is
// kavach-runsc, before any code of the container has run.
func (r *run) sentryDomain() backend.Proof {
	proof := backend.Proof{Control: policy.LandlockOn}
	held := make(map[string]bool)
	var said []string
	for _, d := range r.gvisor.domains {
		if d.Landlock > 0 && len(d.Refused) > 0 {
			held[d.Process] = true
		}
		said = append(said, fmt.Sprintf("the %s, with ABI %d: refused to %s", d.Process, d.Landlock, strings.Join(d.Refused, ", to ")))
	}
	proof.State = evidence.Verdict(held["sentry"] && held["gofer"])
	if proof.Inside = strings.Join(said, "; "); len(said) == 0 {
		proof.Inside = r.path + " puts neither its sentry nor its gofer into a domain; kavach-runsc does"
	}
	return proof
}

// sentryReadonly: what the gofer has as its root directory is read-only.
func (r *run) sentryReadonly(p backend.Proof) backend.Proof {
	var root evidence.Mount
	for _, m := range r.gvisor.goferMounts {
		if m.Point == "/" {
			root = m
		}
	}
	inside := strings.HasSuffix(p.Inside, "EROFS") || strings.HasSuffix(p.Inside, "EACCES")
	p.State = evidence.Verdict(root.Readonly && inside)
	p.Outside = fmt.Sprintf("/proc/%d/mountinfo, of the gofer: / is read-only: %t", r.gvisor.gofer, root.Readonly)
	return p
}

// sentryLimits: a cgroup bounds the sentry, and all that it serves. Without one,
// the limits of each command are the sentry's to keep, and the probe tried them.
func (r *run) sentryLimits(e evidence.Evidence, want policy.Resources, p backend.Proof) backend.Proof {
	if e.Cgroup != nil || want.Memory < 0 || want.PIDs < 0 || want.CPUs < 0 {
		return p
	}
	memory, fork := e.Report[guest.TryMap], e.Report[guest.TryFork]
	p.State = backend.Missing
	if memory == unix.ENOMEM && fork == unix.EAGAIN {
		p.State = backend.Partial
	}
	p.Outside = fmt.Sprintf("no cgroup (%v)", e.CgroupErr)
	p.Inside = fmt.Sprintf("the sentry keeps rlimits: map as much as RLIMIT_AS (%d for each process): %s; a process more than RLIMIT_NPROC (set to 1 for this): %s; CPU not bounded",
		int64(want.Memory)+reserved, evidence.Answer(memory), evidence.Answer(fork))
	return p
}
