package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// withAttack makes a sandbox in which the attack program is at the path that is
// returned.
func withAttack(t testing.TB, change func(*policy.Policy)) (sb *kavach.Sandbox, attack string, err error) {
	t.Helper()
	dir := testbin.TempDir(t)
	program, err := os.ReadFile(testbin.Attack(t))
	if err != nil {
		t.Fatal(err)
	}
	attack = filepath.Join(dir, "attack")
	if err := os.WriteFile(attack, program, 0o755); err != nil {
		t.Fatal(err)
	}
	p := strict(t)
	p.Filesystem.Mounts = []policy.Mount{{Source: dir}}
	change(&p)
	sb, err = runtimeOf(testbin.Kavach(t)).Create(t.Context(), kavach.Config{Policy: p, Backend: Name})
	if err == nil {
		t.Cleanup(func() {
			if err := sb.Destroy(context.Background()); err != nil {
				t.Errorf("destroy: %v", err)
			}
		})
	}
	return sb, attack, err
}

// limitsOf is what the score says of the limits.
func limitsOf(t testing.TB, sb *kavach.Sandbox) (state backend.State, words string) {
	t.Helper()
	for _, line := range sb.Score().Controls {
		if line.Name == policy.Limits {
			return line.State, line.Proof
		}
	}
	t.Fatal("the score says nothing of the limits")
	return "", ""
}

// grouped reports whether this user's sandboxes have a cgroup.
func grouped(t testing.TB, sb *kavach.Sandbox) bool {
	t.Helper()
	state, words := limitsOf(t, sb)
	if has := state == backend.Enforced; has == strings.Contains(words, "no cgroup") {
		t.Fatalf("limits are %s: %s", state, words)
	}
	if state != backend.Enforced && os.Getenv("KAVACH_TEST_CGROUP") != "" {
		t.Errorf("the environment says that there is a cgroup: limits are %s: %s", state, words)
	}
	return state == backend.Enforced
}

// An OOM kill is told apart from any other SIGKILL, and is told where the command
// itself survives it. A process to which the kernel refuses memory was not killed.
func TestOOMToldApart(t *testing.T) {
	sb, attack, err := withAttack(t, func(p *policy.Policy) { p.Resources.Memory = 64 << 20 })
	if err != nil {
		t.Fatal(err)
	}
	bounded := grouped(t, sb)
	for _, tt := range []struct {
		why    string
		script string
		signal syscall.Signal
		oom    bool
	}{
		{"it killed itself", "kill -9 $$", syscall.SIGKILL, false},
		{"its child was killed by it", "sleep 1000 & kill -9 $!; wait", 0, false},
		{"it took more than there is", "exec " + attack + " memory anonymous 256", syscall.SIGKILL, bounded},
		{"its child took more than there is", attack + " memory anonymous 256; exit 0", 0, bounded},
		{"another command took more, before", "exit 0", 0, false},
	} {
		res := runIn(t, sb, "/bin/sh", "-c", tt.script)
		if !bounded && tt.signal != 0 && strings.Contains(tt.script, "memory") {
			tt.signal = 0 // it is refused, and says so by its exit code
		}
		if res.OOMKilled != tt.oom || res.Signal != tt.signal {
			t.Errorf("%s: OOM %t, signal %v; want %t, %v (%s)", tt.why, res.OOMKilled, res.Signal, tt.oom, tt.signal, res.Stderr)
		}
	}
	p, err := sb.Start(t.Context(), sleeper)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if res, err := p.Wait(t.Context()); err != nil || res.OOMKilled || res.Signal != syscall.SIGKILL {
		t.Errorf("it was killed from outside: %+v, %v", res, err)
	}
	if runIn(t, sb, "/bin/true").ExitCode != 0 {
		t.Error("the sandbox did not survive")
	}
}

