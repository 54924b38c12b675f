//go:build linux

package backendtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testclock"
)

// Where the commands of a backend are no processes of this kernel, they are seen
// from inside, and the host sees what serves them.

// markedIn finds the processes of a sandbox that have these words among their
// arguments, and are not dead.
func (e *Env) markedIn(sb *kavach.Sandbox, words ...string) (pids []int) {
	e.Helper()
	if !e.inside {
		return marked(words...)
	}
	res, err := sb.Run(e.Context(), kavach.Cmd{Args: append([]string{filepath.Join(e.Dir, "attack"), "processes"}, words...)})
	if err != nil || res.ExitCode != 0 {
		e.Fatalf("list the processes inside: %+v %v", res, err)
	}
	for _, field := range strings.Fields(string(res.Stdout)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			e.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// eventuallyIn waits for processes with these words among their arguments.
func (e *Env) eventuallyIn(sb *kavach.Sandbox, words ...string) (pids []int) {
	e.Helper()
	testclock.Until(patience, func() bool { pids = e.markedIn(sb, words...); return len(pids) > 0 })
	return pids
}

// holders are the host's processes that a sandbox is made of, each with its start,
// so that another that gets its number is not taken for it.
func (e *Env) holders(sb *kavach.Sandbox) map[int]string {
	e.Helper()
	all := make(map[int]string)
	for _, pid := range descendants(e, sb.ID()) {
		all[pid] = startOf(pid)
	}
	return all
}

// leftOf are those of them that are there still, after a moment for the kernel to
// bury them.
func leftOf(holders map[int]string) (left []int) {
	testclock.Until(soon, func() bool {
		left = nil
		for pid, start := range holders {
			if start != "" && startOf(pid) == start {
				left = append(left, pid)
			}
		}
		return left == nil
	})
	return left
}

// startOf is when a process started; empty: it is gone, or dead.
func startOf(pid int) string {
	const state, start = 0, 19 // of proc_pid_stat(5), after the name
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

// killSentry kills what serves a command's system calls, and says whether anything
// of the sandbox outlives that.
func (e *Env) killSentry(sb *kavach.Sandbox, p *kavach.Process) (bool, string) {
	e.Helper()
	all, sentry := e.holders(sb), 0
	for pid := range all {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // it may have ended
		if name, _, _ := strings.Cut(string(b), "\x00"); name == "runsc-sandbox" {
			sentry = pid
		}
	}
	if sentry == 0 {
		e.Fatalf("none of %v is the sentry", all)
	}
	if err := unix.Kill(sentry, unix.SIGKILL); err != nil {
		e.Fatal(err)
	}
	_, err := p.Wait(e.Context())
	if destroyErr := sb.Destroy(e.Context()); destroyErr != nil {
		e.Error(destroyErr)
	}
	left := leftOf(all)
	return len(left) > 0 || !errors.Is(err, backend.ErrDestroyed), fmt.Sprintf("left of %d: %v; %v", len(all), left, err)
}

// counter counts the processes and tasks inside while something goes on.
type counter struct {
	stdin io.Closer
	out   *bufio.Reader
	end   chan error
}

func (e *Env) count() *counter {
	e.Helper()
	in, stdin := io.Pipe()
	out, stdout := io.Pipe()
	p, err := e.Sandbox.Start(e.Context(), kavach.Cmd{
		Args: []string{filepath.Join(e.Dir, "attack"), "count"}, Stdin: in, Stdout: stdout,
	})
	if err != nil {
		e.Fatal(err)
	}
	c := &counter{stdin: stdin, out: bufio.NewReader(out), end: make(chan error, 1)}
	go func() {
		res, err := p.Wait(e.Context())
		if err == nil && res.ExitCode != 0 {
			err = fmt.Errorf("the counter: %+v", res)
		}
		c.end <- err
		stdout.Close() // it may have been killed
	}()
	if line, err := c.out.ReadString('\n'); line != "counting\n" {
		e.Fatalf("the counter says %q (%v)", line, err)
	}
	return c
}

// most ends the counting and says what the most were.
func (c *counter) most(e *Env) (processes, tasks int) {
	e.Helper()
	c.stdin.Close()
	text, err := io.ReadAll(c.out)
	if err == nil {
		err = <-c.end
	}
	// Where the guest gets no more of the CPU, the deadline ends the whole sandbox.
	if err != nil && e.Sandbox.State() != kavach.Destroyed {
		e.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	last := lines[len(lines)-1]
	if _, err := fmt.Sscan(last, &processes, &tasks); err != nil {
		e.Fatalf("the counter says %q: %v", last, err)
	}
	return processes, tasks
}
