//go:build linux

package backendtest

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// fileRows are CONTAINMENT 1 to 16.
var fileRows = slices.Concat(hostFileRows, movedRows, descriptorRows, mountRows, privilegeRows, procRows, landlockRows, mountRightRows)

// hostFileRows name Landlock because of tests whose temporary directory is not in
// /tmp, which is the sandbox's own and granted.
var hostFileRows = []Row{
	{
		Number: 1, Name: "read a file of the host by its path",
		Why:    "no host path but what was named is visible",
		Layers: []policy.Control{policy.RootPivoted, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("read", e.Secret, e.SecretText)
		},
	},
	{
		Number: 1, Name: "read a file of the host by two dots",
		Why:    "what is above a mounted directory is not the host's",
		Layers: []policy.Control{policy.RootPivoted, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("read", e.Dir+"/../"+filepath.Base(e.Secret), e.SecretText)
		},
	},
	{
		Number: 1, Name: "read a file of the host by the root of a process",
		Why:    "/proc/self/root is the sandbox's own root",
		Layers: []policy.Control{policy.RootPivoted, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("read", "/proc/self/root"+e.Secret, e.SecretText)
		},
	},
	{
		Number: 1, Name: "read a file of the host by the root of a process of the host",
		Why:    "/proc shows the processes of the sandbox, and not those of the host with their root",
		Layers: []policy.Control{policy.NSPid, policy.NSUser, policy.CapsNone, policy.LandlockOn}, RootTwin: true,
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("read", fmt.Sprintf("/proc/%d/root%s", os.Getpid(), e.Secret), e.SecretText)
		},
	},
	{
		Number: 1, Name: "read a file of the host by the root of PID 1",
		Why:    "PID 1 is the guest, whose root is the sandbox's",
		Layers: []policy.Control{policy.RootPivoted, policy.NSPid, policy.NSUser, policy.CapsNone, policy.LandlockOn},
		NoTwin: "the host's init may have what no other process has; the rows beside this one show the layers",
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("read", "/proc/1/root"+e.Secret, e.SecretText)
		},
	},
	{
		Number: 1, Name: "look into the guest's root", Why: "the guest may not be looked into, whatever its root is",
		Layers: []policy.Control{policy.CapsNone, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("holds", "/proc/1/root/etc/hostname")
		},
	},
	{
		Number: 1, Name: "read a file of the host by its handle",
		Why:    "open_by_handle_at opens what no path leads to (Shocker, 2014)",
		Layers: []policy.Control{policy.SeccompOn, policy.CapsNone, policy.NSUser, policy.LandlockOn}, RootTwin: true,
		Attempt: func(e *Env) (bool, string) {
			handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, e.Secret, 0)
			if err != nil {
				e.Log("this file system has no handles:", err)
				handle = unix.FileHandle(unix.NewFileHandle(1, make([]byte, 8)))
			}
			return e.Attack("handle", e.Dir, strconv.Itoa(int(handle.Type())), hex.EncodeToString(handle.Bytes()), e.SecretText)
		},
	},
	{
		Number: 2, Name: "read a file of the host through a link in the workspace",
		Why:    "a link means inside what it says, and there it leads nowhere (CVE-2026-39861, wazero#2321)",
		Layers: []policy.Control{policy.RootPivoted, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("read", e.link(e.Secret), e.SecretText)
		},
	},
	{
		Number: 2, Name: "read a file of the host through a relative link in the workspace",
		Why:    "as above, by two dots",
		Layers: []policy.Control{policy.RootPivoted, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("read", e.link("../"+filepath.Base(e.Secret)), e.SecretText)
		},
	},
	{
		Number: 2, Name: "write a file of the host through a link in the workspace",
		Why:    "as for reading, though everybody may write to the file",
		Layers: []policy.Control{policy.RootPivoted, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			return e.changes(e.Secret, func() (bool, string) { return e.Attack("write", e.link(e.Secret), "changed") })
		},
	},
	{
		Number: 2, Name: "write a file of a mounted directory",
		Why:    "mounts are read-only, whatever the mode of a file",
		Layers: []policy.Control{policy.RootPivoted, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			path := filepath.Join(e.Dir, "shared")
			if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
				e.Fatal(err)
			}
			return e.changes(path, func() (bool, string) { return e.Attack("write", path, "changed") })
		},
	},
}

