package container

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/internal/testclock"
	"github.com/kavach-dev/kavach/policy"
)

// gvisor makes a sandbox in which the sentry serves what the policy says.
func gvisorSandbox(t testing.TB, change func(*policy.Policy)) *kavach.Sandbox {
	t.Helper()
	b, p := faulty(t, testbin.Runsc(t))
	if change != nil {
		change(&p)
	}
	sb, err := create(t, b, p)
	if err != nil {
		t.Fatal(err)
	}
	return sb
}

// named is the process of a family that is called so.
func named(t testing.TB, all map[int]string, name string) int {
	t.Helper()
	for pid := range all {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // it may have ended
		if first, _, _ := strings.Cut(string(b), "\x00"); first == name {
			return pid
		}
	}
	t.Fatalf("none of %v is %s", all, name)
	return 0
}

// TestSentryKilled: when the sentry, its gofer or the keeper dies, the command ends
// with an error that says so, and all of it is gone.
func TestSentryKilled(t *testing.T) {
	for _, victim := range []string{"runsc-sandbox", "runsc-gofer", "the keeper"} {
		t.Run(victim, func(t *testing.T) {
			sb := gvisorSandbox(t, nil)
			p, err := sb.Start(t.Context(), sleeper)
			if err != nil {
				t.Fatal(err)
			}
			all, pid := family(keeperOf(t, sb.ID())), keeperOf(t, sb.ID())
			if victim != "the keeper" {
				pid = named(t, all, victim)
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Wait(t.Context()); !errors.Is(err, backend.ErrDestroyed) {
				t.Errorf("wait: %v, want %v", err, backend.ErrDestroyed)
			}
			if _, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"true"}}); err == nil {
				t.Error("another command was run")
			}
			if err := sb.Destroy(t.Context()); err != nil {
				t.Error(err)
			}
			gone(t, all)
			if left := leftovers(sb.ID()); left != nil {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// TestGVisorPause: what is frozen does nothing, is thawed, and is killed.
func TestGVisorPause(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("this user has no freezer")
		return
	}
	sb := gvisorSandbox(t, nil)
	out := make(chan string, 100)
	p, err := sb.Start(t.Context(), kavach.Cmd{Args: []string{"sh", "-c", "while echo on; do sleep 0.05; done"}, Stdout: channelWriter(out)})
	if err != nil {
		t.Fatal(err)
	}
	<-out
	if err := sb.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	for drained := false; !drained; {
		_, more := testclock.Receive(out, quiet)
		drained = !more
	}
	if err := sb.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, goesOn := testclock.Receive(out, faultPatience); !goesOn {
		t.Error("it does not go on")
	}
	all := family(keeperOf(t, sb.ID()))
	if err := sb.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := sb.Destroy(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := p.Wait(t.Context()); !errors.Is(err, backend.ErrDestroyed) {
		t.Errorf("wait: %v", err)
	}
	gone(t, all)
}
