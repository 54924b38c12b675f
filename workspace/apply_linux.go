package workspace

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// Apply carries out changes that Diff has listed, in their order, and says what
// became of each. Those that are protected are left out unless named has them,
// or a directory that they are in. When ctx is cancelled it stops between two
// files: what is applied by then stays.
//
// A file appears whole or not at all. A file that was there keeps its owner and
// group; a new one is the caller's. When Apply is back, everything is on disk.
func (w *Workspace) Apply(ctx context.Context, changes []Change, named []string) []Outcome {
	a := &applier{Workspace: w, ctx: ctx, base: int(w.Base.Fd()), upper: int(w.Upper.Fd())}
	out := make([]Outcome, 0, len(changes))
	for _, c := range changes {
		out = append(out, a.outcome(&c, named))
	}
	for at, err := range a.setModes() {
		out[slices.IndexFunc(out, func(o Outcome) bool { return o.Path == at && o.Type == Dir && o.Kind != Deleted })].fail(err)
	}
	a.sync(out)
	return out
}

type applier struct {
	*Workspace
	ctx         context.Context //nolint:containedctx // of the one Apply
	base, upper int
	dirs        []dirMode // set at the end, as a mode may forbid what comes before
}

type dirMode struct {
	path string
	mode uint32
	was  identity
}

// errConflict is why something is left as it is on the host.
type errConflict string

func (e errConflict) Error() string { return string(e) }

// errRefused is why something is never applied, where only Apply can tell.
type errRefused string

func (e errRefused) Error() string { return string(e) }

func (o *Outcome) fail(err error) {
	var conflict errConflict
	var refused errRefused
	switch {
	case errors.As(err, &conflict):
		o.State = Conflict
	case errors.As(err, &refused):
		o.State = Refused
	default:
		o.State = Failed
	}
	o.Reason = err.Error()
}

func (a *applier) outcome(c *Change, named []string) Outcome {
	o := Outcome{Change: *c}
	o.State, o.Reason = c.Verdict(named)
	if o.State != Applied {
		return o
	}
	if err := a.ctx.Err(); err != nil {
		o.State, o.Reason = Skipped, err.Error()
	} else if err := a.apply(c); err != nil {
		o.fail(err)
	}
	return o
}

// apply carries out one change, in the directory that it is in.
func (a *applier) apply(c *Change) error {
	dir, err := openBeneath(a.base, path.Dir(c.Path), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return whyNoDir(err)
	}
	defer unix.Close(dir)
	name := path.Base(c.Path)
	if err := check(dir, name, c.base); err != nil {
		return err
	}
	switch {
	case c.Kind == Deleted:
		return remove(dir, name, c.Type)
	case c.Type == Dir:
		return a.directory(dir, name, c)
	case c.Kind == Mode:
		return a.mode(dir, name, c, c.Mode)
	case c.Type == Symlink:
		return a.link(dir, name, c)
	case c.Type == File:
		return a.file(dir, name, c)
	}
	return errRefused("devices, fifos and sockets are never applied")
}

func whyNoDir(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return errConflict("the directory that it is in is not there")
	case errors.Is(err, unix.ELOOP):
		return errConflict("a link leads to the directory that it is in")
	case errors.Is(err, unix.EXDEV):
		return errConflict("the directory that it is in is on another mount")
	}
	return fmt.Errorf("open the directory that it is in: %w", err)
}

// check holds what the host has at name against what it had when the changes
// were listed.
func check(dir int, name string, was identity) error {
	now, ok, err := find(dir, name)
	if errors.Is(err, unix.EXDEV) {
		return errConflict("something was mounted there")
	}
	if err != nil {
		return err
	}
	if ok {
		unix.Close(now.fd)
	}
	switch {
	case ok && !was.exists():
		return errConflict("something was made there on the host")
	case !ok && was.exists():
		return errConflict("it was removed on the host")
	case ok && !was.same(now.identity):
		return errConflict("it was changed on the host")
	}
	return nil
}

func remove(dir int, name string, t Type) error {
	flags := 0
	if t == Dir {
		flags = unix.AT_REMOVEDIR
	}
	err := unix.Unlinkat(dir, name, flags)
	switch {
	case errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EEXIST):
		return errConflict("there is something in it that stays")
	case errors.Is(err, unix.EBUSY):
		return errConflict("something is mounted there")
	}
	return err
}

// ownerMode lets Apply, which as a rule is its owner, work in a directory.
const ownerMode = 0o700

