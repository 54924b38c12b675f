//go:build linux

package backendtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testclock"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/score"
)

// limits is what bounds commands together.
var limits = []policy.Control{policy.Limits}

// noCgroup is why some of what memory can be taken by is not bounded for an
// ordinary user.
const noCgroup = "without a cgroup only the private memory of each single process, and the files of the sandbox, are bounded"

const (
	fewPIDs    = 32  // what the policy allows
	bomblet    = 200 // what is tried: more than fewPIDs and the guest's own threads
	guestShare = 24  // what an ordinary user's limit leaves for the guest
)

func pids(n int) func(*policy.Policy) {
	return func(p *policy.Policy) { p.Resources.PIDs = n }
}

// room is for as many processes as are tried, each of which takes 3 MiB in gVisor.
func room(p *policy.Policy) {
	pids(2 * bomblet)(p)
	p.Resources.Memory = 2 << 30
}

func tmp(size policy.Bytes) func(*policy.Policy) {
	return func(p *policy.Policy) { p.Filesystem.TmpSize = size }
}

// resourceRows are CONTAINMENT 50 to 54.
var resourceRows = []Row{
	{
		Number: 50, Name: "more processes than allowed",
		Why:    "EAGAIN inside is all that a fork bomb comes to",
		Layers: limits,
		Policy: pids(fewPIDs),
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("forks", strconv.Itoa(bomblet))
		},
	},
	{
		Number: 50, Name: "more processes than this policy allows, and no more than another does",
		Why:    "the number is the policy's",
		Layers: none,
		Policy: pids(fewPIDs),
		Loosen: room,
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("forks", strconv.Itoa(bomblet))
		},
	},
	{
		Number: 50, Name: "more tasks than allowed",
		Why:    "tasks that share descriptors and directories count as processes do",
		Layers: limits,
		Policy: pids(fewPIDs),
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("threadbomb", strconv.Itoa(bomblet))
		},
	},
	{
		Number: 50, Name: "more processes by several commands together",
		Why:    "the bound is the sandbox's, not each command's",
		Layers: limits,
		Policy: pids(fewPIDs),
		Attempt: func(e *Env) (bool, string) {
			const commands = 4
			come := make(chan string, 2*commands) // each comes up, or ends
			var counter *counter
			if e.inside {
				counter = e.count()
			}
			for range commands {
				p, err := e.Sandbox.Start(e.Context(), kavach.Cmd{
					Args: []string{filepath.Join(e.Dir, "attack"), "threads", "12"}, Stdout: &lines{want: "ready", first: come},
				})
				if err != nil { // there was not even room for the command
					return false, err.Error()
				}
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					_, _ = p.Wait(e.Context()) // the end of the test kills it
					come <- "ended"
				}()
				e.Cleanup(func() { <-ended })
			}
			for range commands {
				if _, ok := testclock.Receive(come, patience); !ok {
					e.Fatal("a command neither comes up nor ends")
				}
			}
			n := 0
			if e.inside {
				_, n = counter.most(e)
				return n > fewPIDs+guestShare, fmt.Sprintf("%d tasks", n)
			}
			for _, pid := range processesOf(e, e.Sandbox.ID())[1:] {
				tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid)) // it may have ended
				n += len(tasks)
			}
			return n > fewPIDs+guestShare, fmt.Sprintf("%d tasks", n)
		},
	},
	{
		Number: 50, Name: "a fork bomb",
		Why:    "the host stays responsive, and the deadline ends the bomb",
		Layers: none,
		Policy: pids(fewPIDs),
		// More processes are possible, up to what the attempt itself stops at.
		Loosen:  room,
		Attempt: forkBomb,
	},

	memoryRow("anonymous", ""), memoryRow("children", noCgroup), memoryRow("shared", noCgroup), memoryRow("memfd", noCgroup),
	memoryRow("tmpfs", noCgroup), memoryRow("shm", noCgroup), memoryRow("pipes", noCgroup), memoryRow("sockets", noCgroup),
	memoryRow("sysv-shm", noCgroup), memoryRow("messages", noCgroup), memoryRow("semaphores", noCgroup),

	{
		Number: 52, Name: "fill /tmp", Why: "what is written is bounded by the policy, and the rest is ENOSPC",
		Layers: none, Policy: tmp(16 << 20), Loosen: tmp(128 << 20),
		Attempt: func(e *Env) (bool, string) { return e.Attack("fill", "/tmp", "64") },
	},
	{
		Number: 52, Name: "fill /dev/shm", Why: "all writable places have one bound together",
		Layers: none, Policy: tmp(16 << 20), Loosen: tmp(128 << 20),
		Attempt: func(e *Env) (bool, string) { return e.Attack("fill", "/dev/shm", "64") },
	},
	{
		Number: 52, Name: "fill a writable root directory", Why: "all writable places have one bound together",
		Layers: none,
		Policy: func(p *policy.Policy) { tmp(16 << 20)(p); p.Filesystem.Writable = true },
		Loosen: tmp(128 << 20),
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("fill", "/var", "64")
		},
	},
	{
		Number: 52, Name: "fill /tmp and /dev/shm by turns", Why: "two places must not make two bounds",
		Layers: none, Policy: tmp(32 << 20), Loosen: tmp(128 << 20),
		Attempt: func(e *Env) (bool, string) {
			if through, seen := e.Attack("fill", "/tmp", "24"); !through {
				e.Fatalf("what is allowed is refused: %s", seen)
			}
			return e.Attack("fill", "/dev/shm", "24")
		},
	},
	{
		Number: 52, Name: "use up the inodes of /tmp", Why: "empty files cost the kernel memory as well",
		Layers: none, Policy: tmp(16 << 20), Loosen: tmp(128 << 20),
		Attempt: func(e *Env) (bool, string) { return e.Attack("inodes", "/tmp", "6000") },
	},

	{
		Number: 53, Name: "output without end", Why: "what nobody reads is dropped and flagged, and takes no memory of the host",
		Layers: none,
		Policy: func(p *policy.Policy) { p.Resources.Output = 1 << 20 },
		Loosen: func(p *policy.Policy) { p.Resources.Output = 2 * floodSize << 20 },
		Attempt: func(e *Env) (bool, string) {
			before := residentSet(e)
			res := e.Exec(filepath.Join(e.Dir, "attack"), "flood", strconv.Itoa(floodSize))
			if res.ExitCode != 0 {
				e.Fatalf("the flood did not go on to its end: %+v", res)
			}
			grown := residentSet(e) - before
			got := max(len(res.Stdout), len(res.Stderr))
			return !res.Truncated || got > 1<<20 || grown > floodSize<<20/4,
				fmt.Sprintf("%d bytes of %d MiB, truncated: %t, the host's process grew by %d MiB", got, floodSize, res.Truncated, grown>>20)
		},
	},

	deadline("ignores every signal", "stubborn", nil),
	deadline("stopped itself", "stopped", nil),
	// What is frozen cannot die until its sandbox is thawed, to be destroyed.
	deadline("was frozen", "stubborn", func(e *Env) bool {
		if err := e.Sandbox.Pause(e.Context()); errors.Is(err, errors.ErrUnsupported) {
			return false
		} else if err != nil {
			e.Fatal(err)
		}
		return true
	}),
}

