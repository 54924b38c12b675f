package main

import (
	"errors"
	"os"
	"os/exec"
	"runtime"

	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/policy"
)

// seccompFD is the descriptor that bwrap reads its filter from: the first that
// is not stdio.
const seccompFD = "3"

// bwrapFlags are the flags with which people use bubblewrap in the place of
// nsjail: all namespaces, no capability, no environment, and a root of its own
// with the system directories and a private /tmp.
func bwrapFlags() []string {
	args := []string{"--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"}
	return append(append(args, systemDirs()...), "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp")
}

// systemDirs are options that show the system directories of the host.
func systemDirs() (args []string) {
	for _, dir := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"} {
		if target, err := os.Readlink(dir); err == nil {
			args = append(args, "--symlink", target, dir)
		} else if _, err := os.Stat(dir); err == nil {
			args = append(args, "--ro-bind", dir, dir)
		}
	}
	return args
}

// filtered makes a row of bwrap with bwrapFlags and the filter of our profile
// strict, which refuses with an errno, as nobody listens.
func (s *spawner) filtered(r row) *row {
	path, err := exec.LookPath("bwrap")
	if err != nil {
		r.missing = notInstalled
		return &r
	}
	filter, err := filterFile()
	if err != nil {
		r.missing = err.Error()
		return &r
	}
	s.files = append(s.files, filter)
	args := append([]string{path, "--seccomp", seccompFD}, bwrapFlags()...)
	r.once = s.reading(filter, append(args, truePath)...)
	return &r
}

// filterFile is a file with the filter that has no name any more.
func filterFile() (_ *os.File, err error) {
	program, err := seccomp.Compile(policy.SeccompStrict, seccomp.Options{Arch: runtime.GOARCH})
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp("", "kavach-bench-filter-")
	if err != nil {
		return nil, err
	}
	_, err = f.Write(seccomp.Marshal(program))
	if err = errors.Join(err, os.Remove(f.Name())); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// bwrapAlike are options that make bubblewrap build much the same place as
// Kavach's host root: a root of its own, the system directories, a small /etc,
// /tmp and /dev/shm on tmpfs, parts of /proc hidden or read-only. It has no
// seccomp filter, Landlock domain, cgroup or proof, and its root is writable.
func bwrapAlike() []string {
	args := []string{
		"--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL", "--hostname", "kavach",
	}
	args = append(args, systemDirs()...)
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
