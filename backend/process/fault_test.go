//go:build linux

package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/cgroup"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/internal/testclock"
	"github.com/kavach-dev/kavach/policy"
)

// sleeper is a command that goes on until it is killed, and a daemon beside it.
var sleeper = kavach.Cmd{Args: []string{"/bin/sh", "-c", "trap '' TERM HUP INT; setsid sleep 1000 & sleep 1000"}}

func strict(t testing.TB) policy.Policy {
	t.Helper()
	p, err := policy.Preset("strict")
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		p.BestEffort = []policy.Control{policy.Limits}
	}
	if os.Getenv(helperEnv) != "" && os.Getenv(bareEnvVar) != "" {
		p.BestEffort = append(p.BestEffort, policy.Namespaces)
	}
	return p
}

func runtimeOf(program string) *kavach.Runtime {
	return &kavach.Runtime{Backends: []backend.Backend{&Backend{Guest: program}}}
}

func newSandbox(t testing.TB) *kavach.Sandbox {
	t.Helper()
	sb, err := createAgain(t, runtimeOf(testbin.Kavach(t)), strict(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := destroyAgain(t, sb); err != nil {
			t.Errorf("destroy: %v", err)
		}
	})
	return sb
}

func createAgain(t testing.TB, rt *kavach.Runtime, p policy.Policy) (sb *kavach.Sandbox, err error) {
	t.Helper()
	p.Resources.Timeout = policy.Duration(10 * time.Minute) // far off: few tests are about it
	err = testclock.Again(t, func() error {
		sb, err = rt.Create(t.Context(), kavach.Config{Policy: p, Backend: Name})
		return err
	})
	return sb, err
}

func destroyAgain(t testing.TB, sb *kavach.Sandbox) error {
	t.Helper()
	return testclock.Again(t, func() error { return sb.Destroy(context.Background()) })
}

func runIn(t testing.TB, sb *kavach.Sandbox, args ...string) *kavach.Result {
	t.Helper()
	res, err := sb.Run(t.Context(), kavach.Cmd{Args: args})
	if err != nil {
		t.Fatalf("run %v: %v", args, err)
	}
	return res
}

// recordOf returns the record of a sandbox.
func recordOf(t testing.TB, id string) (jail.Record, bool) {
	t.Helper()
	all, err := jail.List()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(r jail.Record) bool { return r.ID == id })
	if i < 0 {
		return jail.Record{}, false
	}
	return all[i], true
}

// family lists a process and its descendants, each with its start time, so that
// another process that gets its number is not taken for it.
func family(t testing.TB, pid int) map[int]string {
	t.Helper()
	found := map[int]string{}
	for todo := []int{pid}; len(todo) > 0; todo = todo[1:] {
		found[todo[0]] = startOf(todo[0])
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", todo[0]))
		if err != nil {
			t.Fatal(err)
		}
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
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}

// alive lists those of a family that still are there.
func alive(all map[int]string) (left []int) {
	for pid, start := range all {
		if start != "" && startOf(pid) == start {
			left = append(left, pid)
		}
	}
	return left
}

// patience is how long something may take that does come in the end.
const patience = 30 * time.Second

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	if !testclock.Until(patience, holds) {
		t.Fatalf("after %v it still is not so that %s", patience, what)
	}
}

// leftovers lists what there still is of a sandbox: cgroups, records, processes.
func leftovers(id string) (left []string) {
	for _, dir := range cgroup.Dirs(id) {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			left = append(left, dir)
		}
	}
	if dir, err := jail.StateDir(); err == nil {
		for _, name := range []string{id + ".json", "." + id} {
			if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
				left = append(left, name)
			}
		}
	}
	return left
}

// A helper is this test binary again, doing one of these until it is killed.
const (
	helperEnv = "KAVACH_FAULT_HELPER"
	guestEnv  = "KAVACH_FAULT_GUEST"
)