// floodSize is in MiB, for stdout and for stderr each: a bounded stand-in for
// "10 GB that nobody reads", far more than what is kept and than what would go
// unnoticed in memory.
const floodSize = 64

// otherSize is how much is tried, in MiB, of what takes less memory of a kernel
// that is not this one; and of what such a kernel bounds by addresses alone.
var otherSize = map[string]int{"pipes": 400, "anonymous": 2048}

// memoryRow is a row of CONTAINMENT 51: much more than is allowed, by one kind
// of memory.
func memoryRow(kind, rootHeld string) Row {
	const allowed = 64 << 20
	tried := 256 // MiB
	if kind == "pipes" {
		tried = 90 // what a user gets is bounded by descriptors then (pipe(7), pipe-user-pages-soft)
	}
	return Row{
		Number: 51, Name: "memory: " + kind, Layers: limits, RootHeld: rootHeld, RootTwin: rootHeld != "",
		Why: "whatever it is taken by, the kernel kills inside, not outside, and it is reported",
		Policy: func(p *policy.Policy) {
			p.Resources.Memory = allowed
			p.Filesystem.TmpSize = 1 << 30            // no other bound is in the way
			p.Seccomp.Profile = policy.SeccompDefault // which has System V IPC
		},
		Attempt: func(e *Env) (bool, string) {
			args := []string{"memory", kind, strconv.Itoa(tried)}
			if most, other := otherSize[kind]; other && e.inside {
				args[2] = strconv.Itoa(most)
			}
			res := e.Exec(append([]string{filepath.Join(e.Dir, "attack")}, args...)...)
			through, seen := e.verdict(args, res)
			if !through && !res.OOMKilled && limited(e) {
				e.Errorf("it is not reported as OOM: %s", seen)
			}
			return through, fmt.Sprintf("%s (OOM: %t)", seen, res.OOMKilled)
		},
	}
}

// limited reports whether the sandbox has all of its limits.
func limited(e *Env) bool {
	return slices.ContainsFunc(e.Sandbox.Score().Controls, func(line score.Line) bool {
		return line.Name == policy.Limits && line.State == backend.Enforced
	})
}

