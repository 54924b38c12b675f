//go:build linux

package process

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// TestBareScore: what is not there is told, and earns nothing.
func TestBareScore(t *testing.T) {
	if !refused(t) {
		return
	}
	e := newBare(t)
	want := map[policy.Control]backend.State{
		policy.NoNewPrivs: backend.Enforced, policy.FDsClean: backend.Enforced, policy.EnvClean: backend.Enforced,
		policy.SeccompOn: backend.Enforced, policy.LandlockOn: backend.Enforced,
		policy.NetOff: backend.Partial, policy.RootReadonly: backend.Partial,
	}
	for _, c := range policy.NamespaceControls() {
		want[c] = backend.Missing
	}
	if os.Geteuid() == 0 {
		want[policy.CapsNone] = backend.Enforced
	} else {
		want[policy.CapsNone], want[policy.Limits] = backend.Partial, backend.Partial
	}
	for c, state := range want {
		if line := lineOf(e.sandbox, c); line.State != state {
			t.Errorf("%s is %s, want %s: %s", c, line.State, state, line.Proof)
		}
	}
	if v := e.sandbox.Score().Value; v < 20 || v >= 30 {
		t.Errorf("score %d, want what a shared view of the host is worth: 20 to 29", v)
	}
	for without, control := range map[policy.Control]policy.Control{policy.FDsClean: policy.FDsClean, policy.SeccompOn: policy.NetOff, policy.LandlockOn: policy.RootReadonly} {
		if line := lineOf(newBare(t, without).sandbox, control); line.State == backend.Enforced || without != policy.FDsClean && line.State != backend.Missing {
			t.Errorf("without %s, %s is %s: %s", without, control, line.State, line.Proof)
		}
	}
}

// TestBareIsChosenByThePolicyOnly: and never for what it cannot do.
func TestBareIsChosenByThePolicyOnly(t *testing.T) {
	if !refused(t) {
		return
	}
	b := &Backend{Guest: testbin.Kavach(t)}
	var unavailable *backend.UnavailableError
	if _, err := createWith(t, b, strict(t)); !errors.As(err, &unavailable) {
		t.Errorf("without best_effort: %v", err)
	}
	for _, missing := range policy.NamespaceControls() {
		p := strict(t)
		p.BestEffort = slices.DeleteFunc(policy.Controls(), func(c policy.Control) bool { return c == missing })
		if _, err := createWith(t, b, p); !errors.As(err, &unavailable) {
			t.Errorf("with all but %s: %v", missing, err)
		}
	}
	if _, err := b.Probe(t.Context()); !errors.As(err, &unavailable) {
		t.Errorf("the probe: %v", err)
	}
	var unsupported *backend.UnsupportedError
	for why, change := range map[string]func(*policy.Policy){
		"another root":     func(p *policy.Policy) { p.Filesystem.Root = "/usr" },
		"a writable root":  func(p *policy.Policy) { p.Filesystem.Writable = true },
		"another place":    func(p *policy.Policy) { p.Filesystem.Mounts = []policy.Mount{{Source: "/usr", Target: "/x"}} },
		"another user":     func(p *policy.Policy) { p.Process.User = "4711" },
		"no Landlock":      func(p *policy.Policy) { p.Filesystem.Landlock = policy.Off },
		"no filter":        func(p *policy.Policy) { p.Seccomp.Profile = policy.Off },
		"a required score": func(p *policy.Policy) { p.Require.MinScore = 40 },
		"rights above kept": func(p *policy.Policy) {
			p.Filesystem.Mounts = []policy.Mount{{Source: "/usr/lib", Rights: []string{"read_file"}}}
		},
	} {
		p := barePolicy(t, "")
		change(&p)
		_, err := createWith(t, b, p)
		var low *kavach.ScoreError
		if !errors.As(err, &unsupported) && !errors.As(err, &low) {
			t.Errorf("%s: %v", why, err)
		}
	}
	old := &Backend{Guest: testbin.Kavach(t), landlockABI: 2}
	if _, err := createWith(t, old, barePolicy(t, "")); !errors.As(err, &unsupported) {
		t.Errorf("with a Landlock that cannot restrict truncation: %v", err)
	}
}

// TestBareEveryLandlock: the tier on each Landlock that it takes.
func TestBareEveryLandlock(t *testing.T) {
	if !refused(t) {
		return
	}
	for abi := 3; abi <= guest.LandlockABI(); abi++ {
		sb, err := createWith(t, &Backend{Guest: testbin.Kavach(t), landlockABI: abi}, barePolicy(t, ""))
		if err != nil {
			t.Fatalf("ABI %d: %v", abi, err)
		}
		if res := runIn(t, sb, "/bin/sh", "-c", `echo a >"$TMPDIR/b" && cat "$TMPDIR/b" && cd /tmp && pwd`); res.ExitCode != 0 {
			t.Errorf("ABI %d: %q %q", abi, res.Stdout, res.Stderr)
		}
		startDaemon(t, sb)
		if err := sb.Destroy(context.Background()); err != nil {
			t.Errorf("ABI %d: %v", abi, err)
		}
	}
}

// TestNamespacesAreUsedWhereTheyAre: whatever may be missing.
func TestNamespacesAreUsedWhereTheyAre(t *testing.T) {
	if os.Getenv(bareEnvVar) != "" {
		t.Log("they are not here")
		return
	}
	sb, err := createWith(t, &Backend{Guest: testbin.Kavach(t)}, barePolicy(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range policy.NamespaceControls() {
		if line := lineOf(sb, c); line.State != backend.Enforced {
			t.Errorf("%s is %s: %s", c, line.State, line.Proof)
		}
	}
}