var helpers = map[string]func(*kavach.Runtime, policy.Policy){
	"hold":     func(rt *kavach.Runtime, p policy.Policy) { hold(rt, p, false) },
	"paused":   func(rt *kavach.Runtime, p policy.Policy) { hold(rt, p, true) },
	"loop":     loop,
	"fewfiles": fewFiles,
	"copies":   copies,
}

// TestHelper is not a test: it is what the helpers run.
func TestHelper(t *testing.T) {
	do := helpers[os.Getenv(helperEnv)]
	if do == nil {
		return
	}
	p := strict(t)
	p.Resources.Timeout = policy.Unlimited
	do(runtimeOf(os.Getenv(guestEnv)), p)
}

// hold has a sandbox with commands in it, says so, and waits to be killed.
func hold(rt *kavach.Runtime, p policy.Policy, paused bool) {
	ctx := context.Background()
	sb, err := rt.Create(ctx, kavach.Config{Policy: p, Backend: Name})
	if err == nil {
		_, err = sb.Start(ctx, sleeper)
	}
	const all = 4 // this, the guest, the shell, and the daemon or what the shell waits for
	testclock.Until(patience, func() bool { return err != nil || len(family(nilT{}, os.Getpid())) >= all })
	if err == nil && paused {
		err = sb.Pause(ctx)
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("up", sb.ID())
	select {}
}

// loop makes and destroys sandboxes, and tells of each before it is made.
func loop(rt *kavach.Runtime, p policy.Policy) {
	ctx := context.Background()
	fmt.Println("up -")
	for {
		sb, err := rt.Create(ctx, kavach.Config{Policy: p, Backend: Name})
		if err == nil {
			_, err = sb.Run(ctx, kavach.Cmd{Args: []string{"/bin/true"}})
			err = errors.Join(err, sb.Destroy(ctx))
		}
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
}

// fewFiles makes sandboxes, and runs commands in them, with room for ever more
// descriptors, from none at all to enough.
func fewFiles(rt *kavach.Runtime, p policy.Policy) {
	ctx := context.Background()
	// Once without a limit, so that what is made once is made.
	warm, err := rt.Create(ctx, kavach.Config{Policy: p, Backend: Name})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("up", warm.ID())
	before := openFiles()
	refused, made := 0, 0
	var saved unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &saved); err != nil {
		panic(err)
	}
	limit := func(n uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: saved.Max}); err != nil {
			panic(err)
		}
	}
	for room := range 48 {
		// A command in a sandbox that is there already.
		limit(uint64(before + room))
		_, runErr := warm.Run(ctx, kavach.Cmd{Args: []string{"/bin/true"}})
		sb, err := rt.Create(ctx, kavach.Config{Policy: p, Backend: Name})
		if err == nil {
			made++
			if _, err := sb.Run(ctx, kavach.Cmd{Args: []string{"/bin/true"}}); err != nil {
				refused++
			}
		} else {
			refused++
		}
		limit(saved.Cur)
		if sb != nil {
			if err := sb.Destroy(ctx); err != nil {
				fmt.Println("error", "destroy", err)
				os.Exit(1)
			}
		}
		if _, err := warm.Run(ctx, kavach.Cmd{Args: []string{"/bin/true"}}); err != nil {
			fmt.Println("error", "with room for", room, "a command said", runErr, "and then, with enough,", err)
			os.Exit(1)
		}
	}
	if err := warm.Destroy(ctx); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	testclock.Until(patience, func() bool { return openFiles() <= before }) // for what is closed by goroutines
	fmt.Println("done", refused, made, openFiles()-before, len(family(nilT{}, os.Getpid()))-1)
}

// nilT lets a helper use what tests use.
type nilT struct{ testing.TB }

func (nilT) Helper() {}

func openFiles() int {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		panic(err)
	}
	return len(names) - 1
}

// helper starts one, and waits until it says that it is up.
func helper(t testing.TB, name string) (cmd *exec.Cmd, id string, out *bufio.Reader) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(self, "-test.run=^TestHelper$", "-test.timeout=30m")
	cmd.Env = append(os.Environ(), helperEnv+"="+name, guestEnv+"="+testbin.Kavach(t))
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
	out = bufio.NewReader(pipe)
	line, err := out.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "up ") {
		t.Fatalf("helper %s says %q (%v)", name, line, err)
	}
	return cmd, strings.TrimSpace(strings.TrimPrefix(line, "up ")), out
}

