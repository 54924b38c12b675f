package seccomp

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A filter cannot be taken off again: whatever runs under one is the test
// binary, started again with these variables.
const (
	envFilter = "KAVACH_TEST_SECCOMP_FILTER" // default, strict or none
	envDo     = "KAVACH_TEST_SECCOMP_DO"     // a name of attempts; unset: exec the arguments
)

func TestMain(m *testing.M) {
	name := os.Getenv(envFilter)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := underFilter(name); err != nil {
		fmt.Fprintln(os.Stderr, "under the filter:", err)
		os.Exit(1)
	}
}

func underFilter(name string) error {
	os.Unsetenv(envFilter)
	runtime.LockOSThread()
	if name != "none" {
		if err := install(name); err != nil {
			return err
		}
	}
	if do := os.Getenv(envDo); do != "" {
		return attempts[do]()
	}
	path, err := exec.LookPath(os.Args[1])
	if err != nil {
		return err
	}
	return unix.Exec(path, os.Args[1:], os.Environ())
}

func install(name string) error {
	program, err := Compile(name, Options{Arch: runtime.GOARCH})
	if err != nil {
		return err
	}
	// The way to the guest is over bytes.
	if program, err = Unmarshal(Marshal(program)); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	prog := unix.SockFprog{
		Len:    uint16(len(program)),
		Filter: (*unix.SockFilter)(unsafe.Pointer(&program[0])),
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("install a seccomp filter: %w", errno)
	}
	return nil
}

// again prepares the test binary to run args, or attempts, under a filter.
func again(t *testing.T, filter string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), envFilter+"="+filter)
	return cmd
}

// attempts are what a process tries on the real kernel; nil means that all
// went as it does without a filter.
var attempts = map[string]func() error{
	"io_uring": func() error {
		var params [120]byte // sizeof(struct io_uring_params)
		fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)), 0)
		if errno == 0 {
			unix.Close(int(fd))
		}
		return result(errno)
	},
	// unshare(CLONE_NEWUSER) is EINVAL to a process with threads.
	"userns": func() error {
		pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_NEWUSER|unix.CLONE_VFORK|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if errno == 0 && pid == 0 {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
		return result(errno)
	},
	"unshare": func() error { return unix.Unshare(unix.CLONE_NEWUTS) },
	// A structure of no size: EINVAL, if the kernel looks at it.
	"clone3": func() error {
		_, _, errno := unix.Syscall(unix.SYS_CLONE3, 0, 0, 0)
		if errno == unix.EINVAL {
			return nil
		}
		return result(errno)
	},
	"bpf": func() error {
		_, _, errno := unix.Syscall(unix.SYS_BPF, 1<<20, 0, 0)
		if errno == unix.EINVAL {
			return nil
		}
		return result(errno)
	},
	"vsock": func() error {
		_, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)
		return err
	},
	"sctp": func() error {
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP)
		return err
	},
	"raw": func() error {
		_, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
		return err
	},
	"limits": func() error {
		var l unix.Rlimit
		if err := unix.Prlimit(os.Getppid(), unix.RLIMIT_NPROC, nil, &l); err != nil {
			return fmt.Errorf("query: %w", err)
		}
		if err := unix.Prlimit(0, unix.RLIMIT_NPROC, &l, nil); err != nil {
			return fmt.Errorf("one's own: %w", err)
		}
		return unix.Prlimit(os.Getppid(), unix.RLIMIT_NPROC, &l, nil)
	},
	"mknod": func() error {
		dir, err := os.MkdirTemp("", "seccomp")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := unix.Mkfifo(dir+"/pipe", 0o600); err != nil {
			return fmt.Errorf("named pipe: %w", err)
		}
		return unix.Mknod(dir+"/null", unix.S_IFCHR|0o600, int(unix.Mkdev(0, 0)))
	},
	"tiocsti": func() error {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, 0, tiocsti|1<<32, 0)
		if errno == unix.ENOTTY {
			return nil // stdin is no terminal: the kernel came to look
		}
		return result(errno)
	},
	"guest":  guest,
	"orphan": orphan,
}

