//go:build linux

package backendtest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testclock"
	"github.com/kavach-dev/kavach/policy"
)

// processRows are CONTAINMENT 18 to 28.
var processRows = slices.Concat(lookRows, signalRows, terminalRows, lifeRows, namespaceRows, environmentRows, ipcRows)

var lookRows = slices.Concat(
	lookWays("guest", "the guest knows what every command of the sandbox was given", privileged, "seize", "vm-read", "vm-write", "get-fd", "kcmp"),
	lookWays("sibling", "no command may look into another of the same sandbox and user",
		[]policy.Control{policy.SeccompOn}, "seize", "vm-read", "vm-write", "get-fd", "kcmp"),
	[]Row{
		{
			Number: 19, Name: "read the guest's environment", Why: "there is nothing of the host in it, and nobody may look",
			Layers: []policy.Control{policy.EnvClean, policy.CapsNone, policy.LandlockOn}, RootTwin: true,
			Attempt: func(e *Env) (bool, string) {
				e.Setenv("KAVACH_TEST_CANARY", e.SecretText)
				return e.attackAnother("holds", "/proc/1/environ")
			},
		},
		{
			Number: 19, Name: "open the guest's memory", Why: "it holds what every command of the sandbox was given, and code that runs",
			Layers: []policy.Control{policy.CapsNone, policy.LandlockOn}, RootTwin: true,
			Attempt: func(e *Env) (bool, string) { return e.Attack("open-write", "/proc/1/mem") },
		},
		{
			Number: 19, Name: "read the guest's map", Why: "addresses help an exploit, and names tell of the host",
			Layers:  []policy.Control{policy.CapsNone, policy.LandlockOn},
			Attempt: func(e *Env) (bool, string) { return e.Attack("holds", "/proc/1/maps") },
		},
		{
			Number: 19, Name: "open what the guest has open", Why: "one of its descriptors is the channel to the host; their numbers alone are seen",
			Layers: []policy.Control{policy.CapsNone, policy.LandlockOn}, RootTwin: true,
			Attempt: func(e *Env) (bool, string) { return e.Attack("open-read", "/proc/1/fd/0") },
		},
		{
			Number: 19, Name: "open the memory of the thread that starts commands",
			Why:    "it is confined as commands are, so that no domain stands between; it still is the guest",
			Layers: []policy.Control{policy.CapsNone, policy.LandlockOn}, RootTwin: true,
			Attempt: func(e *Env) (bool, string) {
				return e.Attack("each-thread", "mem")
			},
		},
	})

func lookWays(whom, why string, layers []policy.Control, ways ...string) (rows []Row) {
	for _, way := range ways {
		rows = append(rows, Row{
			Number: 18, Name: "look into the " + whom + " by " + way, Why: why, Layers: layers,
			Attempt: func(e *Env) (bool, string) { return e.Attack("look-into", whom, way) },
		})
	}
	return rows
}

