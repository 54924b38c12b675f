package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/policy"
)

// Create makes a sandbox.
func (b *Backend) Create(ctx context.Context, spec backend.Spec) (backend.Instance, error) {
	program, err := jail.FindGuest(b.Guest, guest.CanBeSelf())
	if err != nil {
		return nil, &backend.UnavailableError{Backend: b.Name(), Reason: err.Error()}
	}
	runtimes, err := b.find()
	if err != nil {
		return nil, err
	}
	if err := b.refuses(&spec.Policy); err != nil {
		return nil, err
	}
	cfg, notes, err := jail.Of(&spec, jail.Config{Backend: b.Name(), Guest: program, Unheard: b.Kind == GVisor, NoOverlay: b.noOverlay, Without: b.without})
	if err != nil {
		return nil, err
	}
	return b.first(ctx, spec, cfg, runtimes, notes)
}

// first makes a sandbox with the first runtime that can. Only where it is the
// runtime that cannot, the next one is tried, and the notes say so.
func (b *Backend) first(ctx context.Context, spec backend.Spec, cfg jail.Config, runtimes, notes []string) (backend.Instance, error) {
	var failed *backend.UnavailableError
	for n, path := range runtimes {
		i, err := b.create(ctx, spec, cfg, path)
		if err == nil {
			i.notes = append(notes, i.jail.Notes()...)
			return i, nil
		}
		var unavailable *backend.UnavailableError
		if !errors.As(err, &unavailable) || ctx.Err() != nil || n+1 == len(runtimes) && failed == nil {
			return nil, err
		}
		notes = append(notes, fmt.Sprintf("runtime %s was tried first: %s", path, unavailable.Reason))
		if failed == nil {
			failed = unavailable
			continue
		}
		failed.Reason += "; " + unavailable.Reason
	}
	return nil, failed
}

// create makes a sandbox with one runtime.
func (b *Backend) create(ctx context.Context, spec backend.Spec, cfg jail.Config, path string) (_ *instance, err error) {
	cfg.Container = &jail.Container{Programs: []string{path}, UserNS: 1, BindTmp: b.Kind == GVisor, Tasks: runtimeTasks}
	o := optionsOf(&cfg)
	if !o.with(policy.SeccompOn) {
		cfg.Container.UserNS = -1
	}
	config := newSpec(o)
	if b.Kind == GVisor {
		adaptSpec(config, o, cfg.Loopback)
		config.Mounts = append(config.Mounts, knownMounts(&spec.Policy, &cfg)...)
		cfg.Container.UserNS, cfg.Container.Devices = -1, b.devices()
		cfg.Container.Memory, cfg.Container.Tasks = sentryMemory, sentryTasks+stubTasks*max(cfg.PIDs, 0)
	}
	if cfg.Container.Config, err = json.Marshal(config); err != nil {
		return nil, err
	}
	j, err := jail.StartFor(ctx, cfg, &spec.Policy)
	var refused *jail.NamespaceError
	if errors.As(err, &refused) {
		return nil, &backend.UnavailableError{Backend: b.Name(), Reason: refused.Error(), Fix: jail.NamespaceFix}
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.Close(context.WithoutCancel(ctx)))
		}
	}()
	r := &run{backend: b, jail: j, path: path, guest: cfg.Guest, id: spec.ID, uid: cfg.UID, ids: cfg.IDs(), loopback: cfg.Loopback}
	inside, err := r.start(ctx)
	if err != nil {
		return nil, err
	}
	i := &instance{jail: j, inside: inside, spec: spec, without: b.without, runtime: path}
	proofs := evidence.Prove(inside.Evidence, &spec.Policy, cfg.Filters)
	if b.Kind == GVisor {
		i.proofs = r.gvisorProofs(inside.Evidence, &spec, proofs)
	} else {
		i.proofs = r.proofs(inside.Evidence, &spec, proofs)
	}
	return i, nil
}

// optionsOf is what a configuration says of the container.
func optionsOf(cfg *jail.Config) specOptions {
	o := specOptions{
		uid: cfg.UID, gid: cfg.GID, ids: cfg.IDs(), writable: cfg.Writable,
		refused: cfg.Filters.Outer(), without: cfg.Without,
	}
	if cfg.Scratch > 0 {
		o.shm = jail.Shm
		if cfg.Container.BindTmp {
			o.tmp = jail.Tmp
		}
	}
	if !o.with(policy.RootPivoted) {
		o.shm, o.tmp = jail.Bundle+"/rootfs/dev/shm", "" // the host's
	}
	return o
}
