package evidence

import (
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/cgroup"
	"github.com/kavach-dev/kavach/policy"
)

// Findings are what the proofs of a trial sandbox say of its backend.
func Findings(proofs []backend.Proof) []backend.Finding {
	var list []backend.Finding
	for _, proof := range proofs {
		f := backend.Finding{Control: proof.Control, State: proof.State, Detail: proof.Outside}
		if f.Detail == "" {
			f.Detail = proof.Inside
		}
		if f.State != backend.Enforced {
			f.Fix = Fix(proof.Control)
		}
		list = append(list, f)
	}
	return list
}

// Fix says what to do where a control cannot be had. Empty: nothing is known.
func Fix(c policy.Control) string {
	switch c {
	case policy.Limits:
		return "run as root, or " + cgroup.Delegate + "; without one, an ordinary user has rlimits only"
	case policy.LandlockOn:
		return "use a kernel with CONFIG_SECURITY_LANDLOCK, and landlock in its lsm= list (Linux 5.13)"
	case policy.SeccompOn:
		return "use a kernel with CONFIG_SECCOMP_FILTER"
	}
	return ""
}