var signalRows = []Row{
	{
		Number: 20, Name: "send the guest every signal in every way",
		Why: "what supervises is not to be stopped or killed from inside; it is the init of the PID namespace, to which the " +
			"kernel lets no signal through. Landlock stops those to its process and not those to the thread that is confined as commands are",
		Layers: []policy.Control{policy.NSPid, policy.NSUser}, RootTwin: true,
		Attempt: func(e *Env) (bool, string) {
			sb := e.Another()
			res, err := sb.Run(e.Context(), kavach.Cmd{Args: []string{filepath.Join(e.Dir, "attack"), "signals"}})
			if err != nil {
				return errors.Is(err, backend.ErrDestroyed), err.Error()
			}
			_, seen := e.verdict(nil, res)
			after, err := sb.Run(e.Context(), kavach.Cmd{Args: []string{filepath.Join(e.Dir, "attack"), "sleep", "0"}})
			if err != nil {
				return true, err.Error()
			}
			return after.ExitCode != 0, seen
		},
	},
	{
		Number: 20, Name: "find somebody else to signal",
		Why:    "a lone command sees itself and the guest, and may signal itself",
		Layers: []policy.Control{policy.NSPid, policy.NSUser}, RootTwin: true,
		Attempt: func(e *Env) (bool, string) { return e.Attack("kill-none") },
	},
	{
		Number: 20, Name: "kill everything",
		Why:    "own processes only: the guest goes on, and so does the host",
		Layers: []policy.Control{policy.NSPid},
		NoTwin: "without a PID namespace it would kill the machine; the row before shows with signal 0 that it could",
		Attempt: func(e *Env) (bool, string) {
			_, seen := e.Attack("kill-all")
			res := e.Exec(filepath.Join(e.Dir, "attack"), "sleep", "0")
			return res.ExitCode != 0, seen
		},
	},
	meddleRow("prlimit", "a guest that may open no file starts no command", policy.SeccompOn),
	meddleRow("scheduler", "a guest that is never scheduled kills nothing at its deadline", policy.SeccompOn),
	meddleRow("ioprio", "as above", policy.SeccompOn),
	{
		// Also refused to an ordinary user, who is not root inside either: the
		// files of a process that may not be looked into are root's.
		Number: 20, Name: "meddle with the guest by oom_score_adj", Why: "a guest that is killed first takes the sandbox with it",
		Layers: []policy.Control{policy.LandlockOn}, RootTwin: true,
		Attempt: func(e *Env) (bool, string) { return e.Attack("meddle", "oom") },
	},
}

func meddleRow(how, why string, layers ...policy.Control) Row {
	return Row{
		Number: 20, Name: "meddle with the guest by " + how, Why: why, Layers: layers,
		Attempt: func(e *Env) (bool, string) { return e.Attack("meddle", how) },
	}
}

// mark is a word that no other process of the machine has among its arguments.
func mark() string { return fmt.Sprintf("kavach-mark-%016x", rand.Uint64()) }

// marked finds the processes of this machine that have these words among their
// arguments, and are not dead.
func marked(words ...string) (pids []int) {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is well-formed
	for _, name := range names {
		b, err := os.ReadFile(name)
		args := strings.Split(string(b), "\x00")
		if err != nil || slices.ContainsFunc(words, func(word string) bool { return !slices.Contains(args, word) }) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(name, "/")[2]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// reap kills what a twin has left of its own making.
func (e *Env) reap(word string) {
	if !testclock.Until(patience, func() bool {
		pids := marked(word)
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL) // gone already
		}
		return len(pids) == 0
	}) {
		e.Errorf("processes with %s are still there: %v", word, marked(word))
	}
}

