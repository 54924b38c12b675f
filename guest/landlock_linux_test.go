package guest

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Rights of linux/landlock.h by the names of policy.Rights, which this package
// does not import.
const (
	execute    = unix.LANDLOCK_ACCESS_FS_EXECUTE
	writeFile  = unix.LANDLOCK_ACCESS_FS_WRITE_FILE
	readFile   = unix.LANDLOCK_ACCESS_FS_READ_FILE
	readDir    = unix.LANDLOCK_ACCESS_FS_READ_DIR
	removeDir  = unix.LANDLOCK_ACCESS_FS_REMOVE_DIR
	removeFile = unix.LANDLOCK_ACCESS_FS_REMOVE_FILE
	makeChar   = unix.LANDLOCK_ACCESS_FS_MAKE_CHAR
	makeDir    = unix.LANDLOCK_ACCESS_FS_MAKE_DIR
	makeReg    = unix.LANDLOCK_ACCESS_FS_MAKE_REG
	makeSock   = unix.LANDLOCK_ACCESS_FS_MAKE_SOCK
	makeFifo   = unix.LANDLOCK_ACCESS_FS_MAKE_FIFO
	makeBlock  = unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK
	makeSym    = unix.LANDLOCK_ACCESS_FS_MAKE_SYM
	refer      = unix.LANDLOCK_ACCESS_FS_REFER
	truncate   = unix.LANDLOCK_ACCESS_FS_TRUNCATE
	ioctlDev   = unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
)

// rightCases are CONTAINMENT 16: attempts in a directory, which has "file",
// "dir", "full/inner" and "program" in it, and the rights that each needs.
var rightCases = []struct {
	name  string
	needs uint64
	try   func(dir string) error
}{
	{"execute", execute | readFile, func(dir string) error {
		pid, err := syscall.ForkExec(dir+"/program", []string{"program"}, nil)
		if err == nil {
			_, err = unix.Wait4(pid, nil, 0, nil)
		}
		return err
	}},
	{"write", writeFile, open("file", unix.O_WRONLY)},
	{"append", writeFile, open("file", unix.O_WRONLY|unix.O_APPEND)},
	{"read", readFile, open("file", unix.O_RDONLY)},
	{"read and write", readFile | writeFile, open("file", unix.O_RDWR)},
	{"list", readDir, open("dir", unix.O_RDONLY|unix.O_DIRECTORY)},
	{"create", makeReg | writeFile, open("new", unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)},
	{"unlink", removeFile, func(dir string) error { return unix.Unlink(dir + "/file") }},
	{"rmdir", removeDir, func(dir string) error { return unix.Rmdir(dir + "/dir") }},
	{"mkdir", makeDir, func(dir string) error { return unix.Mkdir(dir+"/new", 0o700) }},
	{"symlink", makeSym, func(dir string) error { return unix.Symlink("file", dir+"/new") }},
	{"mkfifo", makeFifo, mknod(unix.S_IFIFO, 0)},
	{"socket", makeSock, mknod(unix.S_IFSOCK, 0)},
	{"regular file by mknod", makeReg, mknod(unix.S_IFREG, 0)},
	{"character device", makeChar, mknod(unix.S_IFCHR, int(unix.Mkdev(1, 3)))},
	{"block device", makeBlock, mknod(unix.S_IFBLK, int(unix.Mkdev(1, 0)))},
	{"rename in a directory", removeFile | makeReg, rename("file", "new")},
	{"rename over a file", removeFile | makeReg, rename("file", "program")},
	{"rename a directory", removeDir | makeDir, rename("dir", "new")},
	{"exchange", removeFile | makeReg | removeDir | makeDir, func(dir string) error {
		return unix.Renameat2(unix.AT_FDCWD, dir+"/file", unix.AT_FDCWD, dir+"/dir", unix.RENAME_EXCHANGE)
	}},
	{"rename to another directory", removeFile | makeReg | refer, rename("file", "dir/new")},
	{"rename from another directory", removeFile | makeReg | refer, rename("full/inner", "new")},
	{"link in a directory", makeReg, link("file", "new")},
	{"link to another directory", makeReg | refer, link("file", "dir/new")},
	{"truncate", truncate, func(dir string) error { return unix.Truncate(dir+"/file", 1) }},
	{"open and truncate", writeFile | truncate, open("file", unix.O_WRONLY|unix.O_TRUNC)},
	{"truncate what is open for reading", readFile | truncate, open("file", unix.O_RDONLY|unix.O_TRUNC)},
}