var movedRows = []Row{
	{
		Number: 2, Name: "be in a directory that is moved out of the workspace",
		Why:    "two dots of a directory that has left its mount would be the host's (CVE-2015-2925)",
		Layers: []policy.Control{policy.RootPivoted, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			inside, outside := filepath.Join(e.Dir, "inside"), filepath.Join(filepath.Dir(e.Secret), "outside")
			if err := os.Mkdir(inside, 0o755); err != nil {
				e.Fatal(err)
			}
			r, w := io.Pipe()
			defer r.Close()
			args := []string{filepath.Join(e.Dir, "attack"), "wait-and-read", "../" + filepath.Base(e.Secret), e.SecretText}
			p, err := e.Sandbox.Start(e.Context(), kavach.Cmd{Args: args, Dir: inside, Stdout: w})
			if err != nil {
				e.Fatal(err)
			}
			type ending struct {
				res *kavach.Result
				err error
			}
			ended := make(chan ending, 1)
			go func() {
				res, err := p.Wait(e.Context())
				w.Close() // or the read below waits for one that never said a word
				ended <- ending{res, err}
			}()
			if _, err := r.Read(make([]byte, 1)); err == nil {
				err = os.Rename(inside, outside)
				if err != nil {
					e.Error(err)
				}
			}
			go io.Copy(io.Discard, r)
			end := <-ended
			if end.err != nil {
				e.Fatal(end.err)
			}
			res := end.res
			return e.verdict(args, res)
		},
	},
	{
		Number: 2, Name: "write to a fifo of a mounted directory",
		Why:    "a read-only mount does not stop what is written into a pipe, and somebody on the host reads it",
		Layers: []policy.Control{policy.LandlockOn},
		// Not below /tmp, where Landlock lets everything be written that mounts
		// and modes do.
		Policy: func(p *policy.Policy) {
			p.Filesystem.Mounts = append(p.Filesystem.Mounts, policy.Mount{Source: p.Filesystem.Mounts[0].Source, Target: "/shown"})
		},
		Attempt: func(e *Env) (bool, string) {
			path := filepath.Join(e.Dir, "fifo")
			if err := unix.Mkfifo(path, 0o600); err != nil {
				e.Fatal(err)
			}
			if err := os.Chmod(path, 0o666); err != nil {
				e.Fatal(err)
			}
			reader, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				e.Fatal(err)
			}
			defer reader.Close()
			return e.Attack("write", "/shown/fifo", "x")
		},
	},
}

// link makes a link in the workspace.
func (e *Env) link(to string) string {
	e.Helper()
	link := filepath.Join(e.Dir, "link")
	if err := os.Symlink(to, link); err != nil {
		e.Fatal(err)
	}
	return link
}

// changes lets everybody write to a file of the test's own, and says whether an
// attempt has changed it.
func (e *Env) changes(path string, attempt func() (bool, string)) (bool, string) {
	e.Helper()
	if err := os.Chmod(path, 0o666); err != nil {
		e.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		e.Fatal(err)
	}
	_, seen := attempt()
	after, err := os.ReadFile(path)
	if err != nil {
		e.Fatal(err)
	}
	return string(before) != string(after), seen
}

