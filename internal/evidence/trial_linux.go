package evidence

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// Trial makes a sandbox with every control, looks at it, and removes it: what a
// backend's Probe does.
func Trial(ctx context.Context, b backend.Backend, look func(p *policy.Policy, i backend.Instance) error) (err error) {
	p, err := policy.Preset("strict")
	if err != nil {
		return err
	}
	// What is missing is to be reported, not refused; but without namespaces it
	// would be another sandbox than the one that everybody gets.
	p.BestEffort = slices.DeleteFunc(policy.Controls(), func(c policy.Control) bool { return c == policy.NSUser })
	i, err := b.Create(ctx, backend.Spec{ID: fmt.Sprintf("%016x", rand.Uint64()), Policy: p})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, i.Destroy(context.WithoutCancel(ctx))) }()
	return look(&p, i)
}

// TrialFindings is Trial for a backend of which there is nothing else to say.
func TrialFindings(ctx context.Context, b backend.Backend) (info backend.Info, err error) {
	err = Trial(ctx, b, func(_ *policy.Policy, i backend.Instance) error {
		proofs, err := i.Proofs(ctx)
		info.Controls = Findings(proofs)
		return err
	})
	return info, err
}
