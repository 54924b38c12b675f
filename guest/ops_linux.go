package guest

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// do carries out one op. Each path is walked from the new root, component by
// component, and no symbolic link is followed: an image may hold any
// (CVE-2019-19921).
func (b *builder) do(op *Op, tree int) error {
	switch op.Kind {
	case OpLayer:
		b.layers = append(b.layers, tree)
		return nil
	case OpOverlay, OpCopy:
		if op.Path == "/" {
			return nil // makeRoot did it
		}
		tree, err := b.merge(op)
		if err != nil {
			return err
		}
		return b.attachMade(tree, op.Path)
	case OpDir:
		return b.mkdir(op.Path, op.Mode)
	case OpFile:
		return b.writeFile(op)
	case OpSymlink:
		dir, base, err := b.parent(op.Path)
		if err != nil {
			return err
		}
		err = unix.Symlinkat(op.Source, dir, base)
		if errors.Is(err, unix.EEXIST) {
			return nil // an image brought its own
		}
		return err
	case OpBind:
		if tree < 0 {
			return nil
		}
		return b.attachMade(tree, op.Path)
	case OpScratch:
		return b.scratch(op)
	case OpWorkspace:
		return b.workspace(op, tree)
	case OpPin:
		if err := b.mkdir(op.Path, 0o755); err != nil {
			return err
		}
		return b.cover(op.Path, copyTree)
	case OpMemory:
		return b.memory(op, tree)
	case OpProc:
		return b.mountNew("proc", op.Path, nil)
	case OpDevpts:
		options := [][2]string{{"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}}
		if op.Data != "" {
			options = append(options, [2]string{"max", op.Data})
		}
		return b.mountNew("devpts", op.Path, options)
	case OpCgroup:
		err := b.mountNew("cgroup2", op.Path, nil)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EBUSY) || errors.Is(err, unix.ENODEV) {
			return b.mkdir(op.Path, 0o755)
		}
		return err
	case OpMask:
		return b.cover(op.Path, b.mask)
	case OpReadonly:
		return b.cover(op.Path, b.readonly)
	}
	return fmt.Errorf("op %d: %w", op.Kind, unix.EINVAL)
}

func beneath(flags uint64) *unix.OpenHow {
	return &unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
}

// lookup opens what is at p in the new root.
func (b *builder) lookup(p string) (int, error) {
	return unix.Openat2(b.root, rel(p), beneath(unix.O_PATH))
}

func rel(p string) string {
	if p = strings.TrimPrefix(path.Clean(p), "/"); p != "" {
		return p
	}
	return "."
}

// parent opens the directory that p is in, and makes it where it is not there.
// It stays open, and is the builder's: the next op often is in the same.
func (b *builder) parent(p string) (dir int, base string, err error) {
	p = path.Clean(p)
	parent := path.Dir(p)
	if parent == b.openDir.path {
		return b.openDir.fd, path.Base(p), nil
	}
	dir, err = unix.Openat2(b.root, rel(parent), beneath(unix.O_PATH|unix.O_DIRECTORY))
	if errors.Is(err, unix.ENOENT) {
		if err = b.mkdir(parent, 0o755); err == nil {
			dir, err = unix.Openat2(b.root, rel(parent), beneath(unix.O_PATH|unix.O_DIRECTORY))
		}
	}
	if err != nil {
		return -1, "", err
	}
	b.forget("/")
	b.openDir.path, b.openDir.fd = parent, dir
	return dir, path.Base(p), nil
}

// forget closes the open directory where it is p or below it: something has been
// put over p, and what is open is hidden now.
func (b *builder) forget(p string) {
	if at := b.openDir.path; at != "" && (p == "/" || at == p || strings.HasPrefix(at, p+"/")) {
		unix.Close(b.openDir.fd)
		b.openDir.path = ""
	}
}

// mkdir makes a directory with exactly this mode, and its parents. One that is
// there already keeps its mode.
func (b *builder) mkdir(p string, mode uint32) error {
	if p == "/" {
		return nil
	}
	dir, base, err := b.parent(p)
	if err != nil {
		return err
	}
	err = unix.Mkdirat(dir, base, mode)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	fd, err := unix.Openat2(dir, base, beneath(unix.O_PATH|unix.O_DIRECTORY))
	if err != nil {
		return err // a file, or a link in the place of a directory
	}
	return unix.Close(fd)
}

func (b *builder) writeFile(op *Op) error {
	dir, base, err := b.parent(op.Path)
	if err != nil {
		return err
	}
	if op.Flags&FileReplace != 0 {
		if err := unix.Unlinkat(dir, base, 0); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	how := beneath(unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC | unix.O_NOFOLLOW)
	how.Mode = uint64(op.Mode)
	fd, err := unix.Openat2(dir, base, how)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for data := []byte(op.Data); len(data) > 0; {
		n, err := unix.Write(fd, data)
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// attachMade attaches a tree at p, makes the directory or file to do it on, and
// closes the tree.
func (b *builder) attachMade(tree int, p string) error {
	defer unix.Close(tree)
	var st unix.Stat_t
	if err := unix.Fstat(tree, &st); err != nil {
		return err
	}
	dir, base, err := b.parent(p)
	if err != nil {
		return err
	}
	how := beneath(unix.O_PATH)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		how.Flags |= unix.O_DIRECTORY // an image may have a file there
		err = unix.Mkdirat(dir, base, 0o755)
	} else {
		err = unix.Mknodat(dir, base, unix.S_IFREG|0o644, 0)
	}
	if err == nil { // it is ours, and so no link
		return unix.MoveMount(tree, "", dir, base, unix.MOVE_MOUNT_F_EMPTY_PATH)
	}
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	at, err := unix.Openat2(dir, base, how)
	if err != nil {
		return err
	}
	defer unix.Close(at)
	return b.moveOnto(tree, at, p)
}

// moveOnto attaches a tree on top of what an O_PATH descriptor names, which is
// at p.
func (b *builder) moveOnto(tree, at int, p string) error {
	b.forget(path.Clean(p))
	return unix.MoveMount(tree, "", at, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// cover puts a tree, which is made from what is at p, over it. What is not there
// needs no cover.
func (b *builder) cover(p string, tree func(at int) (int, error)) error {
	at, err := b.lookup(p)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(at)
	fd, err := tree(at)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return b.moveOnto(fd, at, p)
}

func (b *builder) scratch(op *Op) error {
	name := fmt.Sprintf("scratch.%d", b.dirs)
	b.dirs++
	if err := unix.Mkdirat(b.stage, name, 0o700); err != nil {
		return err
	}
	if err := unix.Fchmodat(b.stage, name, op.Mode, 0); err != nil {
		return err
	}
	tree, err := b.cloneStage(name, 0)
	if err != nil {
		return err
	}
	return b.attachMade(tree, op.Path)
}

func (b *builder) mountNew(fstype, p string, options [][2]string) error {
	attr := unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC
	if fstype != "devpts" {
		attr |= unix.MOUNT_ATTR_NODEV
	}
	fd, err := newMount(fstype, attr, options)
	if err != nil {
		return err
	}
	return b.attachMade(fd, p)
}

// mask makes an empty, read-only file or directory to put over what is there.
// The masks are files of our own, so that no device node of an image can stand
// in for them (CVE-2025-31133).
func (b *builder) mask(at int) (int, error) {
	var st unix.Stat_t
	if err := unix.Fstat(at, &st); err != nil {
		return -1, err
	}
	name := "empty.f"
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		name = "empty.d"
	}
	return b.cloneStage(name, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOEXEC)
}

// copyTree makes a copy of what is there, with its mounts.
func copyTree(at int) (int, error) {
	return unix.OpenTree(at, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
}

// readonly makes a read-only copy of what is there.
func (b *builder) readonly(at int) (int, error) {
	tree, err := copyTree(at)
	if err != nil {
		return -1, err
	}
	if err := setAttr(tree, unix.MOUNT_ATTR_RDONLY, unix.AT_RECURSIVE); err != nil {
		unix.Close(tree)
		return -1, err
	}
	return tree, nil
}
