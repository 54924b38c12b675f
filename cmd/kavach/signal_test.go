package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/internal/testclock"
)

// patience is how long a kavach that a test starts may live.
const patience = 2 * time.Minute

// startKavach starts kavach run and returns when the command has said "ready".
func startKavach(t *testing.T, args ...string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(kavachPath(t), args...)
	cmd.Dir = t.TempDir()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	hurry := func() {
		_ = cmd.Process.Kill() // it may be gone
		stdout.Close()         // what it left behind may hold the other end
	}
	stop := testclock.AfterFunc(patience, hurry)
	t.Cleanup(func() { stop(); hurry() })
	r := bufio.NewReader(stdout)
	if line, err := r.ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the command said %q, %v", line, err)
	}
	return cmd, r
}

// exitCode waits for kavach, for no longer than patience.
func exitCode(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	defer testclock.AfterFunc(patience, func() { _ = cmd.Process.Signal(syscall.SIGABRT) })()
	err := cmd.Wait()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

func TestSignals(t *testing.T) {
	tests := []struct {
		script string
		send   []syscall.Signal
		want   int
		output string
		why    string
	}{
		{`trap 'echo int; exit 5' INT; echo ready; while :; do sleep .05; done`, []syscall.Signal{syscall.SIGINT}, 5, "int\n",
			"the command is passed SIGINT, and its exit code is its own"},
		{`trap 'echo term; exit 6' TERM; echo ready; while :; do sleep .05; done`, []syscall.Signal{syscall.SIGTERM}, 6, "term\n",
			"the same for SIGTERM"},
		{`trap 'echo hup; exit 7' HUP; echo ready; while :; do sleep .05; done`, []syscall.Signal{syscall.SIGHUP}, 7, "hup\n",
			"the same for SIGHUP"},
		{`echo ready; sleep 60`, []syscall.Signal{syscall.SIGTERM}, 143, "",
			"a command that does not mind the signal ends by it, with all its process group"},
		{`trap 'echo int' INT; trap '' TERM; echo ready; while :; do sleep .05; done`, []syscall.Signal{syscall.SIGINT, syscall.SIGTERM}, 143, "int\n",
			"the second signal within a second kills a command that ends by neither"},
		{`trap '' TERM; echo ready; while :; do sleep 1; done`, []syscall.Signal{syscall.SIGTERM}, 143, "",
			"a command that ignores the signal is killed after a while"},
	}
	for _, backend := range []string{"process", "noop"} {
		for _, tt := range tests {
			t.Run(backend+"/"+tt.why, func(t *testing.T) {
				t.Parallel()
				cmd, r := startKavach(t, "run", "--backend", backend, "--", "sh", "-c", tt.script)
				var output string
				for i, sig := range tt.send {
					if i > 0 { // two of them at once may come in any order
						line, err := r.ReadString('\n')
						if err != nil {
							t.Fatal(err)
						}
						output = line
					}
					if err := cmd.Process.Signal(sig); err != nil {
						t.Fatal(err)
					}
				}
				rest, err := io.ReadAll(r)
				if output += string(rest); err != nil || output != tt.output {
					t.Errorf("output %q, %v, want %q", output, err, tt.output)
				}
				if got := exitCode(t, cmd); got != tt.want {
					t.Errorf("exit code %d, want %d", got, tt.want)
				}
			})
		}
	}
}

// A reader that is there and does not read must not keep the sandbox alive.
func TestStopWhileNobodyReads(t *testing.T) {
	t.Parallel()
	cmd, _ := startKavach(t, "run", "--", "sh", "-c", "echo ready; yes")
	time.Sleep(200 * time.Millisecond) // the pipe is full by then
	for range 2 {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if got := exitCode(t, cmd); got != 128+int(syscall.SIGTERM) {
		t.Errorf("exit code %d, want %d", got, 128+int(syscall.SIGTERM))
	}
}

// A stdin that nobody ends must not keep kavach from ending.
func TestEndsWhileStdinIsOpen(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(kavachPath(t), "run", "-i", "--", "true")
	cmd.Dir = t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	cmd.Stdin = r
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if got := exitCode(t, cmd); got != 0 {
		t.Errorf("exit code %d, want 0", got)
	}
}

// What was ignored when kavach started stays ignored: nohup works.
func TestIgnoredSignalStaysIgnored(t *testing.T) {
	t.Parallel()
	const script = `trap '' HUP; "$0" run -- sh -c 'sleep .5; exit 9' & sleep .2; kill -HUP $!; wait $!`
	cmd := exec.Command("sh", "-c", script, kavachPath(t))
	cmd.Dir = t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if got := exitCode(t, cmd); got != 9 {
		t.Errorf("exit code %d, want 9", got)
	}
}

// ps lists a sandbox while it is there; when its owner is killed, clean removes
// what is left of it.
func TestPSAndClean(t *testing.T) {
	t.Parallel()
	cmd, _ := startKavach(t, "run", "--", "sh", "-c", "echo ready; sleep 60")
	sandbox := sandboxOf(t, cmd.Process.Pid)
	if sandbox == nil {
		t.Fatal("kavach ps --json does not list it")
	}
	if sandbox.State != "running" || sandbox.Backend != "process" || sandbox.Guest == 0 {
		t.Errorf("kavach ps --json: %+v", sandbox)
	}
	if text := kavachSays(t, "ps"); !strings.HasPrefix(text, "ID ") || !strings.Contains(text, sandbox.ID) {
		t.Errorf("kavach ps: %s", text)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	exitCode(t, cmd)
	// What it removed depends on who was first: each kavach that starts sweeps.
	kavachSays(t, "clean")
	kavachSays(t, "clean", "--json")
	if left := sandboxOf(t, cmd.Process.Pid); left != nil {
		t.Errorf("on record still: %+v", left)
	}
	// It is nobody's child now; a machine's init may be slow to bury it.
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", sandbox.Guest))
	if err == nil && !strings.Contains(string(stat), ") Z ") {
		t.Errorf("the guest is there still: %s", stat)
	}
}

// sandboxOf is what ps lists for an owner, or nil.
func sandboxOf(t *testing.T, owner int) *listed {
	t.Helper()
	var list []listed
	if err := json.Unmarshal([]byte(kavachSays(t, "ps", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		if s.Owner == owner {
			return &s
		}
	}
	return nil
}

func kavachSays(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(kavachPath(t), args...).Output()
	if err != nil {
		t.Fatalf("kavach %v: %v", args, err)
	}
	return string(out)
}
