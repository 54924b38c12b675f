package evidence

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/policy"
)

// seccompProof tries, from inside, calls that no profile should let through, and
// looks from outside whether filters are there. What is refused must be refused
// in a way that the kernel itself would not.
func seccompProof(e Evidence, p *policy.Policy, f *seccomp.Filters) backend.Proof {
	proof := backend.Proof{Control: policy.SeccompOn, State: backend.Missing}
	switch {
	case f.Guest == nil:
		proof.Outside = "the policy asks for no filter"
		return proof
	case p.Seccomp.Mode == policy.SeccompLog:
		proof.Outside = "the policy asks for a log: what a filter would refuse is let pass"
		return proof
	}
	proof.Outside = fmt.Sprintf("/proc/%d/status: Seccomp %s, Seccomp_filters %s", e.PID, e.Status["Seccomp"], e.Status["Seccomp_filters"])
	var refused, passed []string
	for call, attempt := range guest.RefusedCalls() {
		got := e.Report[attempt]
		words := call + ": " + Answer(got)
		if got == unix.EPERM || got == unix.ENOSYS || got == unix.EACCES || got == guest.Killed {
			refused = append(refused, words)
		} else {
			passed = append(passed, words+", the kernel's own answer")
		}
	}
	slices.Sort(refused)
	slices.Sort(passed)
	proof.Inside = strings.Join(slices.Concat(refused, passed), "; ")
	switch {
	case e.Status["Seccomp"] != "2" || len(refused) == 0:
	case len(passed) > 0:
		proof.State = backend.Partial
	case !f.AllowList:
		proof.State = backend.Partial
		proof.Outside += "; the profile lets pass what it does not list"
	default:
		proof.State = backend.Enforced
	}
	return proof
}
