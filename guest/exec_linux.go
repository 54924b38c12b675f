package guest

import (
	"errors"
	"path"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/wire"
)

// guest is the agent.
type guest struct {
	conn        *Conn
	launches    chan func() // run by the launcher, one after another
	launcherTID chan int    // holds its thread id, until somebody wants it
	rlimits     []Rlimit
	closeFDs    bool
	oom         oomScore
	oomErr      error         // why there is none
	uppers      []int         // of the workspaces, until Ready
	bare        *Bare         // nil: it has namespaces of its own
	contained   bool          // a runtime made the place
	scoped      bool          // bare, and its commands may signal each other only
	forked      chan struct{} // holds one token when there may be a child to wait for

	mu    sync.Mutex // guards what follows; held from before a fork until its child is known
	byID  map[uint32]*command
	byPID map[int]*command

	sessions map[int]*command // see maker; nil: nobody's
	ending   bool             // nothing is started any more
}

// command is one that runs.
type command struct {
	id      uint32
	pid     int // also its session and its process group
	started uint64
	denials map[int64]DeniedCall // by number

	terminal *terminal // its own; nil: none

	// Until its execve has succeeded or failed, its end is only kept here.
	launching bool
	exited    *Exited

	// condemned: it is being killed, and its end is told when all that it
	// started is dead.
	condemned bool
}

func newGuest(conn *Conn) *guest {
	return &guest{
		conn: conn, forked: make(chan struct{}, 1),
		byID: make(map[uint32]*command), byPID: make(map[int]*command),
		sessions: make(map[int]*command),
	}
}

// start executes a command, and tells the host what came of it.
func (g *guest) start(f *Exec, fds []int) {
	defer func() { wire.CloseAll(fds) }()
	refuse := func(step string, err error) {
		_ = g.conn.Send(&Refused{ID: f.ID, Step: step, Errno: errnoOf(err)}) // a host that is gone needs no answer
	}
	places, err := f.places(len(fds))
	if err != nil {
		refuse("frame", err)
		return
	}
	file, err := lookup(f.Args[0], f.Env, f.Dir)
	if err != nil {
		refuse("lookup", err)
		return
	}
	if err := above(fds, len(places)); err != nil {
		refuse("descriptors", err)
		return
	}
	spec := &childSpec{files: places}
	for i, at := range places {
		if at >= 0 {
			places[i] = fds[at]
		}
	}
	if err := spec.fill(file, f); err != nil {
		refuse("arguments", err)
		return
	}
	if len(f.Given) > 0 {
		held, err := spec.give(f.Given, fds[len(fds)-1])
		if err != nil {
			refuse("secrets", err)
			return
		}
		defer held.Free() // by then the command has its own, or there is none
	}
	if f.Terminal {
		if spec.terminal, err = openTerminal(f.Rows, f.Cols); err != nil {
			refuse("terminal", err)
			return
		}
		for i := range stdio {
			spec.files[i] = spec.terminal.slave
		}
	}
	at, err := g.fork(spec, f.ID)
	if err != nil {
		refuse(at, err)
	}
	switch {
	case spec.terminal == nil:
	case err != nil:
		spec.terminal.close()
	default:
		stdin, stdout := fds[0], fds[1]
		fds = fds[2:]
		spec.terminal.serve(stdin, stdout)
	}
}

// stdio is how many descriptors each command has.
const stdio = 3

// places says which of n descriptors that came with f each descriptor of the command
// is, from 0 on; -1: none.
func (f *Exec) places(n int) ([]int, error) {
	const most = 1 << 10
	own := stdio + len(f.FDs)
	if len(f.Given) > 0 {
		own++
	}
	if n != own || len(f.Args) == 0 {
		return nil, unix.EINVAL
	}
	places := []int{0, 1, 2}
	for i, fd := range f.FDs {
		if fd < uint32(len(places)) || fd >= most {
			return nil, unix.EBADF
		}
		for len(places) < int(fd) {
			places = append(places, -1)
		}
		places = append(places, stdio+i)
	}
	return places, nil
}

// above moves descriptors to where the places of a child, so many, do not reach, so
// that none is overwritten before it is put in its own.
func above(fds []int, places int) error {
	for i, fd := range fds {
		if fd >= places {
			continue
		}
		moved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, places)
		if errors.Is(err, unix.EINVAL) {
			err = unix.EMFILE // there may be no such number (RLIMIT_NOFILE): it says so
		}
		if err != nil {
			return err
		}
		unix.Close(fd)
		fds[i] = moved
	}
	return nil
}

// fill puts strings where a child can use them.
func (c *childSpec) fill(file string, f *Exec) (err error) {
	if c.path, err = unix.BytePtrFromString(file); err != nil {
		return err
	}
	if c.dir, err = unix.BytePtrFromString(f.Dir); err != nil {
		return err
	}
	if c.argv, err = syscall.SlicePtrFromStrings(f.Args); err != nil {
		return err
	}
	c.env, err = syscall.SlicePtrFromStrings(f.Env)
	return err
}