// What bounds swap and disks is read back, or refused.
func TestSwapAndDisks(t *testing.T) {
	plain, _, err := withAttack(t, func(*policy.Policy) {})
	if err != nil {
		t.Fatal(err)
	}
	bounded := grouped(t, plain)
	for _, tt := range []struct {
		what string
		ask  func(*policy.Resources)
		want []string // one of them is in the proof
	}{
		{"swap", func(r *policy.Resources) { r.Swap = 32 << 20 }, []string{"memory.swap.max 33554432", "memory.memsw.limit_in_bytes"}},
		{"read", func(r *policy.Resources) { r.IORead = 8 << 20 }, []string{"rbps=8388608", "blkio.throttle.read_bps_device"}},
		{"write", func(r *policy.Resources) { r.IOWrite = 8 << 20 }, []string{"wbps=8388608", "blkio.throttle.write_bps_device"}},
	} {
		sb, _, err := withAttack(t, func(p *policy.Policy) { tt.ask(&p.Resources); p.BestEffort = nil })
		var refused *backend.UnsupportedError
		if errors.As(err, &refused) && refused.Control == policy.Limits {
			t.Logf("%s: %v", tt.what, err) // no controller, no swap accounting, no disk
		} else if err != nil {
			t.Errorf("%s: %v", tt.what, err)
			continue
		} else if _, words := limitsOf(t, sb); !strings.Contains(words, tt.want[0]) && !strings.Contains(words, tt.want[1]) || !bounded {
			t.Errorf("%s: the proof is %q, want %v", tt.what, words, tt.want)
		}
		sb, _, err = withAttack(t, func(p *policy.Policy) { tt.ask(&p.Resources); p.BestEffort = []policy.Control{policy.Limits} })
		if err != nil {
			t.Errorf("%s, by best effort: %v", tt.what, err)
		} else if state, words := limitsOf(t, sb); refused != nil && state == backend.Enforced {
			t.Errorf("%s, by best effort: limits are %s: %s", tt.what, state, words)
		}
	}
}

// Pausing takes a freezer; who has none is told so, and the sandbox goes on.
func TestPause(t *testing.T) {
	sb := newSandbox(t)
	err := sb.Pause(t.Context())
	if !grouped(t, sb) {
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "freezer") {
			t.Errorf("pause: %v, want unsupported", err)
		}
		runIn(t, sb, "/bin/true")
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var state *kavach.StateError
	if _, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"/bin/true"}}); !errors.As(err, &state) {
		t.Errorf("a command while it is paused: %v", err)
	}
	if err := sb.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if res := runIn(t, sb, "/bin/true"); res.ExitCode != 0 {
		t.Errorf("after it was resumed: %+v", res)
	}
}

// A cgroup is what its commands see as the root of all cgroups.
func TestCgroupRoot(t *testing.T) {
	sb := newSandbox(t)
	out := string(runIn(t, sb, "/bin/cat", "/proc/self/cgroup").Stdout)
	if strings.Contains(out, sb.ID()) {
		t.Errorf("/proc/self/cgroup names the group: %s", out)
	}
}

// System V segments stay when their maker is killed. With the memory full of them
// there is nobody to kill but whoever asks for more: a command, or, where it shares
// the bound, the guest, whose end then is explained.
func TestOOMOfTheGuest(t *testing.T) {
	sb, attack, err := withAttack(t, func(p *policy.Policy) {
		p.Resources.Memory = 64 << 20
		p.Seccomp.Profile = policy.SeccompDefault
	})
	if err != nil {
		t.Fatal(err)
	}
	if !grouped(t, sb) {
		t.Log("without a cgroup nothing bounds what System V segments take")
		return
	}
	for range 5 {
		res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{attack, "memory", "sysv-shm", "256"}})
		if err != nil {
			if !strings.Contains(err.Error(), "out of memory") {
				t.Errorf("the guest's end is not explained: %v", err)
			}
			t.Log(err)
			return
		}
		if !res.OOMKilled {
			t.Fatalf("it got through: %+v", res)
		}
	}
}
