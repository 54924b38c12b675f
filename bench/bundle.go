package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// bundle is a root directory of a static busybox, for all sides, and the
// directories of a bare runtime around it.
type bundle struct {
	dir     string
	busybox string // why there is none; empty: there is
}

// Where things are in it.
const (
	bundleRootfs = "rootfs"
	bundleState  = "state"
)

// Programs of the root directory.
const (
	insideTrue  = "/bin/true"
	insideEcho  = "/bin/echo" // without arguments it prints one byte
	insideSleep = "/bin/sleep"
)

// newBundle makes the root directory. A configuration is made for each command.
func newBundle() (_ *bundle, err error) {
	b := &bundle{}
	if b.dir, err = os.MkdirTemp("", "kavach-bench-bundle-"); err != nil {
		return nil, err
	}
	if err := b.fill(); err != nil {
		return nil, errors.Join(err, b.remove())
	}
	return b, nil
}

func (b *bundle) fill() error {
	root := b.rootfs()
	for _, dir := range []string{"bin", "dev", "etc", "proc", "run", "sys", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	path, err := exec.LookPath("busybox")
	if err != nil {
		b.busybox = "busybox is " + notInstalled
		return nil
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, "bin/busybox"), program, 0o755); err != nil {
		return err
	}
	for _, applet := range []string{insideTrue, insideEcho, insideSleep, "/bin/sh"} {
		if err := os.Symlink("busybox", filepath.Join(root, applet)); err != nil {
			return err
		}
	}
	// One that is linked dynamically finds no loader in there.
	if out, err := exec.Command(filepath.Join(root, insideTrue)).CombinedOutput(); err != nil {
		return fmt.Errorf("busybox true: %w: %s", err, out)
	}
	return nil
}

func (b *bundle) rootfs() string { return filepath.Join(b.dir, bundleRootfs) }

func (b *bundle) remove() error { return os.RemoveAll(b.dir) }

// of makes a bundle of a command, and returns its directory.
func (b *bundle) of(args ...string) (string, error) {
	dir := filepath.Join(b.dir, filepath.Base(args[0]))
	if err := os.Mkdir(dir, 0o755); errors.Is(err, os.ErrExist) {
		return dir, nil
	} else if err != nil {
		return "", err
	}
	config, err := json.Marshal(plainSpec(b.rootfs(), os.Geteuid() == 0, args))
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644)
}

// plainSpec is what "runc spec" writes, but for the message queues, and, for an
// ordinary user, for /sys, which a user namespace is given only where it is whole
// outside, and for the group of terminals, which there is none.
func plainSpec(root string, privileged bool, args []string) *specs.Spec {
	terminals := []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}
	if privileged {
		terminals = append(terminals, "gid=5")
	}
	caps := []string{"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"}
	s := &specs.Spec{
		Version: "1.0.2", Hostname: "bench", Root: &specs.Root{Path: root, Readonly: true},
		Process: &specs.Process{
			Args: args, Env: []string{"PATH=/bin"}, Cwd: "/", NoNewPrivileges: true,
			Capabilities: &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps},
			Rlimits:      []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: 1024, Soft: 1024}},
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: terminals},
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
		},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.IPCNamespace},
				{Type: specs.UTSNamespace}, {Type: specs.MountNamespace},
			},
			MaskedPaths: []string{
				"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
				"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
			},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
	if privileged {
		s.Mounts = append(s.Mounts, specs.Mount{
			Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"},
		})
		s.Linux.Resources = &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}}}
	}
	return s
}
