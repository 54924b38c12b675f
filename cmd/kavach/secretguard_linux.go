package main

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/policy"
)

// secretGuard keeps what kavach starts, and core dumps, away from secrets.
type secretGuard struct {
	inherited map[int]openFile // beyond stdio; nil: nobody has looked
}

// openFile tells an open file from another that has its number later.
type openFile struct{ device, inode uint64 }

// guard is called before anything is started, and may be called again. Where there is
// no secret it does nothing.
func (g *secretGuard) guard(list []policy.Credential) error {
	for _, c := range list {
		kind, number := c.Where()
		if kind != policy.CredentialFD && kind != policy.CredentialStdin {
			continue
		}
		if g.inherited == nil {
			if err := g.keep(); err != nil {
				return fmt.Errorf("keep what secret %s comes from to kavach: %w", c.Name, err)
			}
		}
		if kind == policy.CredentialFD {
			if err := g.check(c.Name, number); err != nil {
				return err
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	return limitCores()
}

// keep makes all descriptors that kavach has inherited close-on-exec. It is all, since
// a shell may have left the same pipe open by another number (bash does, for <(…)).
// What a Go program opens itself is close-on-exec from the beginning, and so told apart.
func (g *secretGuard) keep() error {
	const stdio = 3 // descriptors
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	g.inherited = make(map[int]openFile)
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			return err
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if fd < stdio || err != nil || flags&unix.FD_CLOEXEC != 0 { // an error: it was for reading the directory
			continue
		}
		if g.inherited[fd], err = identify(fd); err != nil {
			return err
		}
		unix.CloseOnExec(fd)
	}
	return nil
}

// check says why a secret cannot come from a descriptor.
func (g *secretGuard) check(name, number string) error {
	fd, err := strconv.Atoi(number)
	if err != nil {
		return fmt.Errorf("secret %s: read the number of a descriptor: %w", name, err)
	}
	refuse := func(what string) error {
		return usagef(fmt.Sprintf("open it for reading where kavach is started: kavach run … %d< FILE", fd), "secret %s: descriptor %d %s", name, fd, what)
	}
	is, err := identify(fd)
	if err != nil {
		return refuse("is not open")
	}
	if was, inherited := g.inherited[fd]; !inherited || was != is {
		return refuse("was not inherited: kavach has opened it itself")
	}
	if mode, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || mode&unix.O_ACCMODE == unix.O_WRONLY {
		return refuse("is not open for reading")
	}
	return nil
}

func identify(fd int) (openFile, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	return openFile{st.Dev, st.Ino}, err
}

// limitCores makes kavach, and what it starts, leave no core. A core may be handed to
// a program of the host: a limit of 0 does not prevent that, 1 does (core(5),
// do_coredump), and is too small for a file. It is the hard limit too, so that nothing
// that is started can raise it again, unless it is root. Where the hard limit is 0 and stays so,
// such a program is handed what is not in locked memory.
func limitCores() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		return fmt.Errorf("read the limit of cores: %w", err)
	}
	none := limit.Max == 0
	limit.Cur, limit.Max = 1, 1
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &limit); err != nil && !none {
		return fmt.Errorf("limit cores, which could hold secrets: %w", err)
	}
	return nil
}
