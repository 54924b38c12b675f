package process

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/cgroup"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/policy"
)

// Probe makes a sandbox with every control and says what was proven of it.
func (b *Backend) Probe(ctx context.Context) (_ backend.Info, err error) {
	p, err := policy.Preset("strict")
	if err != nil {
		return backend.Info{}, err
	}
	// What is missing is to be reported, not refused; but without namespaces it
	// would be another sandbox than the one that everybody gets.
	p.BestEffort = slices.DeleteFunc(policy.Controls(), func(c policy.Control) bool { return c == policy.NSUser })
	id := fmt.Sprintf("%016x", rand.Uint64())
	instance, err := b.Create(ctx, backend.Spec{ID: id, Policy: p})
	if err != nil {
		return backend.Info{}, err
	}
	defer func() { err = errors.Join(err, instance.Destroy(context.WithoutCancel(ctx))) }()
	proofs, err := instance.Proofs(ctx)
	if err != nil {
		return backend.Info{}, err
	}
	var info backend.Info
	for _, proof := range proofs {
		f := backend.Finding{Control: proof.Control, State: proof.State, Detail: proof.Outside}
		if f.Detail == "" {
			f.Detail = proof.Inside
		}
		if f.State != backend.Enforced {
			f.Fix = fixes[proof.Control]
		}
		info.Controls = append(info.Controls, f)
	}
	return info, nil
}

var fixes = map[policy.Control]string{
	policy.Limits:     "run as root, or " + cgroup.Delegate + "; without one, an ordinary user has rlimits only",
	policy.LandlockOn: "use a kernel with CONFIG_SECURITY_LANDLOCK, and landlock in its lsm= list (Linux 5.13)",
	policy.SeccompOn:  "use a kernel with CONFIG_SECCOMP_FILTER",
}

// Create makes a sandbox.
func (b *Backend) Create(ctx context.Context, spec backend.Spec) (backend.Instance, error) {
	program, err := jail.FindGuest(b.Guest, guest.CanBeSelf())
	if err != nil {
		return nil, &backend.UnavailableError{Backend: Name, Reason: err.Error()}
	}
	cfg, err := b.config(spec, program)
	if err != nil {
		return nil, err
	}
	var notes []string
	cfg.Filters, notes, err = seccomp.Of(&spec.Policy.Seccomp, seccomp.Place{NoSetID: cfg.NoSetID})
	if err != nil {
		return nil, err
	}
	j, err := jail.Start(ctx, cfg)
	var limit *jail.LimitError
	if errors.As(err, &limit) {
		if !spec.Policy.MayMiss(policy.Limits) {
			return nil, &backend.UnsupportedError{
				Backend: Name, Control: policy.Limits, Reason: err.Error(),
				Fix: fixes[policy.Limits] + "; or go on without it by naming limits under best_effort",
			}
		}
		cfg.Swap, cfg.IORead, cfg.IOWrite = 0, 0, 0
		j, err = jail.Start(ctx, cfg)
	}
	var refused *jail.NamespaceError
	if errors.As(err, &refused) {
		j, err = startBare(ctx, cfg, &spec.Policy, refused)
	}
	if err != nil {
		return nil, err
	}
	return &instance{jail: j, policy: spec.Policy, filters: cfg.Filters, notes: notes}, nil
}