// A crash leaves no process, and the next start removes the rest; of what lives,
// it takes nothing.
func TestKillNine(t *testing.T) {
	for _, test := range []struct{ helper, why string }{
		{"hold", "commands and daemons run, and ignore what can be ignored"},
		{"paused", "frozen processes die when they are thawed, not before"},
	} {
		t.Run(test.helper, func(t *testing.T) {
			testclock.Try(t, func(t testing.TB) { killNine(t, test.helper, test.why) })
		})
	}
}

func killNine(t testing.TB, name, why string) {
	other := newSandbox(t)
	if name == "paused" && !grouped(t, other) {
		t.Log("this user has no freezer")
		return
	}
	bystander, _, _ := helper(t, "hold")
	_ = bystander
	cmd, id, _ := helper(t, name)
	r, ok := recordOf(t, id)
	if !ok || r.Orphaned || r.Owner != cmd.Process.Pid {
		t.Fatalf("its record is %+v", r)
	}
	all := family(t, r.Guest)
	if len(all) < 3 {
		t.Fatalf("it has no more processes than %v", all)
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if name != "paused" {
		eventually(t, "the kernel has killed all of it", func() bool { return len(alive(all)) == 0 })
	}
	// Another process may sweep it at any time now, and holds its lock meanwhile.
	eventually(t, "it is seen to be orphaned, or gone", func() bool {
		r, ok := recordOf(t, id)
		return !ok || r.Orphaned
	})
	swept, err := jail.Sweep()
	if err != nil {
		t.Fatalf("sweep: %v (%s)", err, why)
	}
	if !slices.ContainsFunc(swept, func(r jail.Record) bool { return r.ID == id }) {
		t.Log("another process swept it")
	}
	if slices.ContainsFunc(swept, func(r jail.Record) bool { return r.ID == other.ID() || r.Owner == bystander.Process.Pid }) {
		t.Error("what lives was swept")
	}
	eventually(t, "its processes are gone", func() bool { return len(alive(all)) == 0 })
	eventually(t, "nothing is left of "+id, func() bool { return len(leftovers(id)) == 0 })
	if res := runIn(t, other, "/bin/echo", "here"); string(res.Stdout) != "here\n" {
		t.Errorf("the sandbox beside it is not well: %+v", res)
	}
	if err := bystander.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the process beside it is gone: %v", err)
	}
	again, err := jail.Sweep()
	if slices.ContainsFunc(again, func(r jail.Record) bool { return r.ID == id }) || err != nil {
		t.Errorf("swept twice: %v %v", again, err)
	}
}

// Wherever it is killed, the next start finds what is left.
func TestKillNineAnywhere(t *testing.T) { testclock.Try(t, killNineAnywhere) }

func killNineAnywhere(t testing.TB) {
	rounds := 40
	if testing.Short() {
		rounds = 8
	}
	dir, err := jail.StateDir()
	if err != nil {
		t.Fatal(err)
	}
	for range rounds {
		killSomewhere(t, "loop", 60*time.Millisecond)
	}
	// Drafts of records are swept when they are old enough to be nobody's.
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Log("in the directory of records:", e.Name())
	}
}

// killSomewhere kills a helper that makes sandboxes, at some time, and looks what is
// left of it.
func killSomewhere(t testing.TB, name string, within time.Duration) {
	t.Helper()
	cmd, _, out := helper(t, name)
	time.Sleep(rand.N(within))
	seen := family(t, cmd.Process.Pid)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if line, _ := out.ReadString('\n'); line != "" {
		t.Fatalf("the helper said %q", line)
	}
	eventually(t, "its processes are gone", func() bool { return len(alive(seen)) == 0 })
	records, err := jail.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Owner != cmd.Process.Pid {
			continue
		}
		// What was being cloned when it was killed has its lock until it has
		// ended as well, and so has another process that is sweeping it.
		eventually(t, "nothing is left of "+r.ID, func() bool {
			if _, err := jail.Sweep(); err != nil {
				t.Fatal(err)
			}
			return len(leftovers(r.ID)) == 0
		})
	}
}

