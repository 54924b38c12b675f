package container

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// platforms are the ways in which gVisor gets at system calls, the first of which
// it takes where none is asked for.
var platforms = []string{"systrap", "ptrace", "kvm"}

// platformPatience is how long a platform may take to start a container when it is
// tried: some need 0.2 seconds, and on some machines /dev/kvm opens and a guest
// never gets to run.
const platformPatience = 5 * time.Second

// tryPlatforms makes a sandbox on each platform, and says what came of it.
func (b *Backend) tryPlatforms(ctx context.Context, p *policy.Policy, runtime string) (notes []string) {
	for _, name := range platforms {
		if ctx.Err() != nil {
			return notes
		}
		tried := &Backend{Kind: b.Kind, Runtime: runtime, Guest: b.Guest, Platform: name, patience: platformPatience, without: b.without}
		start := time.Now()
		made, err := tried.Create(ctx, backend.Spec{ID: fmt.Sprintf("%016x", rand.Uint64()), Policy: *p})
		took := time.Since(start).Round(time.Millisecond)
		if err == nil {
			err = made.Destroy(context.WithoutCancel(ctx))
		}
		note := fmt.Sprintf("platform %s works: a sandbox was there after %v", name, took)
		if err != nil {
			note = fmt.Sprintf("platform %s does not work here, tried for %v: %s", name, took, reasonOf(err))
		}
		notes = append(notes, note)
	}
	return notes
}

// reasonOf leaves out what the note says already.
func reasonOf(err error) string {
	var unavailable *backend.UnavailableError
	if errors.As(err, &unavailable) {
		return unavailable.Reason
	}
	return err.Error()
}

// platformError says that the platform that was asked for is none, or lacks the
// device that the keeper is to show.
func (b *Backend) platformError() error {
	if b.Platform != "" && !slices.Contains(platforms, b.Platform) {
		return &backend.UnavailableError{
			Backend: b.Name(), Reason: fmt.Sprintf("gVisor has no platform %q", b.Platform), Fix: "use systrap, ptrace or kvm",
		}
	}
	for _, device := range b.devices() {
		if _, err := os.Lstat(device); err != nil {
			return &backend.UnavailableError{
				Backend: b.Name(), Reason: fmt.Sprintf("platform %s: %v", b.Platform, err), Fix: "use another platform: systrap needs no device",
			}
		}
	}
	return nil
}

// usageStatus is how runsc ends that does not know what it is called with (package
// flag, and github.com/google/subcommands).
const usageStatus = 2

// runscFailed says what can be done about a runsc that did not start a container.
func (r *run) runscFailed(ctx context.Context, e ended, how string) error {
	failed := &backend.UnavailableError{Backend: r.backend.Name(), Reason: how, Fix: installs[GVisor]}
	switch ours := filepath.Base(r.path) == preferred[GVisor][0]; {
	case e.err == nil && e.exit.Code == usageStatus:
		version := "a version that it does not tell"
		if about, err := ask(ctx, r.path); err == nil {
			version = "version " + about.version
		}
		failed.Reason = fmt.Sprintf("%s, %s, does not know what it is asked for: %s", r.path, version, firstLine(r.said.String()))
		failed.Fix = "use a runsc of 2026 or later, or kavach-runsc (make install)"
	case r.ids == 0 && !ours:
		failed.Reason = fmt.Sprintf("an ordinary user has one id to give, with which only kavach-runsc starts a container: %s", how)
		failed.Fix = "use kavach-runsc (make install), or run it as root"
	case r.backend.Platform != "":
		failed.Fix = fmt.Sprintf("use another platform than %s; kavach doctor says which work here", r.backend.Platform)
	}
	return failed
}
