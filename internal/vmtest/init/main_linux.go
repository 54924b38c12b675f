// Command init is PID 1 of the guest in which tests run on another kernel
// (package vmtest). It makes of an initrd a system that tests can run on, runs
// them, says on the console what came of each, and switches the guest off.
//
// What this package does not protect: it is for tests.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// plan and run are those of package vmtest.
type plan struct {
	Modules []string
	Runs    []run
}

type run struct{ Name, Package, Run, Skip, As string }

const ordinary = 65534 // the uid and gid of an ordinary user

func main() {
	result := "passed"
	if err := work(); err != nil {
		result = "failed"
		fmt.Println("vmtest:", err)
	}
	fmt.Println("vmtest: end:", result)
	time.Sleep(100 * time.Millisecond) // for the console to drain
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}

func work() error {
	if err := system(); err != nil {
		return err
	}
	fmt.Println("vmtest: up")
	content, err := os.ReadFile("/plan.json")
	if err != nil {
		return err
	}
	var p plan
	if err := json.Unmarshal(content, &p); err != nil {
		return err
	}
	for _, module := range p.Modules {
		if err := load(module); err != nil {
			return err
		}
	}
	if err := temporary(); err != nil {
		return err
	}
	var errs []error
	for _, r := range p.Runs {
		start := time.Now()
		err := test(r)
		fmt.Printf("vmtest: %s: %v (%v)\n", r.Name, verdict(err), time.Since(start).Round(time.Second))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func verdict(err error) string {
	if err != nil {
		return "FAIL " + err.Error()
	}
	return "ok"
}

// system mounts what a system has. The first file system cannot be left by
// pivot_root(2); a bind mount of it, moved over it, can.
func system() error {
	for _, step := range []func() error{
		func() error { return unix.Mount("/", "/mnt", "", unix.MS_BIND, "") },
		func() error { return unix.Chdir("/mnt") },
		func() error { return unix.Mount("/mnt", "/", "", unix.MS_MOVE, "") },
		func() error { return unix.Chroot(".") },
		func() error { return unix.Chdir("/") },
		func() error { return mount("proc", "/proc") },
		func() error { return mount("sysfs", "/sys") },
		func() error { return mount("devtmpfs", "/dev") },
		console,
		func() error { return os.MkdirAll("/dev/pts", 0o755) },
		func() error { return mount("devpts", "/dev/pts") },
		func() error { return os.MkdirAll("/dev/shm", 0o755) },
		func() error { return mount("tmpfs", "/dev/shm") },
		func() error { return mount("tmpfs", "/run") },
		func() error { return mount("cgroup2", "/sys/fs/cgroup") },
		func() error { return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1024, Max: 1 << 19}) }, // as systemd does
		func() error { return exec.Command("/bin/busybox", "--install", "-s", "/bin").Run() },
		func() error { return os.Symlink("/bin/env", "/usr/bin/env") },
		func() error { return exec.Command("/bin/ip", "link", "set", "lo", "up").Run() },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func mount(fstype, at string) error {
	if err := unix.Mount(fstype, at, fstype, 0, ""); err != nil {
		return fmt.Errorf("mount %s: %w", at, err)
	}
	return nil
}

// console makes the console the three descriptors that the kernel gave none of.
func console() error {
	fd, err := unix.Open("/dev/console", unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	for std := range 3 {
		if err := unix.Dup3(fd, std, 0); err != nil && fd != std {
			return err
		}
	}
	return nil
}

func load(module string) error {
	f, err := os.Open(module)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && err != unix.EEXIST {
		return fmt.Errorf("load %s: %w", module, err)
	}
	return nil
}

// temporary mounts the disk on /tmp.
func temporary() error {
	for range 100 { // its driver finds the disk some time after it was loaded
		if _, err := os.Stat("/dev/vda"); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := unix.Mount("/dev/vda", "/tmp", "ext4", 0, ""); err != nil {
		return fmt.Errorf("mount /tmp: %w", err)
	}
	return os.Chmod("/tmp", 0o777|os.ModeSticky)
}

func test(r run) error {
	home, err := os.MkdirTemp("", "home")
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	if err := os.Chmod(home, 0o755); err != nil { // sandboxes run as others
		return err
	}
	args := []string{"-test.v", "-test.count=1"}
	if r.Run != "" {
		args = append(args, "-test.run="+r.Run)
	}
	if r.Skip != "" {
		args = append(args, "-test.skip="+r.Skip)
	}
	cmd := exec.Command("./pkg.test", args...)
	cmd.Dir = filepath.Join("/tests", r.Package)
	cmd.Env = []string{
		"PATH=/usr/bin:/bin", "CI=true", "HOME=" + home, "TMPDIR=" + home, "KAVACH_TEST_VM=1",
		"KAVACH_TEST_BIN=/usr/bin/kavach", "KAVACH_TEST_ATTACK=/usr/bin/attack",
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = new(syscall.SysProcAttr)
	if r.As != "user" {
		cmd.Env = append(cmd.Env, "KAVACH_TEST_CGROUP=1") // limits must be enforced
	}
	if r.As == "root" {
		return cmd.Run()
	}
	if err := os.Chown(home, ordinary, ordinary); err != nil {
		return err
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: ordinary, Gid: ordinary}
	if r.As != "delegated" {
		return cmd.Run()
	}
	return delegated(cmd)
}

// delegated runs a command in a cgroup that is the ordinary user's, made as
// systemd makes one for a scope with Delegate=yes.
func delegated(cmd *exec.Cmd) error {
	const tree, above = "/sys/fs/cgroup", "/sys/fs/cgroup/user"
	if err := os.MkdirAll(above, 0o755); err != nil {
		return err
	}
	own, err := os.MkdirTemp(above, "delegated") // the last one gives controllers away by now
	if err != nil {
		return err
	}
	for _, dir := range []string{tree, above} {
		const controllers = "+cpu +io +memory +pids"
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte(controllers), 0); err != nil {
			return err
		}
	}
	for _, name := range []string{"", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"} {
		if err := os.Chown(filepath.Join(own, name), ordinary, ordinary); err != nil {
			return err
		}
	}
	dir, err := os.Open(own)
	if err != nil {
		return err
	}
	defer dir.Close()
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	return cmd.Run()
}