// Where there are no descriptors to be had, there is an error and nothing else.
func TestTooManyOpenFiles(t *testing.T) { testclock.Try(t, tooManyOpenFiles) }

func tooManyOpenFiles(t testing.TB) {
	cmd, _, out := helper(t, "fewfiles")
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatalf("the helper says %q (%v)", line, err)
	}
	var refused, made, files, processes int
	if _, err := fmt.Sscanf(line, "done %d %d %d %d", &refused, &made, &files, &processes); err != nil {
		t.Fatalf("the helper says %q (%v)", line, err)
	}
	t.Logf("%d were refused, %d made", refused, made)
	if refused == 0 || made == 0 {
		t.Error("the limits that were tried do not reach from too few to enough")
	}
	if files > 0 || processes > 0 {
		t.Errorf("%d descriptors and %d processes more than before", files, processes)
	}
	records, err := jail.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Owner == cmd.Process.Pid {
			t.Errorf("left: %+v", r)
		}
	}
}

// A guest that dies takes its commands with it, and the caller is told.
func TestGuestKilled(t *testing.T) {
	sb := newSandbox(t)
	p, err := sb.Start(t.Context(), sleeper)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := recordOf(t, sb.ID())
	all := family(t, r.Guest)
	if err := unix.Kill(r.Guest, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	res, err := p.Wait(t.Context())
	if !errors.Is(err, backend.ErrDestroyed) {
		t.Errorf("wait: %v, want %v", err, backend.ErrDestroyed)
	}
	if res == nil || res.ExitCode != -1 || res.TimedOut {
		t.Errorf("result: %+v", res)
	}
	if sb.State() != kavach.Stopped {
		t.Errorf("the state is %s", sb.State())
	}
	var state *kavach.StateError
	if _, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"/bin/true"}}); !errors.As(err, &state) {
		t.Errorf("run: %v, want a *StateError", err)
	}
	if err := sb.Destroy(t.Context()); err != nil {
		t.Errorf("destroy: %v", err)
	}
	if left := append(leftovers(sb.ID()), fmt.Sprint(alive(all))); len(left) > 1 || left[0] != "[]" {
		t.Errorf("left: %v", left)
	}
}

// A guest that dies while nothing runs is noticed by the next command.
func TestGuestKilledIdle(t *testing.T) {
	sb := newSandbox(t)
	r, _ := recordOf(t, sb.ID())
	if err := unix.Kill(r.Guest, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"/bin/true"}}); !errors.Is(err, backend.ErrDestroyed) {
		t.Errorf("run: %v, want %v", err, backend.ErrDestroyed)
	}
	if sb.State() != kavach.Stopped {
		t.Errorf("the state is %s", sb.State())
	}
}

// A guest has init's immunity: what would end another process, and is neither
// SIGKILL nor SIGSTOP, does not end it, not even from the host.
func TestGuestImmune(t *testing.T) {
	sb := newSandbox(t)
	r, _ := recordOf(t, sb.ID())
	for _, sig := range []unix.Signal{
		unix.SIGTERM, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGSEGV, unix.SIGABRT, unix.SIGSYS, unix.SIGUSR1, unix.SIGPIPE,
	} {
		if err := unix.Kill(r.Guest, sig); err != nil {
			t.Fatal(err)
		}
	}
	if res := runIn(t, sb, "/bin/echo", "here"); string(res.Stdout) != "here\n" {
		t.Errorf("%+v", res)
	}
}

// A guest that neither dies nor answers is given up at the deadline.
func TestGuestStopped(t *testing.T) { testclock.Try(t, guestStopped) }

