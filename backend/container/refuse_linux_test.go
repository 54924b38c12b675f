package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/cgroup"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// leftovers lists what there still is of a sandbox: cgroups, and its record.
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

// ownChildren are those of this process.
func ownChildren(t testing.TB) (pids []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, _ := os.ReadFile(file) // a thread may have ended
		pids = append(pids, strings.Fields(string(b))...)
	}
	return pids
}

// bestEffort may miss what this user cannot have.
func bestEffort(t testing.TB) policy.Policy {
	p := strict(t)
	if os.Geteuid() != 0 {
		p.BestEffort = []policy.Control{policy.Limits}
	}
	return p
}

// TestRuntimeFails: a runtime that does not do its work is named, with what it
// printed, and nothing is left behind.
func TestRuntimeFails(t *testing.T) {
	const call = `case "$3" in run) ;; *) exit 0;; esac; `
	for _, tt := range []struct{ name, text, want string }{
		{"fails", call + "echo no such namespace >&2; exit 3", "run: exit status 3; it printed: no such namespace"},
		{"fails and floods", call + "i=0; while [ $i -lt 20000 ]; do echo 01234567890123456789; i=$((i+1)); done; echo last >&2; exit 1", "last"},
		{"is killed", call + "kill -9 $$", "run: killed; it printed nothing"},
		{"hangs", call + "echo waiting for nobody >&2; sleep 1000", "did not start a container within 3s; it printed: waiting for nobody"},
		{"leaves a process that holds the channel", call + "sleep 1000 & exit 0", "did not start a container within 3s; it printed nothing"},
		{"says that it did", call + "exit 0", "run did not bring up the guest in a container"},
		{"runs the guest without a container", call + "exec /proc/self/fd/4 kavach-guest", "run did not end within 3s"},
		{"runs it beside", call + "/proc/self/fd/4 kavach-guest & exit 0", "in its pid file: open " + pidFile + " of the keeper: no such file"},
		{"runs it beside, and says so", call + "/proc/self/fd/4 kavach-guest & echo $! >" + pidFile, "is its container's, and the guest is process ["},
		{"says which process by a link", call + "/proc/self/fd/4 kavach-guest & ln -s /proc/sys/kernel/random/entropy_avail " + pidFile, "too many levels of symbolic links"},
		{"says it by a pipe that nobody writes to", call + "/proc/self/fd/4 kavach-guest & mkfifo " + pidFile, "of the keeper is no file"},
		{"says something else", call + "/proc/self/fd/4 kavach-guest & echo all of them >" + pidFile, `parsing "all of them"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := ownChildren(t)
			b := &Backend{Guest: testbin.Kavach(t), Runtime: script(t, "runtime", tt.text), patience: 3 * time.Second}
			id := fmt.Sprintf("%016x", time.Now().UnixNano())
			i, err := b.Create(t.Context(), backend.Spec{ID: id, Policy: bestEffort(t)})
			if err == nil {
				_ = i.Destroy(context.Background())
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want %q, in one line", err, tt.want)
			}
			if left := leftovers(id); left != nil {
				t.Errorf("left: %v", left)
			}
			if now := ownChildren(t); !slices.Equal(now, before) {
				t.Errorf("processes %v, before %v", now, before)
			}
		})
	}
}

// TestWrongIDs: a runtime that needs a uid 0 which an ordinary user cannot give
// is refused, with what to do, which helps.
func TestWrongIDs(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("root has ids for all")
		return
	}
	runc := &Backend{Guest: testbin.Kavach(t), Runtime: runtimes(t)["runc"]}
	p := bestEffort(t)
	var unsupported *backend.UnsupportedError
	if _, err := create(t, runc, p); !errors.As(err, &unsupported) || unsupported.Control != policy.NSUser || !strings.Contains(unsupported.Fix, "--user 0") {
		t.Errorf("as %d: %v", os.Geteuid(), err)
	}
	p.Process.User = "0:0"
	if _, err := create(t, runc, p); err != nil {
		t.Errorf("as 0: %v", err)
	}
}

// TestTooLittleMemory: the runtime's memory is the sandbox's.
func TestTooLittleMemory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("an ordinary user has no cgroup here")
		return
	}
	for name, path := range runtimes(t) {
		p := strict(t)
		p.Resources.Memory = 16 << 20 // the least that a policy may ask for
		_, err := create(t, &Backend{Guest: testbin.Kavach(t), Runtime: path}, p)
		if err != nil && (!strings.Contains(err.Error(), "out of memory") || errors.Is(err, errors.ErrUnsupported)) {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %v", name, err)
	}
	greedy := script(t, "runtime", "exec /usr/bin/python3 -c 'x = bytearray(64 << 20)'")
	p := strict(t)
	p.Resources.Memory = 32 << 20
	if _, err := create(t, &Backend{Guest: testbin.Kavach(t), Runtime: greedy}, p); err == nil || !strings.Contains(err.Error(), "out of memory") || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a greedy runtime: %v", err)
	}
}

// TestNextRuntime: where a runtime cannot, the next one is tried, and that is
// said.
func TestNextRuntime(t *testing.T) {
	broken := script(t, "crun", "exit 1")
	t.Setenv("PATH", filepath.Dir(broken)+":"+filepath.Dir(runtimes(t)["runc"]))
	b := &Backend{Guest: testbin.Kavach(t)}
	p := bestEffort(t)
	p.Process.User = "0:0"
	i, err := b.Create(t.Context(), backend.Spec{ID: fmt.Sprintf("%016x", time.Now().UnixNano()), Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := i.Destroy(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	notes := strings.Join(i.(backend.Noted).Notes(), "\n")
	if !strings.Contains(notes, broken+" was tried first") {
		t.Errorf("notes: %s", notes)
	}
}
