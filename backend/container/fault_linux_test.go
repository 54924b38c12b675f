package container

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/internal/testclock"
	"github.com/kavach-dev/kavach/policy"
)

// sleeper is a command that goes on until it is killed, and a daemon beside it.
var sleeper = kavach.Cmd{Args: []string{"/bin/sh", "-c", "trap '' TERM HUP INT; setsid sleep 1000 & sleep 1000"}}

const faultPatience = 30 * time.Second

// A helper is this test binary again, doing one thing until it is killed.
const (
	helperEnv      = "KAVACH_FAULT_HELPER"
	fakeRuntimeEnv = "KAVACH_FAULT_RUNTIME"
)

// TestHelper is not a test: it is what the helpers run.
func TestHelper(t *testing.T) {
	what := os.Getenv(helperEnv)
	if what == "" {
		return
	}
	b, p := faulty(t, os.Getenv(fakeRuntimeEnv))
	p.Resources.Timeout = policy.Unlimited
	rt := &kavach.Runtime{Backends: []backend.Backend{b}}
	ctx := context.Background()
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	if what == "loop" {
		fmt.Println("up -")
	}
	for {
		sb, err := rt.Create(ctx, kavach.Config{Policy: p, Backend: b.Name()})
		fail(err)
		if what == "loop" {
			_, err = sb.Run(ctx, kavach.Cmd{Args: []string{"/bin/true"}})
			fail(errors.Join(err, sb.Destroy(ctx)))
			continue
		}
		_, err = sb.Start(ctx, sleeper)
		fail(err)
		const all = 5 // this, the keeper, the guest, the shell, and the daemon or what the shell waits for
		testclock.Until(faultPatience, func() bool { return len(family(os.Getpid())) >= all })
		if what == "paused" {
			fail(sb.Pause(ctx))
		}
		fmt.Println("up", sb.ID())
		select {}
	}
}

// asRootInside is a policy that each runtime can serve, whoever the caller is.
func asRootInside(t testing.TB) policy.Policy {
	p := bestEffort(t)
	p.Process.User = "0:0"
	return p
}

// faulty is the backend of a runtime, and a policy that it can serve, whoever the
// caller is.
func faulty(t testing.TB, path string) (*Backend, policy.Policy) {
	b := &Backend{Guest: testbin.Kavach(t), Runtime: path}
	if filepath.Base(path) != "kavach-runsc" {
		return b, asRootInside(t)
	}
	b.Kind = GVisor
	return b, bestEffort(t)
}

// allRuntimes are those of both backends.
func allRuntimes(t *testing.T) map[string]string {
	all := maps.Clone(runtimes(t))
	all["kavach-runsc"] = testbin.Runsc(t)
	return all
}

// helper starts one, and waits until it says that it is up.
func helper(t testing.TB, what, runtime string) (cmd *exec.Cmd, id string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(self, "-test.run=^TestHelper$", "-test.timeout=30m")
	cmd.Env = append(os.Environ(), helperEnv+"="+what, fakeRuntimeEnv+"="+runtime, testbin.EnvKavach+"="+testbin.Kavach(t))
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(pipe).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "up ") {
		t.Fatalf("helper %s says %q (%v)", what, line, err)
	}
	return cmd, strings.TrimSpace(strings.TrimPrefix(line, "up "))
}

// family lists a process and its descendants, each with its start time, so that
// another process that gets its number is not taken for it.
func family(pid int) map[int]string {
	found := map[int]string{}
	for todo := []int{pid}; len(todo) > 0; todo = todo[1:] {
		found[todo[0]] = startOf(todo[0])
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", todo[0]))
		for _, file := range files {
			b, _ := os.ReadFile(file) // it may have ended
			for _, field := range strings.Fields(string(b)) {
				if child, err := strconv.Atoi(field); err == nil {
					todo = append(todo, child)
				}
			}
		}
	}
	return found
}

// startOf is the start time of a process; empty: it is gone, or is only waiting
// to be reaped.
func startOf(pid int) string {
	const state, start = 0, 19 // fields of proc_pid_stat(5) after the name
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) <= start || fields[state] == "Z" || fields[state] == "X" {
		return ""
	}
	return fields[start]
}

// gone waits until none of a family is there any more.
func gone(t testing.TB, all map[int]string) {
	t.Helper()
	left := func() (left []int) {
		for pid, start := range all {
			if start != "" && startOf(pid) == start {
				left = append(left, pid)
			}
		}
		return left
	}
	if !testclock.Until(faultPatience, func() bool { return left() == nil }) {
		t.Fatalf("still there: %v", left())
	}
}

