// Package kavach runs code that nobody trusts behind the isolation that the
// caller asks for, and says with evidence how strong that isolation is.
//
//	rt := &kavach.Runtime{Backends: all.All()}
//	p, _ := policy.Preset("basic")
//	sb, err := rt.Create(ctx, kavach.Config{Policy: p})
//	if err != nil { … }
//	defer sb.Destroy(ctx)
//	res, err := sb.Run(ctx, kavach.Cmd{Args: []string{"python3", "-c", "print(6*7)"}})
//
// A non-zero exit, a signal, a timeout, running out of memory are a Result. An
// error means that Kavach could not do its job, and says what to do about it.
//
// What this package does not protect: a backend is as strong as its score's
// breakdown says and no stronger; what every backend shares is in
// docs/SECURITY.md.
package kavach

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/credential"
	"github.com/kavach-dev/kavach/gate"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/score"
)

// ErrNoBackend is returned by a Runtime that was given no backends.
var ErrNoBackend = errors.New("this Runtime has no backends: set Runtime.Backends, for example to all.All() of package backend/all")

// ErrNoImages is returned where a policy names an image, and the Runtime has
// nothing that finds images.
var ErrNoImages = errors.New("filesystem.image names an image, and this Runtime has no images: set Runtime.Images, for example to an *image.Store of package image")

// Order is the order in which backends are tried where the caller names none:
// the fastest first. Noop is not in it, nor is wasm: they run only where they are
// named, the one because it isolates nothing, the other because it runs WebAssembly
// modules and no programs.
var order = []string{"process", "oci", "gvisor", "sgx", "sev", "firecracker"}

// Order returns the order in which backends are tried where none is named.
func Order() []string { return append([]string(nil), order...) }

// Runtime makes sandboxes. It may be used from many goroutines at once, and
// must not be changed after its first use.
type Runtime struct {
	// Backends are what sandboxes are made with. Nil: Create fails.
	Backends []backend.Backend

	// Audit is told of each act before it happens, and of its end. Nil: no
	// record is kept.
	Audit Audit

	// Gate is what output and files pass through before anybody sees them. Nil: the
	// zero gate.Gate, which scans as policies say and keeps nothing that it withholds.
	Gate *gate.Gate

	// Placeholders puts the values of secrets in where what a command sends leaves the
	// sandbox. Nil: a policy that gives a secret as a placeholder is refused.
	Placeholders credential.Placeholders

	// Images finds what filesystem.image of a policy names. Nil: a policy that
	// names an image is refused.
	Images Images
}

// Config is what Create is asked for.
type Config struct {
	// Policy is what the sandbox may do. Its zero value denies.
	Policy policy.Policy

	// Backend is the name of the backend; "" or "auto": the first in Order that
	// proves all that Policy asks for.
	Backend string

	// Credentials are secrets that commands are given, beside those of Policy: here
	// they can have a source of the caller's own. The gate knows each that was given.
	// Nil: none.
	Credentials []credential.Ref

	// Inherited are the descriptors of this program that credentials may come from
	// (source fd:N; 0 is stdin). What is named there is read to its end. Nil: none, and
	// such a source is refused.
	Inherited []int

	// Secrets are values that commands are given in another way, and that must not
	// leave: the gate looks for them in all that does. Create fails where one is
	// shorter than gate.MinSecret.
	Secrets []gate.Secret
}

// ScoreError says that less was proven than the policy requires. The sandbox
// was destroyed before anything ran in it.
type ScoreError struct {
	Backend string
	Min     int // what require.min_score asks for
	Score   score.Score
}

func (e *ScoreError) Error() string {
	var lost []string
	for _, line := range e.Score.Controls {
		if line.Points < line.Of {
			lost = append(lost, fmt.Sprintf("%s (%s, %d of %d)", line.Name, line.State, line.Points, line.Of))
		}
	}
	why := ""
	if len(lost) > 0 {
		why = ": " + strings.Join(lost, ", ")
	}
	return fmt.Sprintf("backend %s proved a score of %d, and the policy requires %d%s; "+
		"lower require.min_score, ask the policy for more controls, or choose a stronger backend",
		e.Backend, e.Score.Value, e.Min, why)
}

// Create makes a sandbox and proves what it enforces. Where it fails, it has
// left nothing behind.
func (r *Runtime) Create(ctx context.Context, cfg Config) (*Sandbox, error) {
	if len(r.Backends) == 0 {
		return nil, ErrNoBackend
	}
	if err := cfg.Policy.Validate(); err != nil {
		return nil, err
	}
	candidates, err := r.candidates(cfg)
	if err != nil {
		return nil, err
	}
	if err := r.tryCredentials(&cfg); err != nil { // which no backend can do anything about
		return nil, err
	}
	if cfg.Policy.Filesystem.Image != "" && r.Images == nil {
		return nil, ErrNoImages
	}
	files := &rootImage{images: r.Images, ref: cfg.Policy.Filesystem.Image, holders: 1}
	sb, err := r.createOnFirst(ctx, candidates, cfg, files)
	return sb, errors.Join(err, files.letGo()) // which releases nothing where there is a sandbox
}