func open(name string, flags int) func(string) error {
	return func(dir string) error {
		fd, err := unix.Open(dir+"/"+name, flags|unix.O_CLOEXEC, 0o600)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
}

func mknod(kind uint32, dev int) func(string) error {
	return func(dir string) error { return unix.Mknod(dir+"/new", kind|0o600, dev) }
}

func rename(from, to string) func(string) error {
	return func(dir string) error { return unix.Rename(dir+"/"+from, dir+"/"+to) }
}

func link(from, to string) func(string) error {
	return func(dir string) error { return unix.Link(dir+"/"+from, dir+"/"+to) }
}

// TestRights: each attempt gets through with the rights that it needs, and with
// nothing else; and without any single one of them it does not, on every version
// of Landlock up to this kernel's that restricts it.
func TestRights(t *testing.T) {
	newest := LandlockABI()
	if newest == 0 {
		t.Fatal("this kernel has no Landlock")
	}
	for _, c := range rightCases {
		t.Run(c.name, func(t *testing.T) {
			for abi := 1; abi <= newest; abi++ {
				tryRights(t, abi, c.needs, c.needs, c.try)
				for bit := uint64(1); bit <= c.needs; bit <<= 1 {
					if c.needs&bit != 0 {
						tryRights(t, abi, c.needs&^bit, c.needs, c.try)
					}
				}
			}
		})
	}
}

// tryRights makes the attempt in a directory in which these rights are given.
func tryRights(t *testing.T, abi int, given, needs uint64, try func(string) error) {
	t.Helper()
	dir := rightsDir(t)
	err := inDomain(t, []LandlockRule{{Path: dir, Rights: given}, {Path: "/usr", Rights: LandlockExec}, {Path: "/lib", Rights: LandlockExec},
		{Path: "/lib64", Rights: LandlockExec}}, abi, func() error { return try(dir) })
	missing := needs &^ given & LandlockHandled(abi)
	refused := errors.Is(err, unix.EACCES) || errors.Is(err, unix.EXDEV)
	switch {
	case abi < 2 && needs&refer != 0:
		// Before there was a right to it, no file changed its directory.
		if !errors.Is(err, unix.EXDEV) && missing == 0 {
			t.Errorf("ABI %d, rights %#x: %v, want EXDEV", abi, given, err)
		}
	case missing != 0 && !refused:
		t.Errorf("ABI %d, without right %#x: %v, want EACCES or EXDEV", abi, missing, err)
	case missing == refer && !errors.Is(err, unix.EXDEV):
		t.Errorf("ABI %d, without refer: %v, want EXDEV", abi, err)
	case missing == 0 && refused:
		t.Errorf("ABI %d, with all rights %#x: %v", abi, given, err)
	case missing == 0 && err != nil && !(needs&(makeBlock|makeChar) != 0 && errors.Is(err, unix.EPERM)):
		// An ordinary user makes no device, which is looked at after Landlock.
		t.Errorf("ABI %d, with all rights %#x: %v", abi, given, err)
	}
}

// rightsDir makes what the attempts work on. Mode bits stand in nobody's way.
func rightsDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"dir", "full"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"file", "full/inner"} {
		if err := os.WriteFile(filepath.Join(dir, f), []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in, err := os.Open("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(filepath.Join(dir, "program"), os.O_CREATE|os.O_WRONLY, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// inDomain does something on a thread that is in a domain of its own, and that
// ends with it.
func inDomain(t *testing.T, rules []LandlockRule, abi int, do func() error) error {
	t.Helper()
	done, confined := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends
		err := noNewPrivs()
		if err == nil {
			err = restrict(rules, abi, true)
		}
		confined <- err
		if err == nil {
			done <- do()
		}
	}()
	if err := <-confined; err != nil {
		t.Fatalf("domain of ABI %d: %v", abi, err)
	}
	return <-done
}

// TestIoctlDev: /dev/ptmx answers TIOCGPTN to who has the right.
func TestIoctlDev(t *testing.T) {
	for abi := 1; abi <= LandlockABI(); abi++ {
		for _, given := range []uint64{readFile | writeFile, readFile | writeFile | ioctlDev} {
			err := inDomain(t, []LandlockRule{{Path: "/dev", Rights: given}}, abi, func() error {
				fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
				if err != nil {
					return err
				}
				defer unix.Close(fd)
				_, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
				return err
			})
			if refused := given&ioctlDev == 0 && abi >= 5; refused != errors.Is(err, unix.EACCES) || !refused && err != nil {
				t.Errorf("ABI %d, rights %#x: %v", abi, given, err)
			}
		}
	}
}

// TestNewerLandlock: a kernel that has more than is known here restricts what is.
func TestNewerLandlock(t *testing.T) {
	known := handled(7, true)
	for abi := 8; abi < 100; abi++ {
		if handled(abi, true) != known {
			t.Errorf("ABI %d: %+v, want %+v", abi, handled(abi, true), known)
		}
	}
}
