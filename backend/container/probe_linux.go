package container

import (
	"context"
	"slices"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/policy"
)

// Probe makes a sandbox with every control and says what was proven of it, and
// what is known of the runtime.
func (b *Backend) Probe(ctx context.Context) (info backend.Info, err error) {
	err = evidence.Trial(ctx, b, func(p *policy.Policy, made backend.Instance) error {
		i := made.(*instance)
		info = backend.Info{Controls: evidence.Findings(i.proofs), Notes: slices.Clone(i.notes)}
		about, err := ask(ctx, i.runtime)
		if err != nil {
			info.Notes = append(info.Notes, err.Error())
			return nil
		}
		info.Notes = append(info.Notes, about.notes()...)
		if b.Kind == GVisor {
			info.Notes = append(info.Notes, b.tryPlatforms(ctx, p, i.runtime)...)
		}
		return nil
	})
	return info, err
}
