//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// fileAttempts are CONTAINMENT 1 to 16.
var fileAttempts = map[string]func(args []string) (string, error){
	"wait-and-read": waitAndRead,
	"lease":         lease,
	"write":         write,
	"open-write":    openWrite,
	"rewrite":       rewrite,
	"open-read":     openRead,
	"holds":         holds,
	"handle":        handle,
	"fds":           fds,
	"read-by-fd":    readByFD,
	"chdir-by-fd":   chdirByFD,
	"overwrite-exe": overwriteExe,
	"overwrite-fd":  overwriteFD,
	"mount":         mount,
	"mknod":         mknod,
	"device":        device,
	"gain":          gain,
	"ids":           ids,
	"right":         right,
	"run":           run,
}

// write PATH TEXT appends to a file.
func write(args []string) (string, error) {
	f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return "write", err
	}
	defer f.Close()
	_, err = f.WriteString(args[1])
	return "wrote " + args[0], err
}

// wait-and-read PATH TEXT says that it is there, and tries to read a file for a
// while.
func waitAndRead(args []string) (seen string, err error) {
	fmt.Println("here")
	for range 100 {
		if seen, err = read(args); err == nil {
			return seen, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return seen, err
}

// lease PATH takes a lease on a file, so that who opens it for writing waits.
func lease(args []string) (string, error) {
	fd, err := unix.Open(args[0], unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "open", err
	}
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK)
	return "lease", err
}

// open-write PATH opens a file for writing, and writes nothing.
func openWrite(args []string) (string, error) {
	fd, err := unix.Open(args[0], unix.O_WRONLY|unix.O_CLOEXEC, 0)
	return "open " + args[0] + " for writing", errors.Join(err, closeIf(fd, err))
}

// rewrite PATH writes into a file what it holds.
func rewrite(args []string) (string, error) {
	b, err := os.ReadFile(args[0])
	if err != nil {
		return "read", err
	}
	return "rewrite " + args[0], os.WriteFile(args[0], b, 0)
}

// open-read PATH opens a file, following links.
func openRead(args []string) (string, error) {
	fd, err := unix.Open(args[0], unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return "open " + args[0], errors.Join(err, closeIf(fd, err))
}

func closeIf(fd int, err error) error {
	if err != nil {
		return nil
	}
	return unix.Close(fd)
}

// run PROGRAM ARG… runs a program.
func run(args []string) (string, error) {
	pid, err := syscall.ForkExec(args[0], args, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err == nil {
		_, err = unix.Wait4(pid, nil, 0, nil)
	}
	return "run " + args[0], err
}

// holds PATH looks whether a file or directory holds anything at all.
func holds(args []string) (string, error) {
	fd, err := unix.Open(args[0], unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "open", err
	}
	defer unix.Close(fd)
	buf := make([]byte, 4096)
	n, err := unix.Read(fd, buf)
	if err == unix.EISDIR {
		names, err := os.ReadDir(args[0])
		n = len(names)
		if err != nil {
			return "list", err
		}
	} else if err != nil {
		return "read", err
	}
	if n == 0 {
		err = errors.New("it is empty")
	} else {
		err = nil
	}
	return args[0], err
}

// handle DIR TYPE HEX TEXT opens a file by its handle, which an attacker can
// guess: it is little more than the inode's number.
func handle(args []string) (string, error) {
	at, err := unix.Open(args[0], unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return "open", err
	}
	kind, err := strconv.Atoi(args[1])
	if err != nil {
		return "", err
	}
	var b []byte
	if _, err := fmt.Sscanf(args[2], "%x", &b); err != nil {
		return "", err
	}
	fd, err := unix.OpenByHandleAt(at, unix.NewFileHandle(int32(kind), b), unix.O_RDONLY)
	if err != nil {
		return "open by handle", err
	}
	buf := make([]byte, len(args[3]))
	n, err := unix.Pread(fd, buf, 0)
	if err == nil && string(buf[:n]) != args[3] {
		err = errors.New("it holds something else")
	}
	return "read by handle", err
}

// maxFD is above each descriptor that the tests leave open.
const maxFD = 1024

// fds lists the descriptors that it was started with.
func fds([]string) (string, error) {
	var found []string
	for fd := 3; fd < maxFD; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			continue
		}
		to, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)) // for people
		found = append(found, fmt.Sprintf("%d (%s)", fd, to))
	}
	if len(found) == 0 {
		return "", errors.New("there are 0, 1 and 2 only")
	}
	return strings.Join(found, " "), nil
}

