//go:build unix

package main

import (
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/policy"
)

// secretGuard keeps what kavach starts, and core dumps, away from secrets.
type secretGuard struct {
	claimed map[int]openFile // the descriptors that secrets come from
}

// openFile tells one open file from another that has its number later.
type openFile struct{ device, inode uint64 }

// guard is called before anything is started. Where there is no secret it does nothing.
func (g *secretGuard) guard(list []policy.Credential) error {
	if len(list) == 0 {
		return nil
	}
	for _, c := range list {
		if kind, value := c.Where(); kind == policy.CredentialFD {
			if err := g.claim(c.Name, value); err != nil {
				return err
			}
		}
	}
	return limitCores()
}

// claim makes the descriptor that a secret comes from close-on-exec, so that nothing
// that kavach starts inherits it. It must be one that kavach has inherited itself:
// whatever a Go program opens is close-on-exec already, and so is told apart.
func (g *secretGuard) claim(name, number string) error {
	fd, err := strconv.Atoi(number)
	if err != nil {
		return fmt.Errorf("secret %s: read the number of a descriptor: %w", name, err)
	}
	refuse := func(what string) error {
		return usagef(fmt.Sprintf("open it for reading where kavach is started: kavach run … %d< FILE", fd), "secret %s: descriptor %d %s", name, fd, what)
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil {
		return refuse("is not open")
	}
	mode, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	var file unix.Stat_t
	if err == nil {
		err = unix.Fstat(fd, &file)
	}
	if err != nil {
		return fmt.Errorf("secret %s: look at descriptor %d: %w", name, fd, err)
	}
	is := openFile{uint64(file.Dev), file.Ino}
	own := flags&unix.FD_CLOEXEC != 0
	switch before, claimed := g.claimed[fd]; {
	case own && claimed && before == is:
		return nil
	case own:
		return refuse("was not inherited: kavach has opened it itself")
	case mode&unix.O_ACCMODE == unix.O_WRONLY:
		return refuse("is open for writing only")
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags|unix.FD_CLOEXEC); err != nil {
		return fmt.Errorf("secret %s: keep descriptor %d from what is started: %w", name, fd, err)
	}
	if g.claimed == nil {
		g.claimed = make(map[int]openFile)
	}
	g.claimed[fd] = is
	return nil
}

// limitCores makes kavach, and what it starts, leave no core. A core may be handed to
// a program of the host: a limit of 0 does not prevent that, 1 does (core(5),
// do_coredump), and is too small for a file. Where the hard limit is 0 and stays so,
// such a program is handed what is not in locked memory.
func limitCores() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		return fmt.Errorf("read the limit of cores: %w", err)
	}
	none := limit.Max == 0
	limit.Cur, limit.Max = 1, max(limit.Max, 1)
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &limit); err != nil && !none {
		return fmt.Errorf("limit cores, which could hold secrets: %w", err)
	}
	return nil
}
