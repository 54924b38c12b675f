package guest

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// memory makes a directory that commands read and the host alone writes to: what they
// see is a read-only mount of it, and no path inside leads to the other one when the
// stage is let go. It is the file system that came with the op, to which the host has
// a descriptor of its own; else a directory of the stage, of which one goes to it
// with Ready.
func (b *builder) memory(op *Op, tree int) error {
	name := fmt.Sprintf("memory.%d", b.dirs)
	b.dirs++
	if err := unix.Mkdirat(b.stage, name, 0o755); err != nil {
		return err
	}
	if tree >= 0 {
		defer unix.Close(tree)
		if err := unix.MoveMount(tree, "", b.stage, name, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return err
		}
	} else {
		dir, err := unix.Openat(b.stage, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		b.uppers = append(b.uppers, dir)
	}
	view, err := b.cloneStage(name, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return err
	}
	return b.attachMade(view, op.Path)
}