var descriptorRows = []Row{
	{
		Number: 6, Name: "start in a descriptor of the host",
		Why:    "a working directory of /proc/self/fd/N is a directory of the host (CVE-2024-21626)",
		Layers: []policy.Control{policy.FDsClean, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			fd := e.leak(filepath.Dir(e.Secret))
			// A sandbox of its own, made while the descriptor is open.
			res, err := e.Another().Run(e.Context(), kavach.Cmd{
				Dir:  "/proc/self/fd/" + strconv.Itoa(fd),
				Args: []string{filepath.Join(e.Dir, "attack"), "read", filepath.Base(e.Secret), e.SecretText},
			})
			if err != nil {
				return false, err.Error()
			}
			return e.verdict(nil, res)
		},
	},
	{
		Number: 6, Name: "start in a descriptor of the host by the policy's working directory",
		Why:    "as above; the policy comes with code that nobody trusts",
		Layers: []policy.Control{policy.FDsClean, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			e.Policy.Process.Workdir = "/proc/thread-self/fd/" + strconv.Itoa(e.leak(filepath.Dir(e.Secret)))
			res, err := e.Another().Run(e.Context(), kavach.Cmd{
				Args: []string{filepath.Join(e.Dir, "attack"), "read", filepath.Base(e.Secret), e.SecretText},
			})
			if err != nil {
				return false, err.Error()
			}
			return e.verdict(nil, res)
		},
	},
	{
		Number: 6, Name: "start in the directory that is the command's stdin",
		Why:    "not even a descriptor that the caller gave is a working directory",
		Layers: []policy.Control{policy.FDsClean, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			dir, err := os.Open(filepath.Dir(e.Secret))
			if err != nil {
				e.Fatal(err)
			}
			defer dir.Close()
			return e.start(backend.Cmd{
				Stdin: dir, Dir: "/proc/self/fd/0",
				Args: []string{filepath.Join(e.Dir, "attack"), "read", filepath.Base(e.Secret), e.SecretText},
			})
		},
	},
	{
		Number: 6, Name: "go to a descriptor of the host from inside",
		Why:    "what the guest or the caller has open is not there to go to",
		Layers: []policy.Control{policy.FDsClean, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			e.leak(filepath.Dir(e.Secret))
			return e.attackAnother("chdir-by-fd", filepath.Base(e.Secret), e.SecretText)
		},
	},
	{
		Number: 7, Name: "inherit a descriptor of the caller",
		Why:    "a command has 0, 1, 2, also where the caller's own were not to be closed on exec",
		Layers: []policy.Control{policy.FDsClean},
		Attempt: func(e *Env) (bool, string) {
			e.leak(filepath.Dir(e.Secret))
			return e.attackAnother("fds")
		},
	},
	{
		Number: 7, Name: "read by a descriptor of the caller",
		Why:    "a directory that is open leads past the root; Landlock sees where it is",
		Layers: []policy.Control{policy.FDsClean, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			e.leak(filepath.Dir(e.Secret))
			return e.attackAnother("read-by-fd", filepath.Base(e.Secret), e.SecretText)
		},
	},
	{
		Number: 8, Name: "overwrite the program that was run, when it has ended",
		Why:    "a program's file is not to be had for writing by /proc/self/exe (CVE-2019-5736)",
		Layers: []policy.Control{policy.RootPivoted, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			if err := os.Chmod(filepath.Join(e.Dir, "attack"), 0o777); err != nil {
				e.Fatal(err)
			}
			return e.Attack("overwrite-exe")
		},
	},
	{
		Number: 8, Name: "open the guest's program",
		Why:    "the guest may not be looked into; nobody can write to its program by way of it either (a test of internal/jail)",
		Layers: []policy.Control{policy.CapsNone, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("open-read", "/proc/1/exe")
		},
	},
	{
		Number: 8, Name: "open the guest's program for writing",
		Why:    "it is the program of every sandbox of this process (CVE-2019-5736)",
		NoTwin: "it is busy while it runs, and sealed or read-only for ever; a test of internal/jail shows that without these it can be written to",
		Layers: []policy.Control{policy.CapsNone, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("open-write", "/proc/1/exe")
		},
	},
}

// leak opens a directory so that whatever this process starts inherits it.
func (e *Env) leak(dir string) int {
	e.Helper()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		e.Fatal(err)
	}
	defer unix.Close(fd)
	return e.leakFD(fd)
}

// leakFD makes a copy of a descriptor that whatever is started inherits.
func (e *Env) leakFD(fd int) int {
	e.Helper()
	const high = 200 // far from what a child puts its own files at
	leaked, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD, high)
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { unix.Close(leaked) })
	return leaked
}

// attackAnother is Attack in a sandbox that is made now.
func (e *Env) attackAnother(args ...string) (bool, string) {
	e.Helper()
	return (&Env{TB: e.TB, Dir: e.Dir, Sandbox: e.Another()}).Attack(args...)
}

// start runs a command on an instance of the backend itself, with descriptors
// of the caller's choice.
func (e *Env) start(cmd backend.Cmd) (through bool, seen string) {
	e.Helper()
	instance, err := e.Backend.Create(e.Context(), backend.Spec{ID: "00000000feed0001", Policy: e.Policy})
	if err != nil {
		e.Fatal(err)
	}
	defer func() {
		if err := instance.Destroy(e.Context()); err != nil {
			e.Error(err)
		}
	}()
	p, err := instance.Start(e.Context(), cmd)
	if err != nil {
		return false, err.Error()
	}
	exit, err := p.Wait(e.Context())
	if err != nil {
		e.Fatal(err)
	}
	return exit.Code == 0, "exit " + strconv.Itoa(exit.Code)
}