func guestStopped(t testing.TB) {
	sb := newSandbox(t)
	p, err := sb.Start(t.Context(), kavach.Cmd{Args: sleeper.Args, Timeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := recordOf(t, sb.ID())
	all := family(t, r.Guest)
	if err := unix.Kill(r.Guest, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	watch := testclock.Start()
	res, err := p.Wait(t.Context())
	if err != nil || !res.TimedOut || res.Signal != syscall.SIGKILL {
		t.Errorf("wait: %+v, %v", res, err)
	}
	if took := watch.Ran(); took > patience {
		t.Errorf("it took %v", took)
	}
	if left := alive(all); len(left) > 0 || sb.State() != kavach.Destroyed {
		t.Errorf("still there: %v; the sandbox is %s", left, sb.State())
	}
}

func TestDestroyPaused(t *testing.T) { testclock.Try(t, destroyPaused) }

func destroyPaused(t testing.TB) {
	sb := newSandbox(t)
	p, err := sb.Start(t.Context(), sleeper)
	if err != nil {
		t.Fatal(err)
	}
	if err := sb.Pause(t.Context()); errors.Is(err, errors.ErrUnsupported) {
		t.Log(err)
		return
	} else if err != nil {
		t.Fatal(err)
	}
	r, _ := recordOf(t, sb.ID())
	all := family(t, r.Guest)
	if err := sb.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := alive(all); len(left) > 0 {
		t.Errorf("still there: %v", left)
	}
	if left := leftovers(sb.ID()); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := p.Wait(t.Context()); !errors.Is(err, backend.ErrDestroyed) {
		t.Errorf("wait: %v", err)
	}
}

// An owner that was killed between making the draft of a record and giving it
// its name leaves the draft.
func TestSweepDrafts(t *testing.T) { testclock.Try(t, sweepDrafts) }

func sweepDrafts(t testing.TB) {
	dir, err := jail.StateDir()
	if err != nil {
		t.Fatal(err)
	}
	old, young := filepath.Join(dir, ".00000000000000aa"), filepath.Join(dir, ".00000000000000ab")
	for _, name := range []string{old, young} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(name) })
	}
	then := time.Now().Add(-time.Hour)
	if err := os.Chtimes(old, then, then); err != nil {
		t.Fatal(err)
	}
	if _, err := jail.Sweep(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an old draft stays: %v", err)
	}
	if _, err := os.Lstat(young); err != nil {
		t.Errorf("a draft that may be somebody's is gone: %v", err)
	}
}

// Nothing is left of a thousand sandboxes.
func TestNothingIsLeft(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 100
	}
	rt, p := runtimeOf(testbin.Kavach(t)), strict(t)
	var ids []string
	round := func() {
		sb, err := createAgain(t, rt, p)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, sb.ID())
		res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"/bin/echo", "x"}, Stdin: strings.NewReader("y")})
		if err != nil || string(res.Stdout) != "x\n" {
			t.Fatalf("round %d: %+v, %v", len(ids), res, err)
		}
		if err := destroyAgain(t, sb); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 { // what is made once is made, and threads are there
		round()
	}
	before := present(t)
	for range rounds {
		round()
	}
	var after presence
	testclock.Until(patience, func() bool { after = present(t); return after.same(before) })
	t.Logf("before %+v, after %+v", before, after)
	if !after.same(before) {
		t.Errorf("before %+v, after %+v", before, after)
	}
	for _, id := range ids {
		if left := leftovers(id); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}

// presence counts what a process of ours has and has made.
type presence struct{ Files, Goroutines, Threads, Children, Mounts int }

func present(t testing.TB) presence {
	t.Helper()
	runtime.GC()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return presence{
		Files: openFiles(), Goroutines: runtime.NumGoroutine(), Threads: len(threads),
		Children: len(family(t, os.Getpid())) - 1, Mounts: strings.Count(string(mounts), "\n"),
	}
}

// same allows a few threads more: the Go runtime makes them as it needs them and
// keeps them.
func (p presence) same(before presence) bool {
	const idle = 6
	threads := p.Threads - before.Threads
	p.Threads = before.Threads
	return p == before && threads <= idle
}
