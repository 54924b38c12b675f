package process

import (
	"context"
	"errors"
	"os"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/policy"
)

// Probe makes a sandbox with every control and says what was proven of it.
func (b *Backend) Probe(ctx context.Context) (backend.Info, error) {
	return evidence.TrialFindings(ctx, b)
}

// Create makes a sandbox.
func (b *Backend) Create(ctx context.Context, spec backend.Spec) (backend.Instance, error) {
	program, err := jail.FindGuest(b.Guest, guest.CanBeSelf())
	if err != nil {
		return nil, &backend.UnavailableError{Backend: Name, Reason: err.Error()}
	}
	cfg, notes, err := jail.Of(&spec, jail.Config{Backend: Name, Guest: program, LandlockABI: b.landlockABI, NoOverlay: b.noOverlay, Without: b.without})
	if err != nil {
		return nil, err
	}
	j, err := jail.StartFor(ctx, cfg, &spec.Policy)
	var refused *jail.NamespaceError
	if errors.As(err, &refused) {
		j, err = startBare(ctx, cfg, &spec.Policy, refused)
	}
	if err != nil {
		return nil, err
	}
	return &instance{jail: j, policy: spec.Policy, filters: cfg.Filters, notes: append(notes, j.Notes()...)}, nil
}

type instance struct {
	jail    *jail.Jail
	policy  policy.Policy
	filters *seccomp.Filters
	notes   []string
}

func (i *instance) Start(ctx context.Context, cmd backend.Cmd) (backend.Process, error) {
	p, err := i.jail.Exec(ctx, cmd)
	if err != nil {
		var refused *backend.ExecError
		if errors.As(err, &refused) {
			refused.Hint = jail.Hint(refused, &i.policy.Filesystem)
		}
		return nil, err
	}
	return p, nil
}

func (i *instance) Proofs(context.Context) ([]backend.Proof, error) {
	return evidence.Prove(i.jail.Evidence(), &i.policy, i.filters), nil
}

func (i *instance) Notes() []string { return i.notes }

func (i *instance) Pause(ctx context.Context) error   { return i.jail.Pause(ctx) }
func (i *instance) Resume(ctx context.Context) error  { return i.jail.Resume(ctx) }
func (i *instance) Halt(ctx context.Context) error    { return i.jail.Halt(ctx) }
func (i *instance) Layers() []backend.Layer           { return i.jail.Layers() }
func (i *instance) Destroy(ctx context.Context) error { return i.jail.Close(ctx) }

func (i *instance) Give(path string, content []byte) error { return i.jail.Give(path, content) }
func (i *instance) Take(path string) error                 { return i.jail.Take(path) }

func (i *instance) Export(ctx context.Context, e backend.Export, w *os.File) error {
	return i.jail.Export(ctx, e, "", w)
}

var (
	_ backend.Pauser      = (*instance)(nil)
	_ backend.Files       = (*instance)(nil)
	_ backend.SecretFiles = (*instance)(nil)
	_ backend.Resizer     = (*jail.Command)(nil)
	_ backend.Layered     = (*instance)(nil)
	_ backend.Noted       = (*instance)(nil)
)