// onHost makes a command that runs the attack program where Kavach is not.
func (e *Env) onHost(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(e.Dir, "attack"), args...)
	cmd.Env = []string{"KAVACH_ATTACK_TWIN=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// Some times of the rows below.
const (
	shortTimeout = 500 * time.Millisecond
	// soon is how long a twin is watched, in which what would end has not ended.
	soon = 2 * time.Second
	// patience is how long something may take that does come in the end; shorter
	// than lingering, so that nothing comes of itself.
	patience = 15 * time.Second
	// lingering, in seconds, is how long what is left lives, if nobody kills it.
	lingering = "30"
)

var lifeRows = []Row{
	{
		Number: 22, Name: "leave a daemon behind", Why: "with the sandbox everything in it ends: setsid and a double fork leave nothing",
		Layers: []policy.Control{policy.NSPid, policy.NSUser, policy.Limits}, RootTwin: true,
		Attempt: func(e *Env) (bool, string) {
			sb, word := e.Another(), mark()
			defer e.reap(word)
			res, err := sb.Run(e.Context(), kavach.Cmd{Args: []string{filepath.Join(e.Dir, "attack"), "daemon", word, lingering}})
			if err != nil {
				e.Fatal(err)
			}
			if res.ExitCode != 0 || len(e.eventuallyIn(sb, word, "linger")) == 0 {
				e.Fatalf("no daemon: %+v", res)
			}
			holders := map[int]string{}
			if e.inside {
				holders = e.holders(sb)
			}
			if err := sb.Destroy(e.Context()); err != nil {
				e.Fatal(err)
			}
			left := slices.Concat(marked(word), leftOf(holders))
			return len(left) > 0, fmt.Sprintf("left: %v", left)
		},
	},
	{
		Number: 22, Name: "outlive a kill of the guest", Why: "the kernel ends what is in a PID namespace with its init, and nothing else has to be done for it",
		Layers: []policy.Control{policy.NSPid, policy.NSUser}, RootTwin: true,
		Attempt: func(e *Env) (bool, string) {
			sb, word := e.Another(), mark()
			defer e.reap(word)
			p, err := sb.Start(e.Context(), kavach.Cmd{Args: []string{filepath.Join(e.Dir, "attack"), "linger", word, lingering}})
			if err != nil {
				e.Fatal(err)
			}
			pids := e.eventuallyIn(sb, word)
			if len(pids) == 0 {
				e.Fatal("it did not start")
			}
			if e.inside {
				return e.killSentry(sb, p)
			}
			if err := unix.Kill(parent(e, pids[0]), unix.SIGKILL); err != nil {
				e.Fatal(err)
			}
			_, err = p.Wait(e.Context())
			testclock.Until(soon, func() bool { return len(marked(word)) == 0 })
			left := marked(word)
			return len(left) > 0, fmt.Sprintf("left: %v; %v", left, err)
		},
	},
	{
		Number: 23, Name: "hold the output open for longer than the command lives",
		Why:      "an exec whose command has ended returns, with what there is (golang.org/issue/21922)",
		Attempt:  func(e *Env) (bool, string) { return e.held("daemon", 0) },
		Contrast: heldOnHost,
	},
	{
		Number: 23, Name: "hold the output open for longer than the deadline",
		Why:      "an exec returns by its deadline, with what there is",
		Attempt:  func(e *Env) (bool, string) { return e.held("daemon-stay", shortTimeout) },
		Contrast: heldOnHost,
	},
	{
		Number: 24, Name: "leave a traced thread behind",
		Why:    "a leader whose thread is traced and has ended cannot be waited for by its number; the exec returns nevertheless",
		Policy: func(p *policy.Policy) { p.Seccomp.Profile = policy.Off },
		Attempt: func(e *Env) (bool, string) {
			return e.traced()
		},
		Contrast: tracedOnHost,
	},
	{
		Number: 24, Name: "be traced by the guest", Why: "the filter refuses ptrace, and so the whole trick",
		Layers: []policy.Control{policy.SeccompOn},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("traceme")
		},
	},
	treeRow("daemons", "daemon-stay"), treeRow("a process that forks on", "hop", "stay"),
	treeRow("a process that forks on, in sessions of its own", "hop", "setsid"),
	{
		Number: 22, Name: "outlive the deadline beside an old daemon",
		Why: "what an earlier command has left stands in the way of a kill of everything",
		Attempt: func(e *Env) (bool, string) {
			word := mark()
			if through, seen := e.Attack("daemon", word, lingering); !through {
				e.Fatal("no daemon: ", seen)
			}
			if !testclock.Until(patience, func() bool {
				return len(e.markedIn(e.Sandbox, word)) == 1 && len(e.markedIn(e.Sandbox, word, "linger")) == 1
			}) {
				e.Fatal("those that forked the daemon are still there")
			}
			time.Sleep(50 * time.Millisecond) // a clock tick or more: they are told apart by their start
			old := e.markedIn(e.Sandbox, word)
			res, err := e.Sandbox.Run(e.Context(), kavach.Cmd{
				Args: []string{filepath.Join(e.Dir, "attack"), "hop", mark(), lingering, "setsid"}, Timeout: shortTimeout,
			})
			if err != nil {
				return true, err.Error()
			}
			left := e.markedIn(e.Sandbox, word)
			seen := fmt.Sprintf("after %v: timed out %t, truncated %t; the daemon was %v, is %v",
				res.Usage.Wall, res.TimedOut, res.Truncated, old, left)
			return res.Truncated || !res.TimedOut || !slices.Equal(old, left), seen
		},
		Contrast: groupKillOnHost,
	},
}

