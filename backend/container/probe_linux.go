package container

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/policy"
)

// Probe makes a sandbox with every control and says what was proven of it, and
// what is known of the runtime.
func (b *Backend) Probe(ctx context.Context) (_ backend.Info, err error) {
	p, err := policy.Preset("strict")
	if err != nil {
		return backend.Info{}, err
	}
	// What is missing is to be reported, not refused; but without namespaces it
	// would be another sandbox than the one that everybody gets.
	p.BestEffort = slices.DeleteFunc(policy.Controls(), func(c policy.Control) bool { return c == policy.NSUser })
	made, err := b.Create(ctx, backend.Spec{ID: fmt.Sprintf("%016x", rand.Uint64()), Policy: p})
	if err != nil {
		return backend.Info{}, err
	}
	defer func() { err = errors.Join(err, made.Destroy(context.WithoutCancel(ctx))) }()
	i := made.(*instance)
	info := backend.Info{Controls: evidence.Findings(i.proofs), Notes: slices.Clone(i.notes)}
	about, err := ask(ctx, i.runtime)
	if err != nil {
		info.Notes = append(info.Notes, err.Error())
		return info, nil
	}
	info.Notes = append(info.Notes, about.notes()...)
	if b.Kind == GVisor {
		info.Notes = append(info.Notes, b.tryPlatforms(ctx, &p, i.runtime)...)
	}
	return info, nil
}