// privileged are the layers that stand before what needs a capability.
var privileged = []policy.Control{policy.SeccompOn, policy.CapsNone, policy.LandlockOn}

var mountRows = slices.Concat(
	mountWays("what is mounted stays as it is: no command may mount, in any way", privileged,
		"bind", "move-tree", "tmpfs", "proc", "pivot"),
	// A file system that is made and not attached is none of Landlock's business,
	// nor is another root.
	mountWays("new file systems are code of the kernel that nobody needs (CVE-2022-0185)",
		[]policy.Control{policy.SeccompOn, policy.CapsNone}, "fsopen", "chroot"),
	[]Row{
		{
			Number: 9, Name: "remount the root directory read-write", Why: "read-only stays read-only",
			Layers:  privileged,
			Attempt: func(e *Env) (bool, string) { return e.Attack("mount", "remount", "/") },
		},
		{
			Number: 9, Name: "set the root directory read-write", Why: "as above, by mount_setattr",
			Layers:  privileged,
			Attempt: func(e *Env) (bool, string) { return e.Attack("mount", "setattr", "/") },
		},
		{
			Number: 9, Name: "remount a directory of the host read-write",
			Why:    "as above; what gets through here changes the host",
			Layers: privileged,
			Attempt: func(e *Env) (bool, string) {
				_, seen := e.Attack("mount", "remount", e.Dir)
				_, err := os.Stat(filepath.Join(e.Dir, "made-inside"))
				return err == nil, seen
			},
		},
		{
			Number: 9, Name: "unmount a mask", Why: "what is hidden of /proc stays hidden",
			Layers:  privileged,
			Attempt: func(e *Env) (bool, string) { return e.Attack("mount", "unmount", "/proc/kallsyms") },
		},
	})

func mountWays(why string, layers []policy.Control, ways ...string) (rows []Row) {
	for _, way := range ways {
		rows = append(rows, Row{
			Number: 9, Name: "mount by " + way, Why: why, Layers: layers,
			Attempt: func(e *Env) (bool, string) { return e.Attack("mount", way) },
		})
	}
	return rows
}

var privilegeRows = []Row{
	{
		Number: 10, Name: "make a device node", Why: "a device node is the device, past every mount",
		Layers: []policy.Control{policy.SeccompOn, policy.CapsNone, policy.NSUser, policy.LandlockOn}, RootTwin: true,
		Attempt: func(e *Env) (bool, string) { return e.Attack("mknod") },
	},
	{
		Number: 10, Name: "use a device node of a mounted directory", Why: "mounts are nodev",
		AsRoot: true, Layers: []policy.Control{policy.RootPivoted},
		Attempt: func(e *Env) (bool, string) {
			path := filepath.Join(e.Dir, "zero")
			if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))); err != nil {
				e.Fatal(err)
			}
			if err := os.Chmod(path, 0o666); err != nil {
				e.Fatal(err)
			}
			return e.Attack("device", path)
		},
	},
	{
		Number: 10, Name: "use the host's devices where /dev is mounted", Why: "as above, also for an ordinary user",
		Layers: []policy.Control{policy.RootPivoted},
		NoTwin: "the attempt itself makes sure that a device that is there on purpose works",
		Policy: func(p *policy.Policy) {
			p.Filesystem.Mounts = append(p.Filesystem.Mounts, policy.Mount{Source: "/dev", Target: "/hostdev"})
		},
		Attempt: func(e *Env) (bool, string) { return e.Attack("device", "/hostdev/zero") },
	},
	{
		Number: 11, Name: "run a program that is setuid root",
		Why:    "nobody becomes another: nosuid, no_new_privs, and no such user inside",
		AsRoot: true, Layers: []policy.Control{policy.NSUser, policy.NoNewPrivs, policy.CapsNone, policy.RootPivoted},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("gain", e.copyAttack(func(path string) error { return os.Chmod(path, 0o755|os.ModeSetuid) }))
		},
	},
	{
		Number: 11, Name: "run a program that is setgid root", Why: "as above",
		AsRoot: true, Layers: []policy.Control{policy.NSUser, policy.NoNewPrivs, policy.CapsNone, policy.RootPivoted},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("gain", e.copyAttack(func(path string) error { return os.Chmod(path, 0o755|os.ModeSetgid) }))
		},
	},
	{
		Number: 11, Name: "run a program with file capabilities", Why: "as above",
		AsRoot: true, Layers: []policy.Control{policy.NSUser, policy.NoNewPrivs, policy.CapsNone, policy.RootPivoted},
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("gain", e.copyAttack(func(path string) error {
				// struct vfs_cap_data of version 2, effective: CAP_NET_RAW.
				cap := make([]byte, 20)
				binary.LittleEndian.PutUint32(cap, 0x0200_0001)
				binary.LittleEndian.PutUint32(cap[4:], 1<<unix.CAP_NET_RAW)
				return unix.Setxattr(path, "security.capability", cap, 0)
			}))
		},
	},
	{
		Number: 11, Name: "run a setuid program of another user",
		Why:    "as above; the sandbox has the caller's number, and the caller is not always root",
		AsRoot: true, Layers: []policy.Control{policy.NSUser, policy.NoNewPrivs, policy.RootPivoted},
		Policy: func(p *policy.Policy) { p.Process.User = "1000:1000" },
		Attempt: func(e *Env) (bool, string) {
			return e.Attack("gain", e.copyAttack(func(path string) error {
				if err := os.Chown(path, 2000, 2000); err != nil {
					return err
				}
				return os.Chmod(path, 0o755|os.ModeSetuid|os.ModeSetgid)
			}))
		},
	},
}

