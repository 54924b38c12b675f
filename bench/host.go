package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// truePath is the program of the host that does nothing.
const truePath = "/bin/true"

// spawner starts programs on the host with as little of our own as Go allows:
// no pipe, no goroutine, stdio on one descriptor of /dev/null.
type spawner struct{ null *os.File }

func newSpawner() (*spawner, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	return &spawner{null}, err
}

// command returns what runs argv once, timed from before the fork until the
// end of the program is known. Argv[0] is a path.
func (s *spawner) command(argv ...string) func(*watch) error {
	attr := &os.ProcAttr{Env: []string{"PATH=" + os.Getenv("PATH")}, Files: []*os.File{s.null, s.null, s.null}}
	return func(w *watch) error {
		return w.time(func() error {
			p, err := os.StartProcess(argv[0], argv, attr)
			if err != nil {
				return err
			}
			state, err := p.Wait()
			if err == nil && !state.Success() {
				err = fmt.Errorf("%s: %v", filepath.Base(argv[0]), state)
			}
			return err
		})
	}
}

// collected runs a program as most callers of os/exec do: its output is read
// from pipes, as a sandbox's is.
func collected(path string) func(*watch) error {
	return func(w *watch) error {
		return w.time(func() error {
			var out, errs writer
			cmd := exec.Command(path)
			cmd.Stdout, cmd.Stderr = &out, &errs
			return cmd.Run()
		})
	}
}

// writer counts what it is given.
type writer struct{ n int }

func (w *writer) Write(b []byte) (int, error) {
	w.n += len(b)
	return len(b), nil
}

// peer makes a row of a program of the host that may not be installed.
func (s *spawner) peer(r row, name string, args ...string) *row {
	path, err := exec.LookPath(name)
	if err != nil {
		r.missing = notInstalled
		return &r
	}
	r.once = s.command(append([]string{path}, args...)...)
	return &r
}

const notInstalled = "not installed"

// bwrapAlike are options that make bubblewrap build much the same place as
// Kavach's host root: a root of its own, the system directories, a small /etc,
// /tmp and /dev/shm on tmpfs, parts of /proc hidden or read-only. It has no
// seccomp filter, Landlock domain, cgroup or proof, and its root is writable.
func bwrapAlike() []string {
	args := []string{
		"--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL", "--hostname", "kavach",
	}
	for _, dir := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"} {
		if target, err := os.Readlink(dir); err == nil {
			args = append(args, "--symlink", target, dir)
		} else if _, err := os.Stat(dir); err == nil {
			args = append(args, "--ro-bind", dir, dir)
		}
	}
	for _, path := range []string{
		"/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime",
		"/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates", "/etc/mime.types", "/etc/services", "/etc/protocols",
		"/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf",
	} {
		args = append(args, "--ro-bind-try", path, path)
	}
	args = append(args, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/dev/shm", "--dir", "/var", "--dir", "/run")
	for _, path := range []string{
		"/proc/acpi", "/proc/interrupts", "/proc/kallsyms", "/proc/kcore", "/proc/key-users", "/proc/keys", "/proc/kmsg",
		"/proc/kpagecgroup", "/proc/kpagecount", "/proc/kpageflags", "/proc/modules", "/proc/slabinfo", "/proc/timer_list",
		"/proc/vmallocinfo",
	} {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			args = append(args, "--tmpfs", path)
		} else if err == nil {
			args = append(args, "--ro-bind", os.DevNull, path)
		}
	}
	return args
}
