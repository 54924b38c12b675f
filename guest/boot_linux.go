package guest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/wire"
)

// Main is the guest's whole life. It does not return.
func Main() {
	// Most of what the guest does is to wait. A second processor would cost it
	// threads, each of which has to be confined, and woken to be.
	runtime.GOMAXPROCS(1)
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kavach guest:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// gcPercent makes the guest collect its garbage when there is a fifth of the 4 MB
// that Go lets gather at first (runtime, GOGC): each command leaves some 1.6 kB,
// and hundreds of guests may stay for long.
const gcPercent = 20

func run() error {
	if os.Args[len(os.Args)-1] != KeepFDs {
		if err := closeInherited(); err != nil {
			return fmt.Errorf("close descriptors: %w", err)
		}
	}
	oom, oomErr := openOOMScore() // while this process's files are its own
	if err := notDumpable(); err != nil {
		return fmt.Errorf("dumpable: %w", err)
	}
	// Commands inherit it, and the filter lets nobody change it. A core may be
	// handed to a program of the host, which runs as root: 0 does not prevent
	// that, 1 does (core(5), do_coredump), and is too small for a file.
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1, Max: 1}); err != nil {
		return fmt.Errorf("limit of cores: %w", err)
	}
	conn, err := NewGuestConn(os.NewFile(ChannelFD, "channel"))
	if err != nil {
		return err
	}
	frame, fds, err := conn.Receive()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil // the host thought better of it
		}
		return fmt.Errorf("receive the set-up: %w", err)
	}
	setup, ok := frame.(*Setup)
	if !ok {
		return fmt.Errorf("%w: %T in the place of the set-up", wire.ErrFrame, frame)
	}
	g := newGuest(conn)
	g.oom, g.oomErr = oom, oomErr
	if err := g.boot(setup, fds); err != nil {
		return errors.Join(err, conn.Send(asFailed(err)))
	}
	if err := conn.Send(&Ready{}, g.uppers...); err != nil {
		return err
	}
	wire.CloseAll(g.uppers)       // so that no command reaches them by way of the guest
	debug.SetGCPercent(gcPercent) // now that nobody waits for the guest
	return g.serve()
}

// closeInherited closes what the guest was not meant to inherit. What the runtime
// of Go waits with is its own: it has that already where its stdio does not block,
// as it is in gVisor.
func closeInherited() error {
	if os.Args[0] == Name {
		return unix.CloseRange(ChannelFD+1, ^uint(0)>>32, 0)
	}
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			return err
		}
		to, err := os.Readlink(dir + "/" + e.Name())
		if fd > ChannelFD && err == nil && !strings.HasPrefix(to, "anon_inode:[event") {
			unix.Close(fd)
		}
	}
	return nil
}

// notDumpable keeps everybody in the sandbox, whose uid the guest shares, from
// looking into it: without this it can be opened by /proc/1/mem.
func notDumpable() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

func asFailed(err error) *Failed {
	f := &Failed{Step: "set up", Detail: err.Error(), Errno: errnoOf(err)}
	var at *failure
	if errors.As(err, &at) {
		f.Step, f.Detail = at.step, at.detail
	}
	return f
}

// boot builds the place and confines what is in it. Its order matters: what
// takes a right away comes after the last step that needs it.
func (g *guest) boot(s *Setup, fds []int) error {
	unix.Umask(0)
	probe, tasks, fds, err := split(s, fds)
	if err != nil {
		return err
	}
	if !s.OOMFirst {
		g.oom.close()
	} else if g.oomErr != nil {
		return g.oomErr
	}
	if s.Bare != nil {
		return g.bootBare(s, probe, tasks)
	}
	if s.Contained {
		unix.Umask(0o022)
		g.contained = true
		return g.confine(s, probe, tasks)
	}
	if err := limitUserNS(s.Confine.UserNS); err != nil {
		return err
	}
	b := &builder{setup: s, fds: fds}
	if err := b.build(); err != nil {
		return err
	}
	closeBuilder(b)
	g.uppers = b.uppers
	unix.Umask(0o022)
	if err := unix.Sethostname([]byte(s.Hostname)); err != nil {
		return fail("hostname", s.Hostname, err)
	}
	if s.Loopback {
		if err := loopbackUp(); err != nil {
			return fail("loopback", "lo up", err)
		}
	}
	return g.confine(s, probe, tasks)
}

// confine is what follows when the place is built.
func (g *guest) confine(s *Setup, probe [2]int, tasks []int) error {
	g.rlimits, g.closeFDs = s.Rlimits, s.Confine.CloseFDs
	if err := g.startLauncher(s, tasks); err != nil {
		return err
	}
	if err := g.confineAll(&s.Confine); err != nil {
		return err
	}
	return g.begin(s, probe)
}

// begin is the end of the set-up: the probe, and what waits for commands.
func (g *guest) begin(s *Setup, probe [2]int) error {
	if s.Probe {
		if err := g.probe(probe, s); err != nil {
			return err
		}
	}
	go g.reap()
	return nil
}

// limitUserNS writes to a sysctl of the user namespace that the writer is in
// (Linux 4.9), through the procfs of the host, which still is there.
func limitUserNS(most int64) error {
	const name = "/proc/sys/user/max_user_namespaces"
	if most < 0 {
		return nil
	}
	return fail("user namespaces", name, os.WriteFile(name, strconv.AppendInt(nil, most, 10), 0))
}

// split tells the descriptors of a set-up apart: trees, cgroup files, and the
// probe's two.
func split(s *Setup, fds []int) (probe [2]int, tasks, trees []int, err error) {
	extra := int(s.Tasks)
	if s.Probe {
		extra += 2
	}
	if len(fds) < extra {
		return probe, nil, nil, fail("set up", "descriptors", unix.EBADF)
	}
	if s.Probe {
		copy(probe[:], fds[len(fds)-2:])
		fds = fds[:len(fds)-2]
	}
	n := len(fds) - int(s.Tasks)
	return probe, fds[n:], fds[:n], nil
}

func closeBuilder(b *builder) {
	unix.Close(b.root)
	unix.Close(b.stage)
	wire.CloseAll(b.fds)
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, ifr); err != nil {
		return err
	}
	ifr.SetUint16(ifr.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

// serve carries out what the host asks for, until the host is gone. Then the
// guest ends, and the kernel kills whatever else is in the PID namespace.
func (g *guest) serve() error {
	for {
		frame, fds, err := g.conn.Receive()
		if err != nil && g.bare != nil {
			g.endAll()
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch f := frame.(type) {
		case *Exec:
			go g.start(f, fds)
			continue
		case *Signal:
			g.signal(f.ID, unix.Signal(f.Signal))
		case *Resize:
			g.resize(f)
		case *Kill:
			go g.killTree(f.ID)
		default:
			wire.CloseAll(fds)
			if g.bare != nil {
				g.endAll()
			}
			return fmt.Errorf("%w: %T from the host", wire.ErrFrame, frame)
		}
		wire.CloseAll(fds)
	}
}