// copyAttack makes a copy of the attack program in the workspace and changes it.
func (e *Env) copyAttack(change func(path string) error) string {
	e.Helper()
	program, err := os.ReadFile(filepath.Join(e.Dir, "attack"))
	if err != nil {
		e.Fatal(err)
	}
	path := filepath.Join(e.Dir, "special")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		e.Fatal(err)
	}
	if err := change(path); err != nil {
		e.Fatal(err)
	}
	return path
}

var procRows = []Row{
	{
		Number: 12, Name: "write the kernel's core_pattern",
		Why:    "it names a program that the kernel runs as root on the host (CVE-2025-52881)",
		Layers: []policy.Control{policy.NSUser, policy.ProcMasked, policy.LandlockOn}, RootTwin: true,
		Attempt: func(e *Env) (bool, string) { return e.Attack("open-write", "/proc/sys/kernel/core_pattern") },
	},
	{
		Number: 12, Name: "write a setting of the kernel", Why: "all of /proc/sys is read-only",
		Layers: []policy.Control{policy.NSUser, policy.ProcMasked, policy.LandlockOn}, RootTwin: true,
		Attempt: func(e *Env) (bool, string) { return e.Attack("open-write", "/proc/sys/vm/overcommit_memory") },
	},
	{
		Number: 12, Name: "write /proc/sysrq-trigger", Why: "it restarts the machine",
		Layers:  []policy.Control{policy.NSUser, policy.ProcMasked, policy.LandlockOn},
		NoTwin:  "the twin is that of core_pattern, which each kernel has; this one is left out of some",
		Attempt: func(e *Env) (bool, string) { return e.Attack("open-write", "/proc/sysrq-trigger") },
	},
	{
		Number: 12, Name: "write a setting of the network namespace",
		Why:     "what belongs to the sandbox's own namespace is read-only as well: it is code of the kernel that nobody needs",
		Layers:  []policy.Control{policy.ProcMasked, policy.LandlockOn, policy.CapsNone},
		Attempt: func(e *Env) (bool, string) { return e.Attack("rewrite", "/proc/sys/net/ipv4/ip_forward") },
	},
	{
		Number: 12, Name: "allow user namespaces again",
		Why:     "the sandbox's own limit of user namespaces is what stops them where the policy has no filter",
		Layers:  []policy.Control{policy.ProcMasked, policy.LandlockOn, policy.CapsNone},
		Attempt: func(e *Env) (bool, string) { return e.Attack("rewrite", "/proc/sys/user/max_user_namespaces") },
	},
	{
		Number: 13, Name: "read /proc/kallsyms", Why: "the kernel's addresses help an exploit",
		Layers:  []policy.Control{policy.ProcMasked},
		Attempt: func(e *Env) (bool, string) { return e.Attack("holds", "/proc/kallsyms") },
	},
	{
		Number: 13, Name: "read /proc/interrupts", Why: "counters that the whole machine shares tell of others (keystroke timing)",
		Layers:  []policy.Control{policy.ProcMasked},
		Attempt: func(e *Env) (bool, string) { return e.Attack("holds", "/proc/interrupts") },
	},
	{
		Number: 13, Name: "read /proc/keys", Why: "keys are not separated by namespaces",
		Layers: []policy.Control{policy.ProcMasked, policy.NSUser}, RootTwin: true,
		Attempt: func(e *Env) (bool, string) { return e.Attack("holds", "/proc/keys") },
	},
	{
		Number: 13, Name: "read /proc/kcore", Why: "it is the memory of the machine",
		Layers:  []policy.Control{policy.ProcMasked, policy.NSUser},
		NoTwin:  "the twin is that of /proc/keys, which is masked in the same way; this one is left out of some kernels",
		Attempt: func(e *Env) (bool, string) { return e.Attack("holds", "/proc/kcore") },
	},
	{
		Number: 13, Name: "read a file of /sys", Why: "it tells of the host's hardware, and lets root change it",
		Layers:  []policy.Control{policy.RootPivoted, policy.LandlockOn},
		Attempt: func(e *Env) (bool, string) { return e.Attack("holds", "/sys/devices/system/cpu/online") },
	},
	{
		Number: 13, Name: "list /sys/firmware", Why: "as above; Landlock lets names be listed anywhere",
		Layers:  []policy.Control{policy.RootPivoted},
		Attempt: func(e *Env) (bool, string) { return e.Attack("holds", "/sys/firmware") },
	},
}

