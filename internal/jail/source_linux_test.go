package jail

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/testclock"
	"github.com/kavach-dev/kavach/policy"
)

// inNamespace runs the calling test again as the root of namespaces of its own,
// where an ordinary user may mount as well, and reports whether this is there.
func inNamespace(t *testing.T) bool {
	t.Helper()
	const mark = "KAVACH_TEST_IN_NAMESPACE"
	if os.Getenv(mark) != "" {
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in namespaces of its own: %v\n%s", err, out)
	}
	return false
}

// race is how long each race is run at least; where it comes to nothing by then,
// for as long as patience.
const race, patience = 300 * time.Millisecond, 30 * time.Second

// swapping swaps two paths, as fast as it can, until the end of the test.
func swapping(t *testing.T, a, b string) {
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
				<-stop
				stopped <- err
				return
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

// CONTAINMENT 3: what a mount means is found out once; when it is opened, it is
// that, or nothing (CVE-2021-30465).
func TestSwappedSource(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	for _, row := range []struct {
		name string
		swap func(dir string) (a, b string) // two paths in dir, where dir/a/b is the mount
	}{
		{"the directory for a link", func(dir string) (string, string) {
			link(t, filepath.Join(dir, "secret"), filepath.Join(dir, "link"))
			return filepath.Join(dir, "a/b"), filepath.Join(dir, "link")
		}},
		{"its parent for a link", func(dir string) (string, string) {
			link(t, filepath.Join(dir, "decoy"), filepath.Join(dir, "link"))
			return filepath.Join(dir, "a"), filepath.Join(dir, "link")
		}},
		{"the directory for another", func(dir string) (string, string) {
			return filepath.Join(dir, "a/b"), filepath.Join(dir, "secret")
		}},
		{"its parent for another", func(dir string) (string, string) {
			return filepath.Join(dir, "a"), filepath.Join(dir, "decoy")
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, d := range []string{"a/b", "secret", "decoy/b"} {
				if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, "a/b")
			s, err := resolve(policy.Mount{Source: path})
			if err != nil {
				t.Fatal(err)
			}
			a, b := row.swap(dir)
			swapping(t, a, b)
			opened, refused := 0, 0
			for w := testclock.Start(); w.Ran() < race || refused == 0 && w.Ran() < patience; {
				op := s.op(guest.OpBind, false)
				switch ours, err := isSource(s, func() (int, error) { return guest.CloneTree(&op) }); {
				case errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ESTALE) || errors.Is(err, unix.ENOENT):
					refused++
				case err != nil:
					t.Fatal(err)
				case !ours:
					t.Fatal("something else was opened")
				default:
					opened++
				}
			}
			if refused == 0 {
				t.Errorf("the swap was never seen, %d times", opened)
			}
			// The twin: opened by path alone, it is the other sooner or later.
			for w := testclock.Start(); ; {
				ours, err := isSource(s, func() (int, error) {
					return unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
				})
				if err != nil && err != unix.ENOENT {
					t.Fatal(err)
				}
				if err == nil && !ours {
					break
				}
				if w.Ran() > patience {
					t.Fatal("opened by path, it never is another, so this proves nothing")
				}
			}
		})
	}
}

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

// isSource opens a tree and looks whether it is the source.
func isSource(s source, open func() (int, error)) (bool, error) {
	fd, err := open()
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return st.Dev == s.dev && st.Ino == s.ino, err
}

// CONTAINMENT 8: the program that the guest runs cannot be written to by way of
// it, also when nobody runs it (CVE-2019-5736).
func TestGuestProgramIsReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	for _, row := range []struct {
		name string
		root bool
		take func(src *os.File) (*os.File, error)
		want error // nil: it is the twin
	}{
		{"a sealed copy", false, func(src *os.File) (*os.File, error) { return copySealed(src, 4) }, unix.EPERM},
		{"a copy without seals", false, func(*os.File) (*os.File, error) {
			fd, err := unix.MemfdCreate("unsealed", unix.MFD_CLOEXEC)
			if err != nil {
				return nil, err
			}
			f := os.NewFile(uintptr(fd), "unsealed")
			_, err = f.WriteString("code")
			return f, err
		}, nil},
		{"a read-only mount", true, mountReadonly, unix.EROFS},
		{"the file itself", false, func(src *os.File) (*os.File, error) { return os.Open(src.Name()) }, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.root && os.Geteuid() != 0 {
				t.Log("only root takes it so")
				return
			}
			if err := os.WriteFile(path, []byte("code"), 0o755); err != nil {
				t.Fatal(err)
			}
			src, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			program, err := row.take(src)
			if err != nil {
				t.Fatal(err)
			}
			defer program.Close()
			if err := writeThrough(program); !errors.Is(err, row.want) || (err == nil) != (row.want == nil) {
				t.Errorf("write through /proc/self/fd: %v, want %v", err, row.want)
			}
			b, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", program.Fd()))
			if changed := string(b) != "code"; err != nil || changed != (row.want == nil) {
				t.Errorf("it holds %q (%v)", b, err)
			}
		})
	}
}

// writeThrough opens a descriptor again for writing, as /proc/PID/exe would be.
func writeThrough(f *os.File) error {
	w, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = w.WriteString("evil")
	return errors.Join(err, w.Close())
}
