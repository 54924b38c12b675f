package guest

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// overlay lays the layers over each other. They stay as they are: what changes is
// on the stage. userxattr: in a user namespace overlayfs cannot use trusted.*
// (Linux 5.11).
//
// It is mount(2), with names relative to the working directory, that takes as
// many layers as images have: fsconfig(2) takes 255 bytes of names.
//
// Where it is the kernel that refuses it, the step that failed is StepOverlay.
func (b *builder) overlay(more string) (int, error) {
	name := fmt.Sprintf("overlay.%d", b.overlays)
	b.overlays++
	for _, dir := range []string{"", "/upper", "/work", "/all"} {
		if err := unix.Mkdirat(b.stage, name+dir, 0o755); err != nil {
			return -1, err
		}
	}
	lower := make([]string, len(b.layers))
	for i, tree := range b.layers {
		dir := strconv.Itoa(i)
		if err := unix.Mkdirat(b.stage, name+"/"+dir, 0o755); err != nil {
			return -1, err
		}
		if err := unix.MoveMount(tree, "", b.stage, name+"/"+dir, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return -1, err
		}
		unix.Close(tree)
		lower[len(lower)-1-i] = dir // the uppermost first
	}
	b.layers = nil
	if err := unix.Chdir(b.place + "/" + name); err != nil {
		return -1, err
	}
	options := "userxattr,lowerdir=" + strings.Join(lower, ":") + ",upperdir=upper,workdir=work" + more
	if err := unix.Mount("overlay", "all", "overlay", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return -1, fail(StepOverlay, "", err)
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, "all", unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, err
	}
	return tree, unix.Chdir("/")
}
