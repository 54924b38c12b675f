package process

import (
	"context"
	"runtime"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/policy"
)

// namespaceFix covers the ways in which a kernel refuses user namespaces.
const namespaceFix = jail.NamespaceFix + "; or go on without namespaces, which proves much less: --best-effort namespaces"

// startBare is the tier below namespaces. It is made where the kernel has just
// refused them, and the policy may miss each control that they are.
func startBare(ctx context.Context, cfg jail.Config, p *policy.Policy, refused error) (*jail.Jail, error) {
	for _, c := range policy.NamespaceControls() {
		if !p.MayMiss(c) {
			return nil, &backend.UnavailableError{Backend: Name, Reason: refused.Error(), Fix: namespaceFix}
		}
	}
	reason, fix := jail.BareProblem(&cfg)
	if reason == "" && (p.Seccomp.Profile == policy.Off || len(p.Seccomp.Files) > 0 || p.Seccomp.Mode == policy.SeccompLog) {
		reason, fix = "without namespaces the seccomp filter is what keeps the network, and it has to be one of Kavach's profiles alone, enforced",
			`use seccomp.profile "strict" or "default"`
	}
	if reason != "" {
		return nil, &backend.UnsupportedError{Backend: Name, Control: policy.NSUser, Reason: refused.Error() + "; and " + reason, Fix: fix}
	}
	var err error
	if cfg.Bare, err = bareFilter(jail.SignalsScoped(&cfg)); err != nil {
		return nil, err
	}
	return jail.Start(ctx, cfg)
}

func bareFilter(scoped bool) ([]byte, error) {
	program, err := seccomp.Bare(runtime.GOARCH, scoped)
	return seccomp.Marshal(program), err
}
