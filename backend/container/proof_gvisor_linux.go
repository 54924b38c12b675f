package container

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/policy"
)

// kernelProofs put in the place of what a process of this kernel would be proven
// by what there is to see of gVisor: its commands are no processes of the host, and
// what meets them is the sentry.
func (r *run) kernelProofs(e evidence.Evidence, p *policy.Policy, list []backend.Proof) []backend.Proof {
	with := map[policy.Control]backend.Proof{
		policy.FDsClean:   r.sentry.fdsProof(e),
		policy.EnvClean:   sentryEnvProof(e),
		policy.ProcMasked: sentryProcProof(e),
		policy.LandlockOn: r.sentry.landlockProof(r.path, p),
	}
	for n := range list {
		if proof, ok := with[list[n].Control]; ok {
			proof.Control = list[n].Control
			list[n] = proof
		}
	}
	return append(list, r.sentry.kernelProof(e, r.path))
}

func verdict(seen bool) backend.State {
	if seen {
		return backend.Enforced
	}
	return backend.Missing
}

// kernelProof: the guest answers, and nothing that this kernel knows executes it.
func (s *sentry) kernelProof(e evidence.Evidence, runtime string) backend.Proof {
	words := fmt.Sprintf("the probe's answer came from /proc/%d, whose program is %s: %t; of the %d processes of the keeper none executes the guest's program",
		e.PID, runtime, s.runtime, s.processes)
	if len(s.guests) > 0 {
		words = fmt.Sprintf("processes of this kernel execute the guest's program: %v", s.guests)
	}
	return backend.Proof{Control: policy.KernelOwn, State: verdict(s.runtime && len(s.guests) == 0 && s.processes > 0), Outside: words}
}

func (s *sentry) fdsProof(e evidence.Evidence) backend.Proof {
	others := slices.DeleteFunc(slices.Clone(s.files), ours)
	proof := backend.Proof{
		State:   verdict(len(others) == 0),
		Outside: fmt.Sprintf("/proc/%d/fd has %d: sockets, pipes, memory and its own files, and none of the host's; which of them commands have, the sentry alone knows", e.PID, len(e.FDs)),
	}
	if len(others) > 0 {
		proof.Outside = fmt.Sprintf("/proc/%d/fd has %s", e.PID, strings.Join(others, ", "))
	}
	return proof
}

func sentryEnvProof(e evidence.Evidence) backend.Proof {
	var host []string
	for _, kv := range os.Environ() {
		if slices.Contains(e.Environ, kv) {
			name, _, _ := strings.Cut(kv, "=")
			host = append(host, name)
		}
	}
	return backend.Proof{
		State:   verdict(len(host) == 0),
		Outside: fmt.Sprintf("/proc/%d/environ has %d variables of the runtime's own, and %d of the host's", e.PID, len(e.Environ)-len(host), len(host)),
	}
}

// sentryProcProof: what is shown as /proc inside can only be made by the sentry,
// where it has no procfs to show.
func sentryProcProof(e evidence.Evidence) backend.Proof {
	none := len(e.Mounts) > 0 && !slices.ContainsFunc(e.Mounts, func(m evidence.Mount) bool { return m.FSType == "proc" || m.FSType == "sysfs" })
	return backend.Proof{
		State:   verdict(none),
		Outside: fmt.Sprintf("/proc/%d/mountinfo has no procfs: %t; what is shown as /proc is the sentry's own", e.PID, none),
	}
}

// landlockProof is about the domains that kavach-runsc puts its own parts into: the
// sentry, which meets the code, and the gofer, which opens its files. There is no
// Landlock in gVisor for commands.
func (s *sentry) landlockProof(runtime string, p *policy.Policy) backend.Proof {
	proof := backend.Proof{State: backend.Missing}
	if p.Filesystem.Landlock == policy.Off {
		proof.Inside = "the policy asks for no domain"
		return proof
	}
	var words []string
	held := true
	for _, part := range []string{"sentry", "gofer"} {
		c := s.confined[part]
		held = held && c.Landlock > 0 && len(c.Refused) > 0
		if c.Landlock > 0 {
			words = append(words, fmt.Sprintf("the %s is in a domain of ABI %d, which refused: %s", part, c.Landlock, strings.Join(c.Refused, ", ")))
		}
	}
	if len(words) == 0 {
		proof.Outside = fmt.Sprintf("%s says nothing of Landlock, which kavach-runsc puts around itself", runtime)
		return proof
	}
	proof.State, proof.Outside = verdict(held), fmt.Sprintf("log of %s: %s", runtime, strings.Join(words, "; "))
	return proof
}
