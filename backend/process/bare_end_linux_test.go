//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/jail"
)

// startDaemon leaves a daemon in a sandbox, and returns its family.
func startDaemon(t *testing.T, sb *kavach.Sandbox) map[int]string {
	t.Helper()
	guest := guestOf(t, sb)
	before := sleepers(family(t, guest))
	runIn(t, sb, "/bin/sh", "-c", "(setsid setsid sleep 1000 </dev/null >/dev/null 2>&1 &)")
	var all map[int]string
	eventually(t, "the daemon is up", func() bool { all = family(t, guest); return sleepers(all) > before })
	return all
}

// sleepers counts those of a family that have become what they are to be.
func sleepers(all map[int]string) (n int) {
	for _, pid := range alive(all) {
		if comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); string(comm) == "sleep\n" {
			n++
		}
	}
	return n
}

// TestBareEnds: nothing outlives a sandbox, its deadlines, or its owner.
func TestBareEnds(t *testing.T) {
	if !refused(t) {
		return
	}
	t.Run("destroy", destroyBare)
	t.Run("destroy, with a process that is never the same", destroyHopping)
	t.Run("deadline, beside another command", bareDeadline)
	t.Run("the owner is killed", bareOwnerKilled)
	t.Run("the guest is killed", bareGuestKilled)
}

func destroyBare(t *testing.T) {
	e := newBare(t)
	all := startDaemon(t, e.sandbox)
	if err := e.sandbox.Destroy(context.Background()); err != nil {
		t.Error(err)
	}
	nothingOf(t, e.sandbox.ID(), all)
}

func destroyHopping(t *testing.T) {
	e := newBare(t)
	if _, err := e.sandbox.Start(t.Context(), kavach.Cmd{Args: []string{e.dir + "/attack", "hop", "x", "30", "setsid"}, Env: []string{"KAVACH_ATTACK_TWIN=1"}}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // until it is at it
	if err := e.sandbox.Destroy(context.Background()); err != nil {
		t.Error(err)
	}
	nothingOf(t, e.sandbox.ID(), nil)
}

func bareDeadline(t *testing.T) {
	e := newBare(t)
	other, err := e.sandbox.Start(t.Context(), kavach.Cmd{Args: []string{"/bin/sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	var before map[int]string
	eventually(t, "the guest and the other command are there, and nothing else", func() bool {
		before = family(t, guestOf(t, e.sandbox))
		return sleepers(before) == 1 && len(alive(before)) == 2
	})
	living := len(alive(before))
	time.Sleep(50 * time.Millisecond) // a clock tick or more: they are told apart by their start
	res, err := e.sandbox.Run(t.Context(), kavach.Cmd{
		Args: []string{"/bin/sh", "-c", "(setsid sleep 1000 &) ; trap '' TERM; sleep 1000"}, Timeout: 300 * time.Millisecond,
	})
	if err != nil || !res.TimedOut {
		t.Fatalf("%+v, %v", res, err)
	}
	var more map[int]string
	eventually(t, "only what was there before is there", func() bool {
		more = family(t, guestOf(t, e.sandbox))
		for pid := range before {
			delete(more, pid)
		}
		return len(alive(more)) == 0
	})
	if len(alive(before)) != living {
		t.Errorf("of %d in %v, %v are left", living, before, alive(before))
	}
	_ = other.Signal(syscall.SIGKILL) // and its end is that of the sandbox
}

func bareOwnerKilled(t *testing.T) {
	cmd, id, _ := helper(t, "hold")
	r, ok := recordOf(t, id)
	if !ok || !r.Bare {
		t.Fatalf("record %+v", r)
	}
	all := family(t, r.Guest)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eventually(t, "everything has ended", func() bool { return len(alive(all)) == 0 })
	if _, err := jail.Sweep(); err != nil {
		t.Error(err)
	}
	// Another test's process may be at it, and then it is that one's to finish.
	eventually(t, "it is swept", func() bool { return len(leftovers(id)) == 0 })
	nothingOf(t, id, all)
}

func bareGuestKilled(t *testing.T) {
	e := newBare(t)
	p, err := e.sandbox.Start(t.Context(), kavach.Cmd{Args: []string{"/bin/sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	command := family(t, guestOf(t, e.sandbox))
	all := startDaemon(t, e.sandbox)
	if err := syscall.Kill(guestOf(t, e.sandbox), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(t.Context()); !errors.Is(err, backend.ErrDestroyed) {
		t.Errorf("the command ended with %v", err)
	}
	eventually(t, "the command itself is dead", func() bool { return len(alive(command)) == 0 })
	if err := e.sandbox.Destroy(context.Background()); err != nil {
		t.Error(err)
	}
	if os.Geteuid() == 0 {
		nothingOf(t, e.sandbox.ID(), all)
		return
	}
	// What docs/SECURITY.md says: a daemon of an ordinary user lives on.
	for _, pid := range alive(all) {
		t.Logf("%d outlived its guest", pid)
		_ = syscall.Kill(pid, syscall.SIGKILL) // it is ours
	}
}

// nothingOf: no process of a family, no record, no directory.
func nothingOf(t *testing.T, id string, all map[int]string) {
	t.Helper()
	if left := alive(all); len(left) > 0 {
		t.Errorf("still there: %v", left)
	}
	if left := leftovers(id); len(left) > 0 {
		t.Errorf("still there: %v", left)
	}
	dir, err := jail.StateDir()
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, id+"*")); len(left) > 0 {
		t.Errorf("still there: %v", left)
	}
}
