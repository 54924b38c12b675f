package credential

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/kavach-dev/kavach/backend"
)

// leaves is the variable that makes this program a helper that joins the process group
// of what it has started, writes a file to say so, and does not end.
const leaves = "KAVACH_TEST_LEAVES_GROUP"

func TestMain(m *testing.M) {
	if marker := os.Getenv(leaves); marker != "" {
		if err := leaveGroup(marker); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func leaveGroup(marker string) error {
	other := exec.Command("sleep", "1000")
	other.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := other.Start(); err != nil {
		return err
	}
	if err := syscall.Setpgid(0, other.Process.Pid); err != nil {
		return err
	}
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		return err
	}
	return other.Wait()
}

// One that has left the process group that it was started in is ended as well.
func TestHelperLeavesItsGroup(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	marker := filepath.Join(t.TempDir(), "left")
	go func() {
		for _, err := os.Stat(marker); err != nil && ctx.Err() == nil; _, err = os.Stat(marker) {
		}
		cancel()
	}()
	into := make([]byte, backend.MaxSecret+1)
	if _, err := readHelper(ctx, script(t, "leaves", leaves+"="+marker+" exec "+self), "a-name", into); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	cancel()
	if _, err := os.Stat(marker); err != nil {
		t.Errorf("%v: it has not left its group, and this test shows nothing", err)
	}
}