// parent is a process's parent, on the host.
func parent(e *Env, pid int) int {
	e.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		e.Fatal(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if value, ok := strings.CutPrefix(line, "PPid:"); ok {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil || n <= 1 || n == os.Getpid() {
				e.Fatalf("the parent of %d is %s", pid, value)
			}
			return n
		}
	}
	e.Fatal("no parent")
	return 0
}

// eventually waits for processes with these words among their arguments.
func (e *Env) eventually(words ...string) (pids []int) {
	testclock.Until(patience, func() bool { pids = marked(words...); return len(pids) > 0 })
	return pids
}

// held runs a command that leaves something which holds its output, and says
// whether the exec was held up by that.
func (e *Env) held(how string, timeout time.Duration) (bool, string) {
	word := mark()
	watch := testclock.Start()
	res, err := e.Sandbox.Run(e.Context(), kavach.Cmd{
		Args: []string{filepath.Join(e.Dir, "attack"), how, word, lingering, "hold"}, Timeout: timeout,
	})
	took := watch.Ran()
	if err != nil {
		e.Fatal(err)
	}
	seen := fmt.Sprintf("after %v: exit %d, timed out %t, truncated %t, %q", took, res.ExitCode, res.TimedOut, res.Truncated, res.Stdout)
	if !strings.Contains(string(res.Stdout), word) {
		return true, "what was written is lost: " + seen
	}
	if timeout > 0 {
		return took > patience || !res.TimedOut || len(e.markedIn(e.Sandbox, word)) > 0, seen
	}
	return took > patience || !res.Truncated || res.TimedOut, seen
}

// heldOnHost shows that os/exec is held up.
func heldOnHost(e *Env) (bool, string) {
	const seconds = 2
	var out bytes.Buffer
	cmd := e.onHost("daemon", mark(), strconv.Itoa(seconds), "hold")
	cmd.Stdout = &out
	start := time.Now()
	if err := cmd.Run(); err != nil {
		e.Fatal(err)
	}
	took := time.Since(start)
	return took > seconds*time.Second/2, fmt.Sprintf("os/exec waited for %v", took)
}

// traced runs the trick with the traced thread.
func (e *Env) traced() (bool, string) {
	res, err := e.Sandbox.Run(e.Context(), kavach.Cmd{Args: []string{filepath.Join(e.Dir, "attack"), "traceme"}})
	if err != nil {
		e.Fatal(err)
	}
	seen := fmt.Sprintf("after %v: exit %d %s", res.Usage.Wall, res.ExitCode, res.Stdout)
	if res.ExitCode != 0 && !res.TimedOut {
		e.Fatal("the trick cannot be done: ", seen)
	}
	return res.TimedOut, seen
}

// tracedOnHost shows that a wait for the leader hangs, until somebody waits for
// the thread.
func tracedOnHost(e *Env) (bool, string) {
	r, w, err := os.Pipe()
	if err != nil {
		e.Fatal(err)
	}
	defer r.Close()
	cmd := e.onHost("traceme")
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		e.Fatal(err)
	}
	w.Close()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var tid int
	if _, err := fmt.Fscan(r, &tid); err != nil {
		e.Fatal(err)
	}
	select {
	case err := <-done:
		return false, fmt.Sprintf("the wait ended: %v", err)
	case <-time.After(shortTimeout):
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(tid, &status, unix.WALL, nil); err != nil {
		e.Fatalf("wait for thread %d: %v", tid, err)
	}
	<-done //nolint:errcheck // whatever it was
	return true, "the wait hangs until thread " + strconv.Itoa(tid) + " is waited for"
}