// orphan makes a refused call when nobody listens any more.
func orphan() error {
	program, err := Compile("default", Options{Arch: runtime.GOARCH, Notify: true})
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: (*unix.SockFilter)(unsafe.Pointer(&program[0]))}
	listener, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return errno
	}
	if err := unix.Close(int(listener)); err != nil {
		return err
	}
	_, _, errno = unix.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
	return result(errno)
}

func result(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// guest does what the guest does after its set-up.
func guest() error {
	done := make(chan error)
	for range 20 { // threads
		go func() {
			runtime.LockOSThread()
			_, err := os.ReadDir("/proc/self/task")
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			return fmt.Errorf("threads: %w", err)
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	w.Close()
	if _, err := unix.Wait4(-1, nil, unix.WALL, nil); !errors.Is(err, unix.ECHILD) {
		return fmt.Errorf("wait4: %w", err)
	}
	if err := unix.Kill(os.Getpid(), 0); err != nil {
		return fmt.Errorf("kill: %w", err)
	}
	if _, err := unix.Getsid(os.Getppid()); err != nil {
		return fmt.Errorf("getsid: %w", err)
	}
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("starting a program: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&header, &make([]unix.CapUserData, 2)[0]); err != nil {
		return fmt.Errorf("dropping capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("dumpable: %w", err)
	}
	return nil
}

func TestKernelRefuses(t *testing.T) {
	for _, row := range []struct {
		do   string
		says string // what the filter answers
		// ways to fail without the filter on a kernel that was built otherwise
		otherwise string
	}{
		{"io_uring", unix.EPERM.Error(), ""},
		{"userns", unix.EPERM.Error(), ""},
		{"unshare", unix.EPERM.Error(), ""},
		{"clone3", unix.ENOSYS.Error(), ""},
		{"bpf", unix.EPERM.Error(), ""},
		{"vsock", unix.EPERM.Error(), unix.EAFNOSUPPORT.Error()},
		{"sctp", unix.EPERM.Error(), unix.EPROTONOSUPPORT.Error()},
		{"raw", unix.EPERM.Error(), ""},
		{"limits", unix.EPERM.Error(), ""},
		{"mknod", unix.EPERM.Error(), ""},
		{"tiocsti", unix.EPERM.Error(), ""},
	} {
		for _, filter := range []string{"none", "default", "strict"} {
			t.Run(row.do+"/"+filter, func(t *testing.T) {
				cmd := again(t, filter)
				cmd.Env = append(cmd.Env, envDo+"="+row.do)
				out, err := cmd.CombinedOutput()
				if filter == "none" {
					if os.Geteuid() != 0 && (row.do == "unshare" || row.do == "raw") {
						return // without a filter, an ordinary user is refused for being one
					}
					if err != nil && (row.otherwise == "" || !strings.Contains(string(out), row.otherwise)) {
						t.Fatalf("fails without a filter: %v\n%s", err, out)
					}
					return
				}
				if err == nil || string(out) != "under the filter: "+row.says+"\n" {
					t.Errorf("%v, %q, want %s", err, out, row.says)
				}
			})
		}
	}
}

// A listener that is gone refuses: closed, not open.
func TestNobodyListens(t *testing.T) {
	cmd := again(t, "none")
	cmd.Env = append(cmd.Env, envDo+"=orphan")
	if out, _ := cmd.CombinedOutput(); string(out) != "under the filter: "+unix.ENOSYS.Error()+"\n" {
		t.Errorf("%q, want %v", out, unix.ENOSYS)
	}
}

func TestGuestWorksUnderTheFilter(t *testing.T) {
	for _, filter := range []string{"none", "default", "strict"} {
		cmd := again(t, filter)
		cmd.Env = append(cmd.Env, envDo+"=guest")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", filter, err, out)
		}
	}
}