// fork runs a child on the launcher thread and waits for its execve.
func (g *guest) fork(c *childSpec, id uint32) (at string, err error) {
	g.prepare(c)
	if err := g.forkKnown(c, id); err != nil {
		return "fork", err
	}
	g.launched(id, c.failed.at == 0)
	if c.failed.at != 0 {
		return stepNames[c.failed.at], c.failed.err
	}
	return "", nil
}

// prepare gives a child what is the same for all.
func (g *guest) prepare(c *childSpec) {
	c.closeFDs, c.endWithGuest = g.closeFDs, g.bare != nil
	c.how = unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC}
	if g.closeFDs { // a working directory is a descriptor of its own kind
		c.how.Resolve = unix.RESOLVE_NO_MAGICLINKS
	}
	c.rlimits = g.rlimits
	for _, r := range g.rlimits {
		c.values = append(c.values, unix.Rlimit{Cur: r.Value, Max: r.Value})
	}
}

// forkKnown forks, and nobody looks at the commands before this one is known.
func (g *guest) forkKnown(c *childSpec, id uint32) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ending {
		return unix.ECANCELED
	}
	var pid int
	var errno syscall.Errno
	g.onLauncher(func() {
		g.oom.raise()
		pid, errno = forkChild(c)
		g.oom.restore()
	})
	if errno != 0 {
		return errno
	}
	started, _ := StartTime(pid) // not reaped yet, so it is there
	cmd := &command{id: id, pid: pid, started: started, denials: make(map[int64]DeniedCall), terminal: c.terminal, launching: true}
	clear(g.sessions)
	g.byPID[pid], g.byID[id] = cmd, cmd
	g.wakeReaper()
	return nil
}

// onLauncher does something on the launcher's thread. Whoever holds g.mu finds it
// idle, as all that it does once there are commands is done under g.mu.
func (g *guest) onLauncher(do func()) {
	done := make(chan struct{})
	g.launches <- func() { do(); close(done) }
	<-done
}

// wakeReaper says that there is a child to wait for.
func (g *guest) wakeReaper() {
	select {
	case g.forked <- struct{}{}:
	default:
	}
}

// launched tells the host of a command that was executed, and of its end if it
// has ended already; one that was not is forgotten.
func (g *guest) launched(id uint32, executed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	cmd := g.byID[id]
	cmd.launching = false
	if !executed {
		delete(g.byID, id)
		cmd.id = 0 // its end is nobody's news
		return
	}
	_ = g.conn.Send(&Started{ID: id}) // a host that is gone needs no answer
	if cmd.exited != nil && !cmd.condemned {
		g.report(cmd)
	}
}

// report tells the host of the end of a command. g.mu is held.
func (g *guest) report(cmd *command) {
	delete(g.byID, cmd.id)
	clear(g.sessions)
	for _, call := range cmd.denials {
		cmd.exited.Denials = append(cmd.exited.Denials, call)
	}
	_ = g.conn.Send(cmd.exited) // a host that is gone needs no answer
}

// lookup finds a command as execvp(3) does, with the PATH that the command will
// have.
func lookup(name string, env []string, dir string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil // execve says what is wrong with it
	}
	var list string
	for _, kv := range env {
		if value, ok := strings.CutPrefix(kv, "PATH="); ok {
			list = value
		}
	}
	found := error(unix.ENOENT)
	for _, in := range strings.Split(list, ":") {
		p := path.Join(dir, in, name)
		if path.IsAbs(in) {
			p = path.Join(in, name)
		}
		var st unix.Stat_t
		if err := unix.Stat(p, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		if err := unix.Faccessat(unix.AT_FDCWD, p, unix.X_OK, unix.AT_EACCESS); err != nil {
			found = unix.EACCES // as a shell does: somewhere, but not executable
			continue
		}
		return p, nil
	}
	return "", found
}

// probe forks a probe, as a command is forked, and waits until the host is done
// with it. It is in the guest's memory meanwhile, as a command is until its
// execve, so nothing but it and what answers for the filter runs until then.
func (g *guest) probe(fds [2]int, s *Setup) error {
	hostFile := make([]byte, 4096)
	n, err := unix.Read(fds[0], hostFile)
	if err != nil {
		return fail("probe", "name of the host's file", err)
	}
	p, err := newProbeSpec(string(hostFile[:n]), g.bare, s)
	if err != nil {
		return fail("probe", "prepare", err)
	}
	spec := &childSpec{files: []int{fds[0], fds[1], fds[1]}, probe: p}
	if err := spec.fill("/", &Exec{Dir: "/", Args: []string{"probe"}}); err != nil {
		return fail("probe", "prepare", err)
	}
	g.prepare(spec)
	runtime.GOMAXPROCS(2) // the launcher keeps one to itself until the probe has ended
	g.onLauncher(func() {
		pid, errno := forkChild(spec)
		if errno != 0 {
			err = errno
			return
		}
		// It has ended, and is to be gone: kill(-1) finds the dead as well.
		_, err = unix.Wait4(pid, nil, unix.WALL, nil)
	})
	runtime.GOMAXPROCS(1)
	wire.CloseAll(fds[:])
	if err != nil {
		return fail("probe", "fork", err)
	}
	if spec.failed.at != 0 {
		return fail("probe", stepNames[spec.failed.at], spec.failed.err)
	}
	return fail("dumpable", "after the probe", notDumpable())
}