// createOnFirst makes a sandbox on the first backend that proves what the policy
// asks for.
func (r *Runtime) createOnFirst(ctx context.Context, candidates []backend.Backend, cfg Config, files *rootImage) (*Sandbox, error) {
	var refused []error
	for _, b := range candidates {
		sb, err := r.createOn(ctx, b, cfg, files)
		if err == nil {
			return sb, nil
		}
		if !askNext(err) {
			return nil, err
		}
		refused = append(refused, err)
	}
	if len(refused) == 1 {
		return nil, refused[0]
	}
	return nil, fmt.Errorf("no backend proves what the policy asks for: %w", errors.Join(refused...))
}

// askNext reports whether another backend may do what one has refused.
func askNext(refused error) bool {
	var (
		low   *ScoreError
		image *ImageError
	)
	return !errors.As(refused, &image) && (errors.Is(refused, errors.ErrUnsupported) || errors.As(refused, &low))
}

// candidates lists the backends that may be tried, in order.
func (r *Runtime) candidates(cfg Config) ([]backend.Backend, error) {
	allowed := func(name string) bool {
		required := cfg.Policy.Require.Backends
		if len(required) == 0 {
			return true
		}
		for _, n := range required {
			if n == name {
				return true
			}
		}
		return false
	}
	names := order
	if cfg.Backend != "" && cfg.Backend != "auto" {
		if !allowed(cfg.Backend) {
			return nil, fmt.Errorf("backend %s is not among require.backends of the policy (%s)",
				cfg.Backend, strings.Join(cfg.Policy.Require.Backends, ", "))
		}
		names = []string{cfg.Backend}
	}
	var found []backend.Backend
	for _, name := range names {
		if b := r.Find(name); b != nil && allowed(name) {
			found = append(found, b)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no backend to try: asked for %s, and this program has %s",
			strings.Join(names, ", "), strings.Join(r.names(), ", "))
	}
	return found, nil
}

// Find returns the backend with the given name, or nil.
func (r *Runtime) Find(name string) backend.Backend {
	for _, b := range r.Backends {
		if b.Name() == name {
			return b
		}
	}
	return nil
}

func (r *Runtime) names() []string {
	var names []string
	for _, b := range r.Backends {
		names = append(names, b.Name())
	}
	return names
}

// createOn makes a sandbox on one backend: audit, open its image, create, prove,
// and refuse where less was proven than is required.
func (r *Runtime) createOn(ctx context.Context, b backend.Backend, cfg Config, files *rootImage) (*Sandbox, error) {
	p := cfg.Policy
	if len(p.Wasm.Modules) > 0 && b.Name() != "wasm" {
		return nil, &backend.UnsupportedError{
			Backend: b.Name(), Control: policy.ImageVerified,
			Reason: "wasm.modules names the only modules that may run, and this backend runs no modules",
			Fix:    "choose backend wasm, or leave wasm.modules out",
		}
	}
	if field := wasmOnly(&p); field != "" && b.Name() != "wasm" {
		return nil, &policy.FieldError{Field: field, Problem: "backend " + b.Name() + " runs no modules, and would show the machine's", Fix: "choose backend wasm, or leave it out"}
	}
	sb := &Sandbox{id: newID(), runtime: r, backend: b.Name(), policy: p, state: Created, made: now()}
	var err error
	if sb.gate, err = r.openGate(sb.id, cfg); err != nil {
		if sb.gate != nil {
			sb.gate.Close() // it may know some of the secrets
		}
		return nil, err
	}
	if sb.credentials, err = r.openCredentials(sb, cfg); err != nil {
		sb.gate.Close()
		return nil, err
	}
	if err := r.record(ctx, Event{Act: ActCreate, Sandbox: sb.id, Backend: b.Name(), Policy: &p}); err != nil {
		sb.credentials.Close()
		sb.gate.Close()
		return nil, err
	}
	if err = sb.create(ctx, b, files); err == nil {
		return sb, nil
	}
	return nil, errors.Join(err, sb.Destroy(ctx))
}

// openGate opens the gate of a sandbox.
func (r *Runtime) openGate(id string, cfg Config) (*gate.Session, error) {
	g := r.Gate
	if g == nil {
		g = new(gate.Gate)
	}
	return g.Open(gate.Options{Sandbox: id, Policy: cfg.Policy.Gate, Secrets: cfg.Secrets, Learns: len(cfg.Policy.Credentials)+len(cfg.Credentials) > 0})
}

// tryCredentials looks whether the credentials can be given at all.
func (r *Runtime) tryCredentials(cfg *Config) error {
	set, err := credential.Open(credential.Options{Policy: &cfg.Policy, Refs: cfg.Credentials, Placeholders: r.Placeholders})
	if err == nil {
		set.Close()
	}
	return err
}

// openCredentials opens the credentials of a sandbox, whose gate knows each value before
// a command has it.
func (r *Runtime) openCredentials(sb *Sandbox, cfg Config) (*credential.Set, error) {
	return credential.Open(credential.Options{
		Sandbox: sb.id, Policy: &sb.policy, Refs: cfg.Credentials, Placeholders: r.Placeholders, Inherited: cfg.Inherited,
		Know: sb.know,
	})
}

// wasmOnly names a field that only backend wasm can carry out. Empty: there is none.
func wasmOnly(p *policy.Policy) string {
	switch {
	case p.Wasm.Clock != "":
		return "wasm.clock"
	case p.Wasm.Seed != "":
		return "wasm.seed"
	}
	return ""
}

// newID makes the name of a sandbox. It needs to be unique on one machine and
// is no secret, so the runtime's own generator (seeded by the kernel) serves.
func newID() string { return fmt.Sprintf("%016x", rand.Uint64()) }
