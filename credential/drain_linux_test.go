package credential

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// What a command has not read of a pipe is gone when it is taken back, also where
// something that it left behind writes into the pipe, and for who has it open still.
func TestDrain(t *testing.T) {
	for _, flooded := range []bool{false, true} {
		value := make([]byte, backend.MaxSecret)
		set, err := Open(Options{Policy: new(policy.Policy), Refs: []Ref{ref("a", "fd:3", fixed(value))}})
		if err != nil {
			t.Fatal(err)
		}
		cmd := new(backend.Cmd)
		lease, err := set.Attach(t.Context(), Command{Cmd: cmd})
		if err != nil {
			t.Fatal(err)
		}
		fd, err := strconv.Atoi(dup(t, cmd.Files[0].File))
		if err != nil {
			t.Fatal(err)
		}
		behind := os.NewFile(uintptr(fd), "what the command left behind has")
		one := make([]byte, 1)
		if _, err := io.ReadFull(behind, one); err != nil {
			t.Fatalf("%v, and so this test shows nothing", err)
		}
		var w *os.File
		ended := make(chan struct{})
		if flooded {
			if w, err = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", fd), os.O_WRONLY|unix.O_NONBLOCK, 0); err != nil {
				t.Fatal(err)
			}
			go func() {
				defer close(ended)
				for err := error(nil); err == nil; {
					_, err = w.Write(value)
				}
			}()
		}
		if err := lease.Revoke(); err != nil {
			t.Error(err)
		}
		if flooded {
			w.Close()
			<-ended
		} else if rest, err := io.ReadAll(behind); len(rest) != 0 || err != nil {
			t.Errorf("%d bytes are left, %v", len(rest), err)
		}
		behind.Close()
	}
}
