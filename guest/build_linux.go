package guest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// failure is an error of one named step.
type failure struct {
	step, detail string
	err          error
}

func (f *failure) Error() string { return f.step + " " + f.detail + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// fail names the step that failed, unless err does already.
func fail(step, detail string, err error) error {
	var known *failure
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &failure{step, detail, err}
}

// builder makes the new root.
//
// Everything of the sandbox's own is on one tmpfs, the stage, which is bounded
// as a whole. The root directory is a directory of it, bound onto itself (or an
// overlay whose upper layer is on it), so that it can be read-only while /tmp,
// another directory of it, is not. At the end the stage itself is let go with
// the old root, and only what was bound out of it stays reachable.
type builder struct {
	setup *Setup
	fds   []int // that came with the set-up and are not used yet
	trees []int // for each op the tree to attach, or -1
	stage int
	place string // where the stage is
	root  int
	dirs  int // scratch directories made

	// openDir is the directory of the new root that was last worked in. An empty
	// path: none.
	openDir struct {
		path string
		fd   int
	}

	uppers []int // the upper directories of the workspaces made, and what OpMemory made

	layers   []int // trees of the next overlay, the lowest first
	overlays int   // made so far
}

// stagePlaces are directories of which each Linux has one, to mount the stage
// over, in a mount namespace that nobody else sees.
var stagePlaces = []string{"/tmp", "/run", "/mnt", "/usr"}

func (b *builder) build() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fail("mount", "/ private", err)
	}
	// Sources first: the stage may hide them.
	if err := b.openSources(); err != nil {
		return err
	}
	if err := b.makeStage(); err != nil {
		return err
	}
	if err := b.makeRoot(); err != nil {
		return err
	}
	for i := range b.setup.Ops {
		op := &b.setup.Ops[i]
		if err := b.do(op, b.trees[i]); err != nil {
			step := "build root"
			if op.Kind == OpWorkspace {
				step = "make a writable mount, which needs overlayfs in user namespaces (Linux 5.11), at"
			}
			return fail(step, op.Path, err)
		}
	}
	b.forget("/")
	if b.setup.RootReadonly {
		if err := setAttr(b.root, unix.MOUNT_ATTR_RDONLY, 0); err != nil {
			return fail("build root", "read-only", err)
		}
	}
	if !b.setup.Pivot {
		return fail("build root", "undo", unix.Unmount(b.place, unix.MNT_DETACH))
	}
	return pivot(b.root)
}

// openSources takes a private copy of each tree that will be bound.
func (b *builder) openSources() error {
	b.trees = make([]int, len(b.setup.Ops))
	for i := range b.setup.Ops {
		op := &b.setup.Ops[i]
		b.trees[i] = -1
		if op.Kind != OpBind && op.Kind != OpLayer && op.Kind != OpWorkspace && (op.Kind != OpMemory || op.Flags&BindFD == 0) {
			continue
		}
		tree, err := b.openSource(op)
		if op.Flags&BindMaybe != 0 && errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return fail("open mount source", op.Source, err)
		}
		b.trees[i] = tree
	}
	return nil
}

func (b *builder) openSource(op *Op) (int, error) {
	if op.Flags&BindFD != 0 {
		if len(b.fds) == 0 {
			return -1, unix.EBADF
		}
		tree := b.fds[0]
		b.fds = b.fds[1:]
		return tree, nil // the host has set its attributes
	}
	if op.Dev == 0 && op.Ino == 0 {
		// Not what a caller named, but a directory or device of the system.
		return cloneTree(unix.AT_FDCWD, op.Source, op)
	}
	return CloneTree(op)
}