// swept waits until nothing is left of a sandbox whose owner is gone.
func swept(t testing.TB, id string) {
	t.Helper()
	if !testclock.Until(faultPatience, func() bool {
		if _, err := jail.Sweep(); err != nil {
			t.Fatal(err)
		}
		return leftovers(id) == nil
	}) {
		t.Fatalf("left: %v", leftovers(id))
	}
}

// TestKillNine: with its owner, a container ends, with its runtime's and its own
// processes and mounts, and the next start removes the rest.
func TestKillNine(t *testing.T) {
	for name, path := range allRuntimes(t) {
		for _, what := range []string{"hold", "paused"} {
			if what == "paused" && os.Geteuid() != 0 {
				continue // this user has no freezer
			}
			t.Run(name+" "+what, func(t *testing.T) {
				cmd, id := helper(t, what, path)
				all := family(cmd.Process.Pid)
				if len(all) < 5 {
					t.Fatalf("it has no more processes than %v", all)
				}
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait() // it was killed
				if what != "paused" {
					gone(t, all) // before anybody sweeps
				}
				swept(t, id)
				gone(t, all)
			})
		}
	}
}

// TestKillNineAnywhere: wherever it is killed, the next start finds what is left.
func TestKillNineAnywhere(t *testing.T) {
	rounds := 30
	if testing.Short() {
		rounds = 6
	}
	for name, path := range allRuntimes(t) {
		t.Run(name, func(t *testing.T) {
			for range rounds {
				cmd, _ := helper(t, "loop", path)
				time.Sleep(time.Duration(rand.IntN(120_000)) * time.Microsecond)
				all := family(cmd.Process.Pid)
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait() // it was killed
				gone(t, all)
				records, err := jail.List()
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range records {
					if r.Owner == cmd.Process.Pid {
						swept(t, r.ID)
					}
				}
			}
		})
	}
}

// TestGuestKilled: when the keeper dies, or the guest of its container, the
// command ends with an error that says so, and all of it is gone.
func TestGuestKilled(t *testing.T) {
	for name, path := range runtimes(t) {
		for depth, who := range []string{"the keeper", "the guest"} {
			t.Run(name+" "+who, func(t *testing.T) {
				sb, err := create(t, &Backend{Guest: testbin.Kavach(t), Runtime: path}, asRootInside(t))
				if err != nil {
					t.Fatal(err)
				}
				p, err := sb.Start(t.Context(), sleeper)
				if err != nil {
					t.Fatal(err)
				}
				all := family(keeperOf(t, sb.ID()))
				victim := keeperOf(t, sb.ID())
				for range depth {
					victim = childOf(t, victim)
				}
				if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				if _, err := p.Wait(t.Context()); !errors.Is(err, backend.ErrDestroyed) {
					t.Errorf("wait: %v, want %v", err, backend.ErrDestroyed)
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
}

func keeperOf(t testing.TB, id string) int {
	t.Helper()
	all, err := jail.List()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(r jail.Record) bool { return r.ID == id })
	if i < 0 {
		t.Fatalf("no record of %s", id)
	}
	return all[i].Guest
}

// childOf is the only child of a keeper: the runtime is gone.
func childOf(t testing.TB, pid int) int {
	t.Helper()
	var list []int
	for child := range family(pid) {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", child)) // it may have ended
		if child != pid && strings.Contains(string(b), fmt.Sprintf("\nPPid:\t%d\n", pid)) {
			list = append(list, child)
		}
	}
	if len(list) != 1 {
		t.Fatalf("children of the keeper: %v", list)
	}
	return list[0]
}

// TestDestroyTwice: destroy against destroy, and against a command.
func TestDestroyTwice(t *testing.T) {
	for name, path := range allRuntimes(t) {
		t.Run(name, func(t *testing.T) {
			b, p := faulty(t, path)
			sb, err := create(t, b, p)
			if err != nil {
				t.Fatal(err)
			}
			all := family(keeperOf(t, sb.ID()))
			command, err := sb.Start(t.Context(), sleeper)
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 3)
			go func() { _, err := command.Wait(context.Background()); ended <- ignore(err, backend.ErrDestroyed) }()
			for range 2 {
				go func() { ended <- sb.Destroy(context.Background()) }()
			}
			for range 3 {
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
			gone(t, all)
		})
	}
}

func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
