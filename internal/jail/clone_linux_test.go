package jail

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// The guest is cloned in this program's memory: what the kernel changes of that
// must be put back.
func TestCloneLeavesTheProgramDumpable(t *testing.T) {
	before, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil || before != 1 {
		t.Fatalf("dumpable is %d, %v", before, err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 3 {
				startAndClose(t)
			}
		})
	}
	wg.Wait()
	if after, _ := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); after != 1 {
		t.Errorf("dumpable is %d now", after)
	}
}

// A clone must not wait for another thread of this program: here all of them are
// stopped, over and over, by what stops the world until each has answered.
func TestCloneWhileTheWorldIsStopped(t *testing.T) {
	if _, _, err := syscall.AllThreadsSyscall(unix.SYS_GETPPID, 0, 0, 0); err == unix.ENOTSUP {
		t.Log("this build links cgo, with which the runtime cannot do that")
		return
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_, _, _ = syscall.AllThreadsSyscall(unix.SYS_GETPPID, 0, 0, 0)
				runtime.GC()
			}
		}
	})
	for range 20 {
		startAndClose(t)
	}
	close(stop)
	wg.Wait()
}

// Whatever fails is said by its step, and leaves nobody behind.
func TestCloneFails(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	for _, tt := range []struct {
		why   string
		clone guestClone
		want  string
	}{
		{"it cannot be executed", guestClone{program: null}, "exec: permission denied"},
		{"ids that are not the caller's to give", guestClone{program: self, flags: unix.CLONE_NEWUSER, ids: &idMaps{hostUID: -1}}, "map ids: invalid argument"},
		{"flags that the kernel does not take together", guestClone{program: self, flags: unix.CLONE_NEWUSER | unix.CLONE_FS}, "clone into new namespaces: invalid argument"},
	} {
		tt.clone.args, tt.clone.files = []string{"x"}, []*os.File{null}
		_, err := tt.clone.clone()
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.why, err, tt.want)
		}
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); !errors.Is(err, unix.ECHILD) {
		t.Errorf("a child is left: %v", err)
	}
}

// startAndClose makes a jail with a real guest, and closes it.
func startAndClose(t *testing.T) {
	t.Helper()
	j, err := Start(t.Context(), Config{
		ID: fmt.Sprintf("%016x", rand.Uint64()), Backend: "test", Guest: testbin.Kavach(t),
		UID: os.Geteuid(), GID: os.Getegid(), Root: policy.RootHost, Scratch: 1 << 20,
		Memory: policy.Unlimited, PIDs: policy.Unlimited, CPUs: policy.Unlimited,
	})
	if err != nil {
		t.Error(err)
		return
	}
	if err := j.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