// OpenSource opens (O_PATH) what a caller named, without following any symbolic
// link. What is there must have this dev and ino: the path was resolved earlier,
// and a directory may have been swapped for a link since then (CVE-2021-30465).
func OpenSource(path string, dev, ino uint64) (fd int, err error) {
	fd, err = unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	if err == nil && (st.Dev != dev || st.Ino != ino) {
		err = fmt.Errorf("it is not what it was a moment ago: %w", unix.ESTALE)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// CloneTree opens the source of op, which OpenSource finds, as a private copy of
// its mounts that is read-only (unless the op says otherwise), nosuid and nodev
// (unless it is a device).
//
// For an OpWorkspace it is that mount alone. An overlay does not show what is
// mounted below its lower directory, and the kernel refuses one that has mounts
// which came from another user namespace (clone_private_mount).
func CloneTree(op *Op) (int, error) {
	fd, err := OpenSource(op.Source, op.Dev, op.Ino)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	return cloneTree(fd, "", op)
}

func cloneTree(at int, path string, op *Op) (int, error) {
	recursive := uint(unix.AT_RECURSIVE)
	if op.Kind == OpWorkspace {
		recursive = 0
	}
	tree, err := unix.OpenTree(at, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|
		unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW|recursive)
	if err != nil {
		return -1, err
	}
	attr := uint64(unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV)
	switch {
	case op.Flags&BindAsIs != 0:
		return tree, nil
	case op.Flags&BindDevice != 0:
		attr = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC
	case op.Flags&BindWrite != 0:
		attr = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	}
	if err := setAttr(tree, attr, recursive); err != nil {
		unix.Close(tree)
		return -1, err
	}
	return tree, nil
}

func setAttr(fd int, attr uint64, flags uint) error {
	return unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|flags, &unix.MountAttr{Attr_set: attr})
}

// makeStage mounts the tmpfs that bounds all that the sandbox writes.
func (b *builder) makeStage() (err error) {
	b.stage, err = newMount("tmpfs", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV, [][2]string{
		{"size", fmt.Sprint(b.setup.Scratch)}, {"nr_inodes", fmt.Sprint(b.setup.ScratchInodes)}, {"mode", "0755"},
	})
	if err != nil {
		return fail("mount", "tmpfs", err)
	}
	for _, b.place = range stagePlaces {
		err = unix.MoveMount(b.stage, "", unix.AT_FDCWD, b.place, unix.MOVE_MOUNT_F_EMPTY_PATH)
		if err == nil {
			return nil
		}
	}
	return fail("mount", "tmpfs on "+strings.Join(stagePlaces, ", "), err)
}

// NewMount makes a file system that is not attached anywhere yet, with nothing in it
// to be executed.
func NewMount(fstype string, options [][2]string) (int, error) {
	return newMount(fstype, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC, options)
}

// newMount makes a file system that is not attached anywhere yet.
func newMount(fstype string, attr int, options [][2]string) (int, error) {
	fs, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	for _, o := range options {
		if o[1] == "" {
			err = unix.FsconfigSetFlag(fs, o[0])
		} else {
			err = unix.FsconfigSetString(fs, o[0], o[1])
		}
		if err != nil {
			return -1, fmt.Errorf("option %s=%s: %w", o[0], o[1], err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attr)
}

// makeRoot makes the mount that will be the root directory.
func (b *builder) makeRoot() (err error) {
	for _, dir := range []string{"root", "empty.d"} {
		if err := unix.Mkdirat(b.stage, dir, 0o755); err != nil {
			return fail("build root", dir, err)
		}
	}
	fd, err := unix.Openat(b.stage, "empty.f", unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_WRONLY, 0o444)
	if err != nil {
		return fail("build root", "empty.f", err)
	}
	unix.Close(fd)
	if top := b.rootOfLayers(); top != nil {
		b.root, err = b.merge(top)
	} else {
		b.root, err = b.cloneStage("root", 0)
	}
	if err != nil {
		return fail("build root", "root mount", err)
	}
	return fail("build root", "attach root",
		unix.MoveMount(b.root, "", b.stage, "root", unix.MOVE_MOUNT_F_EMPTY_PATH))
}

// rootOfLayers is the op that makes of layers, with which the ops begin, the root
// directory itself. These are then taken. Nil: there is none.
func (b *builder) rootOfLayers() *Op {
	ops := b.setup.Ops
	n := 0
	for n < len(ops) && ops[n].Kind == OpLayer {
		n++
	}
	if n == 0 || n == len(ops) || ops[n].Kind != OpOverlay && ops[n].Kind != OpCopy || ops[n].Path != "/" {
		return nil
	}
	b.layers = slices.Clone(b.trees[:n])
	b.setup.Ops, b.trees = ops[n+1:], b.trees[n+1:]
	return &ops[n]
}

// merge makes one tree of the layers before op.
func (b *builder) merge(op *Op) (int, error) {
	if op.Kind == OpCopy {
		return b.copyLayers()
	}
	return b.overlay(op.Data)
}

// cloneStage takes a directory or file of the stage as a mount of its own.
func (b *builder) cloneStage(name string, attr uint64) (int, error) {
	fd, err := unix.OpenTree(b.stage, name, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, err
	}
	if attr != 0 {
		err = setAttr(fd, attr, 0)
	}
	return fd, err
}

// pivot makes root the root directory and lets go of the old one. Both
// arguments of pivot_root are ".", pivot_root(2): the old root ends up on top of
// the new one, where it is unmounted.
func pivot(root int) error {
	if err := unix.Fchdir(root); err != nil {
		return fail("pivot", "fchdir", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fail("pivot", "pivot_root", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fail("pivot", "unmount the old root", err)
	}
	return fail("pivot", "chdir /", unix.Chdir("/"))
}

// errnoOf finds the kernel's number in an error, for the frame that tells it.
func errnoOf(err error) uint32 {
	var e syscall.Errno
	if errors.As(err, &e) {
		return uint32(e)
	}
	return uint32(unix.EIO)
}