// treeRow kills a command at its deadline, with all that it has started, while
// another of the same sandbox goes on.
func treeRow(what, how string, args ...string) Row {
	return Row{
		Number: 22, Name: "outlive the deadline: " + what,
		Why: "a command and all that it started end at its deadline, and no other command of the sandbox does",
		// Where the guest gets little of a CPU, those that forked on are dead for
		// a while before they are buried, and count; the other needs room to live.
		Policy: pids(512),
		Attempt: func(e *Env) (bool, string) {
			program := filepath.Join(e.Dir, "attack")
			other, err := e.Sandbox.Start(e.Context(), kavach.Cmd{Args: []string{program, "spawn", "3"}})
			if err != nil {
				e.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond) // a clock tick or more: they are told apart by their start
			word := mark()
			watch := testclock.Start()
			res, err := e.Sandbox.Run(e.Context(), kavach.Cmd{
				Args: append([]string{program, how, word, lingering}, args...), Timeout: shortTimeout,
			})
			took := watch.Ran()
			if err != nil {
				return true, err.Error()
			}
			left := e.markedIn(e.Sandbox, word)
			// What forks on is not seen in the table of processes, and does hold
			// the output open: it was truncated.
			seen := fmt.Sprintf("after %v: timed out %t, truncated %t, left %v", took, res.TimedOut, res.Truncated, left)
			if len(left) > 0 || res.Truncated || !res.TimedOut || took > patience {
				return true, seen
			}
			end, err := other.Wait(e.Context())
			if err != nil || end.ExitCode != 0 {
				return true, fmt.Sprintf("%s; the other was disturbed: %+v %v", seen, end, err)
			}
			return false, seen
		},
		Contrast: groupKillOnHost,
	}
}

// groupKillOnHost shows that a daemon outlives a kill of its process group, which
// is what there is without Kavach.
func groupKillOnHost(e *Env) (bool, string) {
	word := mark()
	defer e.reap(word)
	cmd := e.onHost("daemon-stay", word, lingering)
	if err := cmd.Start(); err != nil {
		e.Fatal(err)
	}
	if len(e.eventually(word, "linger")) == 0 {
		e.Fatal("no daemon")
	}
	_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	_ = cmd.Wait() // it was killed
	left := marked(word)
	return len(left) > 0, fmt.Sprintf("left: %v", left)
}

var namespaceRows = slices.Concat(
	namespaceWays("user", "in a user namespace of its own a command has every capability, and all of the kernel that these lead to (CVE-2022-0185)",
		[]policy.Control{policy.SeccompOn}, "unshare", "clone", "clone3"),
	namespaceWays("mnt", "as above; in one of its own a command mounts", []policy.Control{policy.SeccompOn, policy.CapsNone}, "unshare", "clone", "clone3"),
	namespaceWays("net", "as above, links and rules", []policy.Control{policy.SeccompOn, policy.CapsNone}, "unshare", "clone3"),
	namespaceWays("pid", "as above", []policy.Control{policy.SeccompOn, policy.CapsNone}, "unshare", "clone"),
	namespaceWays("time", "as above; its flag is among those of clone's exit signal", []policy.Control{policy.SeccompOn, policy.CapsNone}, "unshare"),
	[]Row{
		{
			Number: 25, Name: "make a user namespace where the policy has no filter",
			Why:     "the sandbox's own limit of user namespaces is zero",
			Layers:  []policy.Control{policy.SeccompOn},
			Policy:  func(p *policy.Policy) { p.Seccomp.Profile = policy.Off },
			Attempt: func(e *Env) (bool, string) { return e.Attack("namespace", "clone3", "user") },
		},
		{
			Number: 26, Name: "enter the namespaces that it is in",
			Why:    "setns is refused before it is looked at what it is given",
			Layers: []policy.Control{policy.SeccompOn, policy.CapsNone},
			Attempt: func(e *Env) (bool, string) {
				return e.Attack("join", "/proc/self/ns/uts", "/proc/self/ns/ipc", "/proc/self/ns/net", "/proc/self/ns/cgroup")
			},
		},
		{
			Number: 26, Name: "enter a namespace of the host by an inherited descriptor",
			Why:    "the descriptor is not there, and setns is refused, and root is nobody",
			Layers: []policy.Control{policy.FDsClean, policy.SeccompOn, policy.CapsNone, policy.NSUser}, RootTwin: true,
			Attempt: func(e *Env) (bool, string) {
				f, err := os.Open("/proc/self/ns/net")
				if err != nil {
					e.Fatal(err)
				}
				defer f.Close()
				e.leakFD(int(f.Fd()))
				return e.attackAnother("join", "fds")
			},
		},
	})

