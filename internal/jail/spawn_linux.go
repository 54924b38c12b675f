package jail

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/agent"
	"github.com/kavach-dev/kavach/internal/cgroup"
	"github.com/kavach-dev/kavach/policy"
)

// namespaces are the layers that are clone(2) flags.
var namespaces = []struct {
	layer policy.Control
	flag  uintptr
}{
	{policy.NSPid, unix.CLONE_NEWPID}, {policy.NSMount, unix.CLONE_NEWNS}, {policy.NSNet, unix.CLONE_NEWNET},
	{policy.NSIpc, unix.CLONE_NEWIPC}, {policy.NSUts, unix.CLONE_NEWUTS}, {policy.NSCgroup, unix.CLONE_NEWCGROUP},
	{policy.NSUser, unix.CLONE_NEWUSER},
}

// spawn clones the guest into its namespaces.
func (j *Jail) spawn() error {
	program, err := guestProgram(j.cfg.Guest, j.ids.root)
	if err != nil {
		return err
	}
	conn, theirs, err := guest.NewChannel()
	if err != nil {
		return err
	}
	defer theirs.Close()
	j.conn = conn
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	said, stderr, err := agent.NewTail()
	if err != nil {
		return err
	}
	defer stderr.Close()
	j.said = said
	if err := j.startProcess(program, []*os.File{null, null, stderr, theirs}); err != nil {
		if j.cfg.Bare != nil {
			return fmt.Errorf("start the guest as user %d: %w", j.ids.uid, err)
		}
		return explainClone(err)
	}
	return nil
}

// env is an environment with nothing of ours in it, unless that layer is left
// out.
func (j *Jail) env(env []string) []string {
	if j.cfg.with(policy.EnvClean) {
		return env
	}
	return append(os.Environ(), env...)
}

// startProcess starts the guest.
func (j *Jail) startProcess(program *os.File, files []*os.File) error {
	g := &guestClone{program: program, args: []string{guest.Name}, env: j.env(nil), files: files}
	if !j.cfg.with(policy.FDsClean) {
		g.args = append(g.args, guest.KeepFDs)
	}
	if cgroup.Unified() && j.group != nil { // else the group is being made meanwhile
		into, err := j.group.Open()
		if err != nil {
			return err
		}
		defer into.Close() // nil: there is nothing to be started in
		g.cgroup = into
	}
	if j.cfg.Bare != nil {
		g.user = j.bareUser()
		return j.startIn(g)
	}
	for _, ns := range namespaces {
		if j.cfg.with(ns.layer) {
			g.flags |= ns.flag
		}
	}
	if j.cfg.with(policy.NSUser) {
		g.ids = &idMaps{
			uid: j.cfg.UID, gid: j.cfg.GID, hostUID: j.ids.uid, hostGID: j.ids.gid,
			first: j.ids.first, count: j.ids.count, setgroups: j.ids.root,
		}
		if j.cfg.Container != nil { // the runtime is root there, and the commands' user the container's matter
			g.ids.uid, g.ids.gid = 0, 0
		}
	}
	return j.startIn(g)
}

// startIn starts the guest in its group. In containers whose filter refuses
// clone3(2), which alone can do that, it is started where this process is, and
// moved before it is told anything, which costs an RCU grace period.
func (j *Jail) startIn(g *guestClone) (err error) {
	if j.process, err = startChild(g); !errors.Is(err, unix.ENOSYS) || g.cgroup == nil {
		return err
	}
	g.cgroup = nil
	if j.process, err = startChild(g); err != nil {
		return err
	}
	return j.group.Move(j.process.pid)
}

// explainClone says what to do where the kernel refuses namespaces.
func explainClone(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EINVAL) {
		return &NamespaceError{err}
	}
	return fmt.Errorf("start the guest: %w", err)
}

// asNamespaceError says of a set-up that failed whether the kernel gave the
// guest namespaces and no power in them, as AppArmor on Ubuntu does, or a filter
// on mount(2). Nil: it failed otherwise.
func asNamespaceError(f *guest.Failed) error {
	denied := f.Errno == uint32(unix.EPERM) || f.Errno == uint32(unix.EACCES)
	if denied && (f.Step == "user namespaces" || f.Step == "mount") {
		return &NamespaceError{fmt.Errorf("in new namespaces: %w", f)}
	}
	return nil
}

// NamespaceFix says what to do where a kernel does.
const NamespaceFix = "kavach doctor says which setting refuses it, and how to allow it; or run as root"

// NamespaceError says that the kernel refused new namespaces.
type NamespaceError struct{ Err error }

func (e *NamespaceError) Error() string {
	return fmt.Sprintf("the kernel refuses namespaces: %v", e.Err)
}

func (e *NamespaceError) Unwrap() error { return e.Err }
