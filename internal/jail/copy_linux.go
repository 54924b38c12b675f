package jail

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/cgroup"
	"github.com/kavach-dev/kavach/internal/layer"
	"github.com/kavach-dev/kavach/policy"
)

// Where the kernel refuses an overlay, the root directory is a copy of the layers
// on the stage: in memory, and gone with the jail.

// The bounds of a copy. It is memory, of which each sandbox takes as much again.
const (
	maxCopyBytes = 1 << 30
	maxCopyFiles = 1 << 18
)

// overlayError says that the kernel refuses to lay the layers over each other.
type overlayError struct{ errno unix.Errno }

func (e *overlayError) Error() string {
	return fmt.Sprintf("overlayfs is not to be had (%v)", e.errno)
}

func (e *overlayError) Unwrap() error { return e.errno }

// overlayRefusals are the answers of a kernel that has no overlayfs, has none for
// user namespaces (before Linux 5.11), or none over this file system. What else
// there can be, such as no memory, is no reason to need more of it.
var overlayRefusals = []unix.Errno{
	unix.ENODEV, unix.EPERM, unix.EACCES, unix.EINVAL, unix.EOPNOTSUPP, unix.ENOSYS, unix.EXDEV, unix.ELOOP, unix.EREMOTE,
}

// asOverlayError says of a set-up that failed whether that is why. Nil: it failed
// otherwise.
func asOverlayError(f *guest.Failed) error {
	if errno := unix.Errno(f.Errno); f.Step == guest.StepOverlay && slices.Contains(overlayRefusals, errno) {
		return &overlayError{errno}
	}
	return nil
}

// copyRoot has the root be a copy, where it is not too large for one.
func (c *Config) copyRoot(ctx context.Context, refused *overlayError) error {
	field, what := "filesystem.image", "the image"
	if len(c.Layers) == 0 {
		field, what = "filesystem.root", c.Root
	}
	tree, err := layer.OpenTree(c.layers())
	if err != nil {
		return err
	}
	defer tree.Close()
	budget := &layer.Budget{MaxBytes: maxCopyBytes, MaxFiles: maxCopyFiles}
	err = tree.Size(ctx, budget)
	var large *layer.LimitError
	if errors.As(err, &large) {
		return &policy.FieldError{
			Field:   field,
			Problem: fmt.Sprintf("%v, and %s is larger than %d MiB or %d files, which is all that would be copied into memory", refused, what, maxCopyBytes>>20, maxCopyFiles),
			Fix:     "use a kernel that has overlayfs, for ordinary users Linux 5.11 or newer; or a smaller root directory",
		}
	}
	if err != nil {
		return fmt.Errorf("%w; look how large a copy of %s would be: %w", refused, what, err)
	}
	c.copied = &rootCopy{bytes: budget.Bytes(), files: budget.Files(), why: refused}
	return nil
}

// merge is the op that makes the root of its layers.
func (c *Config) merge() guest.Op {
	if c.copied != nil {
		return guest.Op{Kind: guest.OpCopy, Path: "/"}
	}
	op := guest.Op{Kind: guest.OpOverlay, Path: "/"}
	if c.NoOverlay {
		op.Data = ",no_such_option"
	}
	return op
}

// stage is the size of the stage: what commands may write, what is the jail's own,
// and the copy.
func (c *Config) stage(own int64) (bytes, inodes int64) {
	bytes, inodes = c.Scratch+own, c.Scratch/bytesPerInode+ownInodes
	for range c.SecretFiles { // where they are on the stage, they take nothing from the commands
		bytes, inodes = bytes+maxSecretFile, inodes+1
	}
	if c.copied != nil {
		bytes, inodes = bytes+c.copied.bytes, inodes+c.copied.files
	}
	return bytes, inodes
}

// copyMemory is what the copy adds to the bound of memory: on version 2 the guest,
// which makes it, is in the group. A kilobyte is what an
// inode and its name take of the kernel's (shmem_inode_info, dentry).
func (c *Config) copyMemory() int64 {
	if c.copied == nil || !cgroup.Unified() {
		return 0
	}
	const inode = 1 << 10
	return c.copied.bytes + c.copied.files*inode
}

// patience is how long the guest may take. A second for each 10 MiB that it copies
// is what a slow disk needs.
func (c *Config) patience() time.Duration {
	if c.copied == nil {
		return bootPatience
	}
	const speed = 10 << 20
	return bootPatience + time.Duration(c.copied.bytes/speed)*time.Second
}

// Notes say, for people, how the jail was made.
func (j *Jail) Notes() []string {
	if j.cfg.copied == nil {
		return nil
	}
	const mib = 1 << 20
	what := "the image"
	if len(j.cfg.Layers) == 0 {
		what = j.cfg.Root
	}
	return []string{fmt.Sprintf("%v; %s was copied into memory: %d MiB", j.cfg.copied.why, what, (j.cfg.copied.bytes+mib-1)/mib)}
}
