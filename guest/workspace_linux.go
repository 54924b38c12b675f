package guest

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// workspace makes a writable view of a directory of the host that stays as it
// is. What changes is in an upper directory on the stage, and so counts against
// its bound; a descriptor of it goes to the host with Ready. No path inside
// leads to it when the stage is let go.
//
// userxattr: in a user namespace overlayfs cannot use trusted.* (Linux 5.11). It
// also fixes redirect_dir and metacopy to what package workspace can read: a
// file in the upper directory is whole. index=off: a hard link that is written
// to becomes a file of its own, and nothing of the lower layer is recorded.
func (b *builder) workspace(op *Op, lower int) error {
	name := fmt.Sprintf("workspace.%d", len(b.uppers))
	for _, dir := range []string{name, name + "/lower", name + "/upper", name + "/work"} {
		if err := unix.Mkdirat(b.stage, dir, 0o700); err != nil {
			return err
		}
	}
	upper, err := unix.Openat(b.stage, name+"/upper", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	b.uppers = append(b.uppers, upper)
	mode, err := topMode(lower)
	if err != nil {
		return err
	}
	if err := unix.Fchmodat(b.stage, name+"/upper", mode, 0); err != nil {
		return err
	}
	if err := unix.MoveMount(lower, "", b.stage, name+"/lower", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return err
	}
	unix.Close(lower)
	place := b.place + "/" + name
	tree, err := newMount("overlay", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV, [][2]string{
		{"userxattr", ""}, {"index", "off"},
		{"lowerdir", place + "/lower"}, {"upperdir", place + "/upper"}, {"workdir", place + "/work"},
	})
	if err != nil {
		return err
	}
	return b.attachMade(tree, op.Path)
}

// topMode is the mode of an overlay's own directory, which takes it, and its
// owner, from the upper directory. That belongs to the commands' user, whoever
// the lower one belongs to: where this user could not write there, nor may it
// here. (EROFS is the answer of a read-only mount to somebody who may write.)
func topMode(lower int) (uint32, error) {
	var st unix.Stat_t
	if err := unix.Fstat(lower, &st); err != nil {
		return 0, err
	}
	const permissions, write = 0o777, 0o222
	mode := st.Mode & permissions
	err := unix.Faccessat(lower, ".", unix.W_OK, unix.AT_EACCESS)
	switch {
	case err == nil || errors.Is(err, unix.EROFS):
		return mode, nil
	case errors.Is(err, unix.EACCES):
		return mode &^ write, nil
	}
	return 0, err
}