// config makes of a policy what the jail is told.
func (b *Backend) config(spec backend.Spec, program string) (jail.Config, error) {
	p := &spec.Policy
	r := p.Resources.Effective()
	cfg := jail.Config{
		ID: spec.ID, Backend: Name, Guest: program,
		UID: os.Geteuid(), GID: os.Getegid(),
		Root: p.Filesystem.Root, Writable: p.Filesystem.Writable,
		Scratch: int64(p.Filesystem.TmpSize), Mounts: p.Filesystem.Mounts,
		Loopback: p.Network.Loopback, Landlock: p.Filesystem.Landlock != policy.Off,
		Memory: int64(r.Memory), PIDs: int64(r.PIDs), CPUs: r.CPUs,
		Swap: int64(r.Swap), IORead: int64(r.IORead), IOWrite: int64(r.IOWrite),
		LandlockABI: b.landlockABI,
		Without:     b.without,
	}
	if spec.Image != nil {
		cfg.Root, cfg.Layers = "", spec.Image.Layers
	}
	if p.Process.User != "" {
		uid, gid, both := strings.Cut(p.Process.User, ":")
		if !both {
			gid = uid
		}
		var errs [2]error
		cfg.UID, errs[0] = strconv.Atoi(uid)
		cfg.GID, errs[1] = strconv.Atoi(gid)
		if err := errors.Join(errs[:]...); err != nil {
			return cfg, fmt.Errorf("process.user %q: %w", p.Process.User, err)
		}
	}
	if err := landlock(&cfg, p.MayMiss(policy.LandlockOn)); err != nil {
		return cfg, err
	}
	direct := slices.ContainsFunc(p.Filesystem.Mounts, func(m policy.Mount) bool { return m.Access == policy.AccessDirect })
	cfg.NoSetID = direct && seccomp.Asked(&p.Seccomp)
	return cfg, nil
}

// landlock refuses what this kernel's Landlock cannot do, or goes on without
// where the policy lets it: the proof says then what is missing.
func landlock(cfg *jail.Config, mayMiss bool) error {
	if !cfg.Landlock {
		return nil
	}
	refuse := &backend.UnsupportedError{Backend: Name, Control: policy.LandlockOn}
	if guest.LandlockABI() == 0 {
		refuse.Reason = "this kernel has no Landlock"
		refuse.Fix = fixes[policy.LandlockOn] + "; or go on without it by naming landlock under best_effort"
		cfg.Landlock = false
	} else if gaps := jail.RightsGaps(cfg); len(gaps) > 0 {
		refuse.Reason = strings.Join(gaps, "; ")
		refuse.Fix = "name the rights, or mount it elsewhere, or go on by naming landlock under best_effort"
	}
	if refuse.Reason == "" || mayMiss {
		return nil
	}
	return refuse
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
			refused.Hint = hint(refused, &i.policy.Filesystem)
		}
		return nil, err
	}
	return p, nil
}

// hint looks for a command, which is not in the sandbox, on the host.
func hint(e *backend.ExecError, shown *policy.Filesystem) string {
	if e.Step == "chdir" {
		return "start in a directory that is visible in the sandbox (--workdir); --volume shows one"
	}
	if !e.NotFound() {
		return ""
	}
	if shown.Image != "" { // which does not want the host's programs
		return "image " + shown.Image + " does not have it, or not in its PATH; or it does not have the interpreter or loader that it names"
	}
	if shown.Root == "" {
		return `filesystem.root of the policy is empty, so there are no programs; "host" shows those of the host (of several policies, in each)`
	}
	if strings.Contains(e.Path, "/") {
		if _, err := os.Stat(e.Path); err == nil && strings.HasPrefix(e.Path, "/") {
			return fmt.Sprintf("it, or the interpreter or loader that it names, is on the host but not visible; --volume %s:%s:ro shows it", e.Path, e.Path)
		}
		return ""
	}
	for _, dir := range strings.Split(os.Getenv("PATH"), ":") {
		path := dir + "/" + e.Path
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() && strings.HasPrefix(dir, "/") {
			return fmt.Sprintf("the host has it as %s, which is not visible or not in the sandbox's PATH; --volume %s:%s:ro and --env PATH=… show it", path, dir, dir)
		}
	}
	return ""
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

var (
	_ backend.Pauser  = (*instance)(nil)
	_ backend.Resizer = (*jail.Command)(nil)
	_ backend.Layered = (*instance)(nil)
	_ backend.Noted   = (*instance)(nil)
)