// landlockRows have a writable root, on which mounts and modes allow everything:
// what still is refused, Landlock refuses.
var landlockRows = rightRows(
	"read", "write", "truncate", "open-truncate", "execute", "unlink", "rename", "rename-away", "exchange",
	"link", "link-away", "link-in", "make-file", "make-dir", "make-link", "make-fifo", "make-node", "make-socket",
	"tmpfile",
)

// mountRightRows have a mount whose rights leave something out that its access
// implies.
var mountRightRows = []Row{
	narrowRow("execute a program of a mount without execute", []string{"read_file", "read_dir"}, "run"),
	narrowRow("read a file of a mount without read_file", []string{"read_dir"}, "holds"),
	narrowRow("list a mount without read_dir", []string{"read_file", "execute"}, "list"),
}

const narrow = "/narrow" // where it is seen: below nothing that is granted

func narrowRow(name string, rights []string, attempt string) Row {
	return Row{
		Number: 16, Name: name, Why: "only the rights that the policy gives a mount",
		Layers: []policy.Control{policy.LandlockOn},
		Policy: func(p *policy.Policy) {
			work := p.Filesystem.Mounts[0].Source
			source := filepath.Join(filepath.Dir(work), "narrow")
			if err := errors.Join(os.Mkdir(source, 0o755), os.Link(filepath.Join(work, "attack"), filepath.Join(source, "attack"))); err != nil {
				panic(err)
			}
			p.Filesystem.Mounts = append(p.Filesystem.Mounts, policy.Mount{Source: source, Target: narrow, Rights: rights})
		},
		Attempt: func(e *Env) (bool, string) {
			switch attempt {
			case "run":
				return e.Attack("run", narrow+"/attack", "holds", e.Dir)
			case "holds":
				return e.Attack("holds", narrow+"/attack")
			}
			return e.Attack("holds", narrow)
		},
	}
}

func rightRows(rights ...string) (rows []Row) {
	partly := map[string]string{"truncate": "Landlock restricts truncate(2) since ABI 3, Linux 6.2"}
	for _, right := range rights {
		rows = append(rows, Row{
			Number: 16, Partly: partly[right], Name: "without the right, " + strings.ReplaceAll(right, "-", " "),
			Why:     "only the rights that were given: each of Landlock's stops what it is for",
			Layers:  []policy.Control{policy.LandlockOn},
			Policy:  func(p *policy.Policy) { p.Filesystem.Writable = true },
			Attempt: func(e *Env) (bool, string) { return e.Attack("right", right) },
		})
	}
	return rows
}
