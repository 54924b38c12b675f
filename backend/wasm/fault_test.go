//go:build linux

package wasm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/internal/testclock"
	"github.com/kavach-dev/kavach/policy"
)

const patience = 30 * time.Second

// workers are the pids of the workers of a sandbox, on the host.
func workers(t testing.TB, sb *kavach.Sandbox) (pids []int) {
	t.Helper()
	records, err := jail.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.ID != sb.ID() {
			continue
		}
		for _, pid := range evidence.Below(r.Guest) {
			if evidence.Executes(pid, testbin.Wasm(t)) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// TestWorkers: one waits from the start, a command takes it, and from the second
// command on the next is made ready. What is killed while it waits is replaced.
func TestWorkers(t *testing.T) {
	sb := sandbox(t, nil)
	waiting := func(n int) {
		t.Helper()
		if !testclock.Until(patience, func() bool { return len(workers(t, sb)) == n }) {
			t.Fatalf("%d workers, want %d", len(workers(t, sb)), n)
		}
	}
	waiting(1)
	for range 3 {
		run(t, sb, kavach.Cmd{Args: []string{"empty"}})
	}
	waiting(1)
	for _, pid := range workers(t, sb) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	if res := run(t, sb, kavach.Cmd{Args: []string{"attack", "echo", "x"}}); string(res.Stdout) != "x\n" || res.OOMKilled {
		t.Errorf("%+v", res)
	}
	p, err := sb.Start(t.Context(), kavach.Cmd{Args: []string{"/modules/spin.wasm"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range workers(t, sb) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // both: the command's, and the one that waits
	}
	if res, err := p.Wait(t.Context()); err != nil || res.Signal != syscall.SIGKILL || res.OOMKilled {
		t.Errorf("%+v, %v", res, err)
	}
	if res := run(t, sb, kavach.Cmd{Args: []string{"empty"}}); res.ExitCode != 0 {
		t.Errorf("%+v", res)
	}
}

// TestAtOnce: many commands of many modules.
func TestAtOnce(t *testing.T) {
	sb := sandbox(t, func(p *policy.Policy) { p.Resources.PIDs = 256; p.Resources.Memory = 1 << 30 })
	var all sync.WaitGroup
	for n := range 10 {
		all.Go(func() {
			text := fmt.Sprint("number ", n)
			res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"/modules/attack.wasm", "cat"}, Stdin: strings.NewReader(text)})
			if err != nil || string(res.Stdout) != text {
				t.Errorf("%+v, %v", res, err)
			}
			res, err = sb.Run(t.Context(), kavach.Cmd{Args: []string{"/modules/tool.wasm", "sort", "1000"}})
			if err != nil || res.ExitCode != 0 {
				t.Errorf("%+v, %v", res, err)
			}
		})
	}
	all.Wait()
}

// TestDestroyDuring: a sandbox ends whatever is going on in it, and nothing is left.
func TestDestroyDuring(t *testing.T) {
	run(t, sandbox(t, nil), kavach.Cmd{Args: []string{"empty"}})
	count := func() int { entries, _ := os.ReadDir("/proc/self/fd"); return len(entries) }
	fds, goroutines := count(), runtime.NumGoroutine()
	b := newBackend(t)
	for n := range 12 {
		sb, err := create(t, b, strict(t))
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				for {
					if _, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"/modules/empty.wasm"}}); err != nil {
						return
					}
				}
			})
		}
		all.Go(func() {
			for {
				p, err := sb.Load(t.Context(), library(t))
				if err != nil {
					return
				}
				_, _ = p.Call(t.Context(), "count")
				_, _ = p.Close(t.Context()) // or the sandbox is gone
			}
		})
		time.Sleep(time.Duration(n) * 3 * time.Millisecond)
		if err := sb.Destroy(context.Background()); err != nil {
			t.Error(err)
		}
		all.Wait()
	}
	if !testclock.Until(patience, func() bool { return runtime.NumGoroutine() <= goroutines+2 }) {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), goroutines, buf[:runtime.Stack(buf, true)])
	}
	if !testclock.Until(patience, func() bool { runtime.GC(); return count() <= fds+2 }) {
		t.Errorf("%d descriptors, %d before", count(), fds)
	}
}

// TestCycles: nothing grows.
func TestCycles(t *testing.T) {
	const cycles = 40
	count := func() int { entries, _ := os.ReadDir("/proc/self/fd"); return len(entries) }
	b := newBackend(t)
	once := func() {
		sb, err := create(t, b, strict(t))
		if err != nil {
			t.Fatal(err)
		}
		run(t, sb, kavach.Cmd{Args: []string{"empty"}})
		if err := sb.Destroy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	once()
	before := count()
	for range cycles {
		once()
	}
	if !testclock.Until(patience, func() bool { return count() <= before+2 }) {
		t.Errorf("%d descriptors after %d cycles, %d before", count(), cycles, before)
	}
}

// TestCancelled: whoever does not want it any more does not wait for it.
func TestCancelled(t *testing.T) {
	sb := sandbox(t, nil)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := sb.Start(gone, kavach.Cmd{Args: []string{"/modules/empty.wasm"}}); err == nil {
		t.Error("it was started")
	}
	if _, err := sb.Load(gone, library(t)); err == nil {
		t.Error("it was loaded")
	}
	b := newBackend(t)
	b.Cache = testbin.TempDir(t) // nothing is compiled there
	cold, err := create(t, b, strict(t))
	if err != nil {
		t.Fatal(err)
	}
	soon, cancelSoon := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancelSoon()
	if _, err := cold.Start(soon, kavach.Cmd{Args: []string{"/modules/gofmt.wasm"}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while it is compiled: %v", err)
	}
	if res := run(t, sb, kavach.Cmd{Args: []string{"empty"}}); res.ExitCode != 0 {
		t.Errorf("%+v", res)
	}
}