// read-by-fd NAME TEXT looks for a directory with a file among the descriptors.
func readByFD(args []string) (string, error) {
	return eachFD(func(fd int) error {
		file, err := unix.Openat(fd, args[0], unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		return expect(file, args[1])
	})
}

// chdir-by-fd NAME TEXT makes each descriptor its working directory.
func chdirByFD(args []string) (string, error) {
	return eachFD(func(fd int) error {
		if err := unix.Chdir(fmt.Sprintf("/proc/self/fd/%d", fd)); err != nil {
			return err
		}
		file, err := unix.Open(args[0], unix.O_RDONLY, 0)
		if err != nil {
			return err
		}
		return expect(file, args[1])
	})
}

// eachFD tries something with every descriptor there may be.
func eachFD(try func(fd int) error) (string, error) {
	last := error(unix.EBADF)
	for fd := range maxFD {
		err := try(fd)
		if err == nil {
			return fmt.Sprintf("by descriptor %d", fd), nil
		}
		if err != unix.EBADF && err != unix.ENOTDIR && err != unix.ENOENT {
			last = err
		}
	}
	return "", last
}

func expect(fd int, text string) error {
	defer unix.Close(fd)
	buf := make([]byte, len(text))
	n, err := unix.Read(fd, buf)
	if err == nil && string(buf[:n]) != text {
		err = errors.New("it holds something else")
	}
	return err
}

// overwrite-exe is CVE-2019-5736: it holds the program that it runs from open,
// becomes another, and writes into the first, which then is not busy any more.
// The other is a copy in /tmp.
func overwriteExe([]string) (string, error) {
	exe, err := unix.Open("/proc/self/exe", unix.O_RDONLY, 0)
	if err != nil {
		return "open", err
	}
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return "read", err
	}
	dir, err := os.MkdirTemp("/tmp", "kavach-attack-")
	if err != nil {
		return "copy", err
	}
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, program, 0o755); err != nil {
		return "copy", err
	}
	if _, err := unix.FcntlInt(uintptr(exe), unix.F_SETFD, 0); err != nil {
		return "keep", err
	}
	err = unix.Exec(other, []string{other, "overwrite-fd", strconv.Itoa(exe), dir}, os.Environ())
	return "exec", err
}

// overwrite-fd FD DIR reopens a descriptor for writing, and appends a byte; it
// removes DIR, which it is in.
func overwriteFD(args []string) (string, error) {
	defer os.RemoveAll(args[1])
	return write([]string{"/proc/self/fd/" + args[0], "\x00"})
}

// mount WAY changes mounts, by each call that there is for it.
func mount(args []string) (string, error) {
	ways := map[string]func() error{
		"remount": func() error {
			if err := unix.Mount("", args[1], "", unix.MS_REMOUNT|unix.MS_BIND, ""); err != nil {
				return err
			}
			return makeFile(args[1])
		},
		"setattr": func() error {
			attr := &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}
			if err := unix.MountSetattr(unix.AT_FDCWD, args[1], 0, attr); err != nil {
				return err
			}
			return makeFile(args[1])
		},
		"bind": func() error { return unix.Mount("/tmp", "/etc", "", unix.MS_BIND, "") },
		"move-tree": func() error {
			tree, err := unix.OpenTree(unix.AT_FDCWD, "/tmp", unix.OPEN_TREE_CLONE)
			if err != nil {
				return err
			}
			return unix.MoveMount(tree, "", unix.AT_FDCWD, "/etc", unix.MOVE_MOUNT_F_EMPTY_PATH)
		},
		"fsopen": func() error {
			_, err := unix.Fsopen("tmpfs", 0)
			return err
		},
		"tmpfs":   func() error { return unix.Mount("none", "/etc", "tmpfs", 0, "") },
		"proc":    func() error { return unix.Mount("none", "/tmp", "proc", 0, "") },
		"cgroup2": func() error { return unix.Mount("none", "/tmp", "cgroup2", 0, "") },
		"cgroup":  func() error { return unix.Mount("none", "/tmp", "cgroup", 0, "none,name=attack") },
		"unmount": func() error {
			before, _ := os.ReadFile(args[1])
			if err := unix.Unmount(args[1], unix.MNT_DETACH); err != nil {
				return err
			}
			if after, err := os.ReadFile(args[1]); err != nil || len(after) == len(before) {
				return fmt.Errorf("it still is masked: %w", err)
			}
			return nil
		},
		"pivot":  func() error { return unix.PivotRoot("/tmp", "/tmp") },
		"chroot": func() error { return unix.Chroot("/tmp") },
	}
	return args[0], ways[args[0]]()
}