func namespaceWays(namespace, why string, layers []policy.Control, ways ...string) (rows []Row) {
	for _, way := range ways {
		rows = append(rows, Row{
			Number: 25, Name: "make a namespace of kind " + namespace + " by " + way, Why: why, Layers: layers,
			Attempt: func(e *Env) (bool, string) { return e.Attack("namespace", way, namespace) },
		})
	}
	return rows
}

var environmentRows = []Row{
	{
		Number: 27, Name: "inherit the caller's environment", Why: "what a command has in its environment, somebody has named",
		Layers: []policy.Control{policy.EnvClean},
		Attempt: func(e *Env) (bool, string) {
			e.Setenv("KAVACH_TEST_CANARY", e.SecretText)
			return e.attackAnother("env", e.SecretText)
		},
	},
	{
		Number: 27, Name: "have a program of the host look at a core dump",
		Why:     "where core_pattern names a program, it runs as root on the host, with what the command had in memory for its input",
		Layers:  []policy.Control{policy.RootPivoted},
		NoTwin:  "it would take a change of the host's core_pattern; a limit of 1 is what the kernel itself prevents it by (core(5))",
		Attempt: func(e *Env) (bool, string) { return e.Attack("core") },
	},
	{
		Number: 27, Name: "inherit LD_PRELOAD", Why: "a library of the caller's choice would be in each command",
		Layers: []policy.Control{policy.EnvClean},
		Attempt: func(e *Env) (bool, string) {
			e.Setenv("LD_PRELOAD", filepath.Join(e.Dir, "none.so"))
			return e.attackAnother("env", "LD_PRELOAD=")
		},
	},
	{
		Number: 27, Name: "inherit BASH_ENV", Why: "a shell runs the file that it names before all else",
		Layers: []policy.Control{policy.EnvClean},
		Attempt: func(e *Env) (bool, string) {
			file := filepath.Join(e.Dir, "bash_env")
			if err := os.WriteFile(file, []byte("echo BASH_ENV was run\n"), 0o644); err != nil {
				e.Fatal(err)
			}
			e.Setenv("BASH_ENV", file)
			e.Setenv("ENV", file)
			res, err := e.Another().Run(e.Context(), kavach.Cmd{Args: []string{"bash", "-c", "echo $0"}})
			if err != nil {
				e.Fatal(err)
			}
			return bytes.Contains(res.Stdout, []byte("was run")), string(res.Stdout)
		},
	},
}