// directory makes one, or notes the mode of one that is there. Its owner gets
// what the mode gives right away, as there may be more to do in it.
func (a *applier) directory(dir int, name string, c *Change) error {
	was := c.base
	if c.Kind == Mode {
		if err := a.mode(dir, name, c, was.mode|c.Mode&ownerMode); err != nil {
			return err
		}
	}
	if c.Kind == Added {
		err := unix.Mkdirat(dir, name, ownerMode)
		if errors.Is(err, unix.EEXIST) {
			return errConflict("something was made there on the host")
		}
		if err != nil {
			return err
		}
		made, ok, err := find(dir, name)
		if err != nil || !ok {
			return errConflict("it was removed on the host")
		}
		unix.Close(made.fd)
		was = made.identity
	}
	a.dirs = append(a.dirs, dirMode{c.Path, c.Mode, was})
	return nil
}

// setModes gives directories their modes, the inner ones first. What a directory
// has of setuid, setgid and sticky stays: it is the host's.
func (a *applier) setModes() map[string]error {
	failed := make(map[string]error)
	for _, d := range slices.Backward(a.dirs) {
		at, ok, err := find(a.base, d.path)
		switch {
		case err != nil:
			failed[d.path] = whyNoDir(err)
			continue
		case !ok:
			failed[d.path] = errConflict("it was removed on the host")
			continue
		case !d.was.same(at.identity):
			failed[d.path] = errConflict("it was changed on the host")
		default:
			if err := chmodPath(at.fd, d.mode|at.identity.mode&special); err != nil {
				failed[d.path] = fmt.Errorf("set its mode: %w", err)
			}
		}
		unix.Close(at.fd)
	}
	return failed
}

// mode changes that of a file which is there.
func (a *applier) mode(dir int, name string, c *Change, mode uint32) error {
	at, ok, err := find(dir, name)
	if err != nil {
		return err
	}
	if !ok {
		return errConflict("it was removed on the host")
	}
	defer unix.Close(at.fd)
	if !c.base.same(at.identity) {
		return errConflict("it was changed on the host")
	}
	var st unix.Stat_t
	if err := unix.Fstat(at.fd, &st); err != nil {
		return err
	}
	if c.Type == File && st.Nlink > 1 {
		return errRefused("the file has other names (hard links), which would change as well")
	}
	return chmodPath(at.fd, mode&(permissions|special))
}

// link makes a symbolic link, if the kernel agrees that it stays inside.
func (a *applier) link(dir int, name string, c *Change) error {
	if why := a.leadsOut(c); why != "" {
		return errRefused(why)
	}
	draft := draftName()
	if err := unix.Symlinkat(c.Target, dir, draft); err != nil {
		return err
	}
	return settle(dir, draft, name, c)
}

// leadsOut resolves a link as a program of the host would, as far as it leads.
// What is not there yet cannot lead anywhere; what is made later is looked at
// itself. So no links of the sandbox's alone lead out, however they are put
// together; with one of the host's own that leads out several of them still may,
// when a later Apply moves what is in between.
func (a *applier) leadsOut(c *Change) string {
	fd, err := unix.Openat2(a.base, targetPath(c.Path, c.Target), &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS,
	})
	switch {
	case err == nil:
		unix.Close(fd)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
	case errors.Is(err, unix.EXDEV):
		return "by a link of the host's own it leads out of the workspace"
	default:
		return fmt.Sprintf("where it leads cannot be told: %v", err)
	}
	return ""
}

// draftName is a name that nobody knows beforehand.
func draftName() string { return ".kavach-" + rand.Text() }

// settle gives a draft its name, if what has the name now is what it was.
func settle(dir int, draft, name string, c *Change) error {
	err := check(dir, name, c.base)
	if err == nil && c.base.exists() {
		err = unix.Renameat(dir, draft, dir, name)
	} else if err == nil {
		err = renameNew(dir, draft, name)
	}
	if err != nil {
		return errors.Join(err, unix.Unlinkat(dir, draft, 0))
	}
	return nil
}

// renameNew renames where nothing must be. A file system without that (vfat,
// some FUSE) gets it in two steps.
func renameNew(dir int, draft, name string) error {
	err := unix.Renameat2(dir, draft, dir, name, unix.RENAME_NOREPLACE)
	switch {
	case errors.Is(err, unix.EEXIST):
		return errConflict("something was made there on the host")
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		if err := check(dir, name, identity{}); err != nil {
			return err
		}
		return unix.Renameat(dir, draft, dir, name)
	}
	return err
}

// sync brings everything to disk: one call for all, instead of one a file.
func (a *applier) sync(out []Outcome) {
	last := -1
	for i := range out {
		if out[i].State == Applied {
			last = i
		}
	}
	if last < 0 {
		return
	}
	fd, err := openBeneath(a.base, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err == nil {
		err = unix.Syncfs(fd)
		unix.Close(fd)
	}
	if err != nil {
		out[last].fail(fmt.Errorf("bring the changes to disk: %w", err))
	}
}
