package process

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/score"
)

// createWith makes a sandbox on b, and removes it at the end of the test.
func createWith(t *testing.T, b *Backend, p policy.Policy) (*kavach.Sandbox, error) {
	t.Helper()
	rt := &kavach.Runtime{Backends: []backend.Backend{b}}
	sb, err := rt.Create(t.Context(), kavach.Config{Policy: p, Backend: Name})
	if err == nil {
		t.Cleanup(func() {
			if err := sb.Destroy(context.Background()); err != nil {
				t.Errorf("destroy: %v", err)
			}
		})
	}
	return sb, err
}

func lineOf(sb *kavach.Sandbox, c policy.Control) score.Line {
	for _, line := range sb.Score().Controls {
		if line.Name == c {
			return line
		}
	}
	return score.Line{}
}

// TestEveryLandlock: commands run on each version of Landlock up to this
// kernel's; what one cannot restrict is told, and costs points.
func TestEveryLandlock(t *testing.T) {
	for abi := 1; abi <= guest.LandlockABI(); abi++ {
		sb, err := createWith(t, &Backend{Guest: testbin.Kavach(t), landlockABI: abi}, strict(t))
		if err != nil {
			t.Fatalf("ABI %d: %v", abi, err)
		}
		line, want := lineOf(sb, policy.LandlockOn), backend.Enforced
		const complete = 6 // scopes; nothing of what Kavach uses is newer
		if abi < complete {
			want = backend.Partial
		}
		if line.State != want || (want == backend.Partial) != strings.Contains(line.Proof, "cannot restrict") {
			t.Errorf("ABI %d: %s, want %s: %s", abi, line.State, want, line.Proof)
		}
		if res := runIn(t, sb, "/bin/cat", guest.CanaryPath); res.ExitCode == 0 {
			t.Errorf("ABI %d: the canary was read", abi)
		}
		if res := runIn(t, sb, "/bin/sh", "-c", "cd /tmp && echo a >b && mv b c && cat c && rm c"); string(res.Stdout) != "a\n" {
			t.Errorf("ABI %d: work in /tmp: %q %q", abi, res.Stdout, res.Stderr)
		}
	}
}

// TestRightsThatCannotHold: refused, or reported where the policy lets Landlock
// be missing.
func TestRightsThatCannotHold(t *testing.T) {
	dir, err := filepath.EvalSymlinks(testbin.TempDir(t))
	if err != nil {
		t.Fatal(err)
	}
	p := strict(t)
	p.Filesystem.Mounts = []policy.Mount{{Source: dir, Target: "/tmp/data", Rights: []string{"read_file", "read_dir"}}}
	b := &Backend{Guest: testbin.Kavach(t)}
	_, err = createWith(t, b, p)
	var refused *backend.UnsupportedError
	if !errors.As(err, &refused) || refused.Control != policy.LandlockOn || !strings.Contains(refused.Reason, "execute") {
		t.Fatalf("got %v, want landlock refused for execute below /tmp", err)
	}
	p.BestEffort = append(p.BestEffort, policy.LandlockOn)
	sb, err := createWith(t, b, p)
	if err != nil {
		t.Fatal(err)
	}
	if line := lineOf(sb, policy.LandlockOn); line.State != backend.Partial || !strings.Contains(line.Proof, "leaves out execute") {
		t.Errorf("%s, want partial: %s", line.State, line.Proof)
	}
}
