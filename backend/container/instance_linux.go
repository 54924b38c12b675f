package container

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/policy"
)

// instance is a container, and the keeper that it is in.
type instance struct {
	jail    *jail.Jail
	inside  *jail.Contained
	spec    backend.Spec
	runtime string // its path
	without []policy.Control
	proofs  []backend.Proof
	notes   []string
}

func (i *instance) Start(ctx context.Context, cmd backend.Cmd) (backend.Process, error) {
	if slices.Contains(i.without, policy.EnvClean) {
		cmd.Env = append(os.Environ(), cmd.Env...)
	}
	p, err := i.jail.ExecBy(ctx, i.inside.Agent, cmd)
	if err != nil {
		var refused *backend.ExecError
		if errors.As(err, &refused) {
			refused.Hint = jail.Hint(refused, &i.spec.Policy.Filesystem)
		}
		return nil, err
	}
	return p, nil
}

func (i *instance) Proofs(context.Context) ([]backend.Proof, error) {
	return slices.Clone(i.proofs), nil
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
	return i.jail.ExportBy(ctx, i.inside.Agent, e, "", w)
}

var (
	_ backend.Pauser      = (*instance)(nil)
	_ backend.Files       = (*instance)(nil)
	_ backend.SecretFiles = (*instance)(nil)
	_ backend.Layered     = (*instance)(nil)
	_ backend.Noted       = (*instance)(nil)
	_ backend.Resizer     = (*jail.Command)(nil)
)