func makeFile(dir string) error {
	return os.WriteFile(filepath.Join(dir, "made-inside"), []byte("x"), 0o644)
}

// mknod makes a device node: /dev/null's.
func mknod([]string) (string, error) {
	const path = "/tmp/kavach-attack-null"
	err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3)))
	if err == nil {
		err = os.Remove(path)
	}
	return "mknod", err
}

// device PATH reads from a device node, after it has made sure that one which is
// there on purpose works.
func device(args []string) (string, error) {
	if _, err := holds([]string{"/dev/zero"}); err != nil {
		fmt.Println("/dev/zero does not work:", err)
		os.Exit(2)
	}
	return holds(args)
}

// gain PATH runs a program with setuid, setgid or capabilities of its file, as
// some other user if that can be, and looks whether it was given any.
func gain(args []string) (string, error) {
	const other = 12345
	_ = syscall.Setgroups(nil)
	_ = syscall.Setresgid(other, other, other)
	_ = syscall.Setresuid(other, other, other)
	before, err := status()
	if err != nil {
		return "status", err
	}
	out, err := exec.Command(args[0], "ids").Output()
	if err != nil {
		return "exec", err
	}
	after := strings.TrimSpace(string(out))
	if before == after {
		err = errors.New("nothing was gained")
	}
	return before + " became " + after, err
}

// ids prints who the caller is.
func ids([]string) (string, error) { return status() }

func status() (string, error) {
	b, err := os.ReadFile("/proc/self/status")
	var found []string
	for _, line := range strings.Split(string(b), "\n") {
		key, value, _ := strings.Cut(line, ":")
		switch key {
		case "Uid", "Gid", "CapPrm", "CapEff":
			found = append(found, key+" "+strings.Join(strings.Fields(value), " "))
		}
	}
	return strings.Join(found, ", "), err
}

// canary is a file that each sandbox has and that no Landlock rule grants
// (guest.CanaryPath). Modes and a writable root let its owner do anything to it.
const canary = "/.landlock-canary"

// right NAME does what needs one right of Landlock, in a place where modes and
// mounts allow it.
func right(args []string) (string, error) {
	_ = os.Chmod(canary, 0o755) // Landlock does not restrict chmod
	made := "/kavach-attack"
	ways := map[string]func() error{
		"read":     func() error { _, err := os.ReadFile(canary); return err },
		"write":    func() error { _, err := openWrite([]string{canary}); return err },
		"truncate": func() error { return unix.Truncate(canary, 1) },
		"open-truncate": func() error {
			// With a right to write and none to truncate it still is refused.
			fd, err := unix.Open(canary, unix.O_RDONLY|unix.O_TRUNC, 0)
			return errors.Join(err, closeIf(fd, err))
		},
		"execute": func() error {
			err := unix.Exec(canary, []string{canary}, nil)
			if err == unix.ENOEXEC {
				return nil // it may be executed, and is a text
			}
			return err
		},
		"unlink":      func() error { return unix.Unlink(canary) },
		"rename":      func() error { return unix.Rename(canary, made) },
		"rename-away": func() error { return unix.Rename(canary, "/etc/kavach-attack") },
		"exchange": func() error {
			return unix.Renameat2(unix.AT_FDCWD, canary, unix.AT_FDCWD, "/etc/hostname", unix.RENAME_EXCHANGE)
		},
		"link":      func() error { return unix.Link(canary, made) },
		"link-away": func() error { return unix.Link(canary, "/etc/kavach-attack") },
		"link-in":   func() error { return unix.Link("/etc/hostname", made) },
		"make-file": func() error { return os.WriteFile(made, nil, 0o600) },
		"make-dir":  func() error { return unix.Mkdir(made, 0o700) },
		"make-link": func() error { return unix.Symlink("/etc", made) },
		"make-fifo": func() error { return unix.Mkfifo(made, 0o600) },
		"make-node": func() error { return unix.Mknod(made, unix.S_IFSOCK|0o600, 0) },
		"make-socket": func() error {
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				return err
			}
			return unix.Bind(fd, &unix.SockaddrUnix{Name: made})
		},
		"tmpfile": func() error {
			fd, err := unix.Open("/", unix.O_TMPFILE|unix.O_WRONLY, 0o600)
			return errors.Join(err, closeIf(fd, err))
		},
	}
	return args[0], ways[args[0]]()
}