var ipcRows = []Row{
	{
		Number: 28, Name: "reach shared memory of the host", Why: "System V IPC is the sandbox's own",
		Layers: []policy.Control{policy.NSIpc, policy.SeccompOn},
		Attempt: func(e *Env) (bool, string) {
			key := ipcKey()
			id, err := unix.SysvShmGet(key, os.Getpagesize(), unix.IPC_CREAT|unix.IPC_EXCL|0o666)
			if err != nil {
				e.Fatal(err)
			}
			defer func() {
				if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil {
					e.Error(err)
				}
			}()
			b, err := unix.SysvShmAttach(id, 0, 0)
			if err != nil {
				e.Fatal(err)
			}
			copy(b, e.SecretText)
			if err := unix.SysvShmDetach(b); err != nil {
				e.Fatal(err)
			}
			return e.Attack("shm", strconv.Itoa(key), e.SecretText)
		},
	},
	{
		Number: 28, Name: "reach shared memory of another sandbox", Why: "as above",
		Layers: []policy.Control{policy.NSIpc}, RootTwin: true,
		Policy: func(p *policy.Policy) { p.Seccomp.Profile = policy.SeccompDefault },
		Attempt: func(e *Env) (bool, string) {
			key := ipcKey()
			made, seen := e.attackAnother("make-shm", strconv.Itoa(key), e.SecretText)
			if !made {
				e.Fatal("it cannot be made: ", seen)
			}
			// Where the twin has made it on the host, it goes; else it has gone
			// with its sandbox, or will.
			defer func() {
				if id, err := unix.SysvShmGet(key, 0, 0); err == nil {
					_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
				}
			}()
			return e.Attack("shm", strconv.Itoa(key), e.SecretText)
		},
	},
	{
		Number: 28, Name: "reach a message queue of the host", Why: "POSIX message queues are the sandbox's own, and no rule grants them",
		Layers: []policy.Control{policy.NSIpc, policy.SeccompOn, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			queue := mark()
			name, err := unix.BytePtrFromString(queue)
			if err != nil {
				e.Fatal(err)
			}
			old := unix.Umask(0)
			fd, _, errno := syscall.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(name)),
				unix.O_RDONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o666, 0, 0, 0)
			unix.Umask(old)
			if errno != 0 {
				e.Fatal("mq_open: ", errno)
			}
			defer func() {
				unix.Close(int(fd))
				if _, _, errno := syscall.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(name)), 0, 0); errno != 0 {
					e.Error("mq_unlink: ", errno)
				}
			}()
			return e.Attack("mq", queue)
		},
	},
	{
		Number: 28, Name: "reach a file of the host's /dev/shm", Why: "it is the sandbox's own",
		Layers: []policy.Control{policy.RootPivoted, policy.LandlockOn},
		// The host's is granted nothing by a mount: that of /dev/shm is the
		// sandbox's scratch, and the rule for it names what is there.
		Attempt: func(e *Env) (bool, string) {
			path := filepath.Join("/dev/shm", mark())
			if err := os.WriteFile(path, []byte(e.SecretText), 0o644); err != nil {
				e.Fatal(err)
			}
			defer os.Remove(path)
			return e.Attack("read", path, e.SecretText)
		},
	},
	{
		Number: 28, Name: "reach a file of another sandbox's /dev/shm or /tmp", Why: "they are each sandbox's own",
		Layers: []policy.Control{policy.RootPivoted},
		NoTwin: "the twin would leave files on the host; that of the host's /dev/shm shows the layer",
		Attempt: func(e *Env) (bool, string) {
			other, name := e.Another(), mark()
			for _, dir := range []string{"/dev/shm/", "/tmp/"} {
				path := dir + name
				res, err := other.Run(e.Context(), kavach.Cmd{Args: []string{"sh", "-c", "echo secret >" + path + " && cat " + path}})
				if err != nil || res.ExitCode != 0 || string(res.Stdout) != "secret\n" {
					e.Fatalf("the other cannot write: %+v %v", res, err)
				}
				if through, seen := e.Attack("holds", path); through {
					return true, seen
				}
				if _, err := os.Lstat(path); err == nil {
					return true, "it is on the host"
				}
			}
			return false, "neither"
		},
	},
}

// ipcKey is a key that nobody uses.
func ipcKey() int { return 0x4b000000 | rand.IntN(1<<24) }