// forkBomb runs a bomb until its deadline. It gets through where there were more
// processes than the policy of the held run allows, where the host could run no
// command meanwhile, or where some outlived the deadline.
func forkBomb(e *Env) (bool, string) {
	out := newLines("bomb")
	var counter *counter
	if e.inside {
		counter = e.count()
	}
	p, err := e.Sandbox.Start(e.Context(), kavach.Cmd{
		Args: []string{filepath.Join(e.Dir, "attack"), "bomb", strconv.Itoa(bomblet)}, Stdout: out, Timeout: 2 * time.Second,
	})
	if err != nil {
		e.Fatal(err)
	}
	end := make(chan *kavach.Result, 1)
	go func() {
		res, err := p.Wait(e.Context())
		if err != nil {
			e.Errorf("wait: %v", err)
		}
		end <- res
	}()
	most, slowest := 0, time.Duration(0)
	for {
		start := time.Now()
		if err := exec.Command("true").Run(); err != nil {
			e.Errorf("the host itself cannot run a command: %v", err)
		}
		slowest = max(slowest, time.Since(start))
		select {
		case res := <-end:
			if !res.TimedOut {
				e.Errorf("the bomb ended by itself: %+v", res)
			}
			if e.inside {
				most, _ = counter.most(e)
			}
			seen := fmt.Sprintf("at most %d processes; the host's slowest command took %v", most, slowest)
			if left := remaining(e); left > 0 {
				return true, fmt.Sprintf("%s; %d outlived the deadline", seen, left)
			}
			return most > fewPIDs+guestShare, seen
		case <-time.After(50 * time.Millisecond):
			if e.inside {
				continue
			}
			most = max(most, len(processesOf(e, e.Sandbox.ID()))-1)
		}
	}
}

// remaining is how many processes there are in the sandbox beside its guest,
// after a moment for the kernel to bury them.
func remaining(e *Env) int {
	if e.Sandbox.State() == kavach.Destroyed {
		return 0
	}
	n := 0
	testclock.Until(patience, func() bool {
		if e.inside {
			n = len(e.markedIn(e.Sandbox))
		} else {
			n = len(processesOf(e, e.Sandbox.ID())) - 1
		}
		return n == 0
	})
	return n
}

// deadline is a row for a command that does not want to, or cannot, end. It gets
// through where it is still there after its deadline: soon after, for the twin,
// which has none to wait for. First, after it has said that it is up, something
// is done to it; where that cannot be done here, there is nothing to try.
func deadline(what, attack string, first func(*Env) bool) Row {
	const allowed = time.Second
	return Row{
		Number: 54, Name: "a command that " + what + " lives on after its deadline", Layers: none,
		Why:    "a deadline needs nobody's cooperation, and takes daemons along",
		Policy: func(p *policy.Policy) { p.Resources.Timeout = policy.Duration(allowed) },
		Loosen: func(p *policy.Policy) { p.Resources.Timeout = policy.Duration(time.Hour) },
		Attempt: func(e *Env) (bool, string) {
			twin := e.Policy.Resources.Timeout > policy.Duration(allowed)
			out := newLines("ready")
			ctx, cancel := context.WithCancel(e.Context())
			p, err := e.Sandbox.Start(ctx, kavach.Cmd{Args: []string{filepath.Join(e.Dir, "attack"), attack}, Stdout: out})
			if err != nil {
				e.Fatal(err)
			}
			end := make(chan *kavach.Result, 1)
			go func() {
				res, _ := p.Wait(ctx) // its error is the context's
				end <- res
			}()
			defer cancel()
			select {
			case <-out.first:
			case res := <-end:
				e.Fatalf("it ended before it came up: %+v", res)
			}
			if first != nil && !first(e) {
				cancel()
				<-end
				return os.Geteuid() != 0 && twin, "it cannot be frozen here"
			}
			wait := patience
			if twin {
				wait = soon
			}
			res, ended := testclock.Receive(end, wait)
			if !ended {
				cancel()
				<-end
				return true, "it is still there"
			}
			if res == nil || !res.TimedOut {
				e.Fatalf("it ended, and not by its deadline: %+v", res)
			}
			if n := remaining(e); n > 0 {
				return true, fmt.Sprintf("%d processes outlived it", n)
			}
			return false, fmt.Sprintf("dead after %v, the sandbox is %s", res.Usage.Wall.Round(time.Millisecond), e.Sandbox.State())
		},
	}
}

// residentSet is how much memory this process has at most had, in bytes.
func residentSet(e *Env) int64 {
	e.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		e.Fatal(err)
	}
	kib, err := strconv.ParseInt(strings.Fields(statusField(string(b), "VmHWM"))[0], 10, 64)
	if err != nil {
		e.Fatal(err)
	}
	return kib << 10
}
