//go:build linux

package wasm

import (
	"context"
	"os"
	"testing"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/backendtest"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/policy"
)

// wall is the jail of workers with native commands in the workers' place: what an
// escape from the runtime meets, but for the worker's own filter, and with the
// host's programs to try it with.
type wall struct{ *Backend }

func (w wall) Create(ctx context.Context, spec backend.Spec) (backend.Instance, error) {
	cfg, _, err := w.place(&spec)
	if err != nil {
		return nil, err
	}
	cfg.Worker.Memory, cfg.Worker.Tasks = 0, 0 // what is measured has no worker beside it
	cfg.Root, cfg.Writable = spec.Policy.Filesystem.Root, spec.Policy.Filesystem.Writable
	j, err := start(ctx, cfg, &spec.Policy)
	if err != nil {
		return nil, err
	}
	return &walled{instance{backend: w.Backend, jail: j, policy: spec.Policy, stop: func() {}}, evidence.Prove(j.Evidence(), &spec.Policy, cfg.Filters)}, nil
}

type walled struct {
	instance
	proofs []backend.Proof
}

func (w *walled) Start(ctx context.Context, cmd backend.Cmd) (backend.Process, error) {
	p, err := w.jail.Exec(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Export reads what commands here see, which is more than modules do: that those see
// is in TestExport.
func (w *walled) Export(ctx context.Context, e backend.Export, to *os.File) error {
	return w.jail.Export(ctx, e, "", to)
}

func (w *walled) Proofs(context.Context) ([]backend.Proof, error) { return w.proofs, nil }

// TestConformance: the one table of what must hold, of the second wall. What holds of
// modules themselves is in the tests beside this one: a table of native programs
// cannot ask them.
func TestConformance(t *testing.T) {
	backendtest.Run(t, backendtest.Target{
		New: func(without ...policy.Control) backend.Backend { return wall{newBackend(t, without...)} },
		Layers: []policy.Control{
			policy.NSPid, policy.NSMount, policy.NSNet, policy.NSIpc, policy.NSUts, policy.NSCgroup, policy.NSUser,
			policy.RootPivoted, policy.CapsNone, policy.NoNewPrivs, policy.FDsClean, policy.EnvClean, policy.ProcMasked,
			policy.SeccompOn, policy.LandlockOn, policy.NetOff, policy.RootReadonly, policy.Limits,
		},
		Policy: func(p *policy.Policy) {
			p.BestEffort = append(p.BestEffort, policy.KernelOwn) // there is no module, and no worker
		},
		Except: map[string]string{
			"the system call seccomp": "a worker puts a filter on itself, after which it cannot, as TestOwnFilter shows",
		},
	})
}
