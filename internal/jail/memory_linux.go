package jail

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/locked"
	"github.com/kavach-dev/kavach/policy"
)

// memory is the directories for files that are nowhere but in memory, and the files
// that are in them now. Commands see a read-only mount of each; what is in them the
// host writes itself, so that no guest ever has it.
//
// Where root makes the jail, each is a tmpfs of the host's making, which is not
// swapped out (noswap, Linux 6.4). Else it is a directory of the sandbox's own tmpfs:
// an ordinary user cannot make one, and what is in a user namespace has no noswap.
type memory struct {
	mu     sync.Mutex // guards what follows
	dirs   map[string]*os.File
	files  map[string]*os.File // by path
	closed bool
}

// secretDirs are the directories of SecretFiles.
func (c *Config) secretDirs() []string {
	var dirs []string
	for _, file := range c.SecretFiles {
		dirs = append(dirs, path.Dir(file))
	}
	return slices.Compact(slices.Sorted(slices.Values(dirs)))
}

// SecretParents are the directories above those of SecretFiles that commands could
// move away, with all that is below, and put others in their place. A mount cannot be
// moved, so each of these is made one.
func (c *Config) SecretParents() (parents []string) {
	for _, dir := range c.secretDirs() {
		top, writable := "/", c.Writable
		for _, scratch := range []string{"/tmp", "/dev/shm"} {
			if c.Scratch > 0 && fileBelow(scratch, dir) {
				top, writable = scratch, true // which is a mount itself
			}
		}
		for at := path.Dir(dir); writable && at != top && at != "/"; at = path.Dir(at) {
			parents = append(parents, at)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(parents)))
}

// maxSecretDirs leaves room for mounts among the descriptors that come with a set-up
// (wire.MaxFDs).
const maxSecretDirs = 64

// memoryOps make the directories, after the ops that make all else. Passed says that
// they come as descriptors.
func (c *Config) memoryOps(made []guest.Op, passed bool) (ops []guest.Op, err error) {
	if n := len(c.secretDirs()); n > maxSecretDirs {
		return nil, fmt.Errorf("secret files are in %d directories, and %d are the most; put them into one, such as /run/secrets", n, maxSecretDirs)
	}
	for _, parent := range c.SecretParents() {
		ops = append(ops, guest.Op{Kind: guest.OpPin, Path: parent})
	}
	for _, dir := range c.secretDirs() {
		if err := c.mayCover(dir, made); err != nil {
			return nil, err
		}
		op := guest.Op{Kind: guest.OpMemory, Path: dir}
		if passed {
			op.Flags = guest.BindFD
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// mayCover refuses a directory that is something else's as well: files in memory hide
// what is there, and a mount that was in it would be the host's to be made in.
// Made is what the sandbox has of its own.
func (c *Config) mayCover(dir string, made []guest.Op) error {
	refuse := func(why string) error {
		return fmt.Errorf("secret files in %s: %s; give them a directory of their own, such as /run/secrets", dir, why)
	}
	for _, m := range c.Mounts {
		if at := m.SeenAt(); fileBelow(at, dir) || fileBelow(dir, at) {
			return refuse("it is in, or over, the mount at " + at)
		}
	}
	if c.Root == policy.RootHost && slices.ContainsFunc(systemDirs, func(system string) bool { return fileBelow(system, dir) }) {
		return refuse("it is a directory of the host")
	}
	own := slices.Concat(writableDirs, []string{"/", "/etc", "/var", "/run", "/tmp", "/var/tmp", WorkerDir, WorkerPath})
	if slices.Contains(own, dir) || fileBelow("/proc", dir) || fileBelow("/dev", dir) || fileBelow("/sys", dir) {
		return refuse("others use it")
	}
	for i := range made {
		if inOrOver(dir, &made[i]) {
			return refuse("it is in, or over, " + made[i].Path + ", which each sandbox has")
		}
	}
	for _, root := range c.layers() {
		if hasFiles(root, dir) {
			return refuse("the root directory has files there, which would not be seen")
		}
	}
	return nil
}

// inOrOver reports whether a directory would hide what op makes, or be made in what is
// no directory of the sandbox's own: a link, a file, a part of the host.
func inOrOver(dir string, op *guest.Op) bool {
	switch op.Kind {
	case guest.OpLayer, guest.OpOverlay, guest.OpCopy: // the root directory
		return false
	case guest.OpMask:
		return fileBelow(op.Path, dir)
	case guest.OpDir, guest.OpScratch:
		return fileBelow(dir, op.Path)
	}
	return fileBelow(dir, op.Path) || fileBelow(op.Path, dir)
}

// hasFiles reports whether a directory of a layer has any. A link that leads out of the
// layer, where an image may have one to anything of the host's, is not followed.
func hasFiles(layer, dir string) bool {
	root, err := os.OpenRoot(layer)
	if err != nil {
		return false
	}
	defer root.Close()
	f, err := root.OpenFile(strings.TrimPrefix(dir, "/"), os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	names, _ := f.Readdirnames(1) // an error is that there are none
	return len(names) > 0
}

// makeMemory makes the file systems that go to the guest. Fds are the guest's, and the
// caller's to close.
func (j *Jail) makeMemory() (fds []int, err error) {
	j.memory.dirs = make(map[string]*os.File)
	for _, dir := range j.cfg.secretDirs() {
		fd, err := newMemory(len(j.cfg.SecretFiles))
		if err != nil {
			return fds, fmt.Errorf("make a file system in memory for %s: %w", dir, err)
		}
		fds = append(fds, fd)
		at, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fds, err
		}
		j.memory.dirs[dir] = os.NewFile(uintptr(at), dir)
	}
	return fds, nil
}

// maxSecretFile is what the largest file takes of a tmpfs, whose pages are up to 64 KiB
// (arm64).
const maxSecretFile = backend.MaxSecret

// keptInodes is how many files that were taken back, and so are empty, commands may
// still have open: each is an inode, of a kilobyte of the kernel's, until the last
// closes it.
const keptInodes = 4096

// newMemory makes a tmpfs for so many files of the largest size. A kernel that has no
// noswap does without.
func newMemory(files int) (int, error) {
	options := [][2]string{{"mode", "0755"}, {"size", strconv.Itoa((files + 1) * maxSecretFile)}, {"nr_inodes", strconv.Itoa(files + 2 + keptInodes)}}
	fd, err := guest.NewMount("tmpfs", append(options, [2]string{"noswap", ""}))
	if err == nil {
		return fd, nil
	}
	return guest.NewMount("tmpfs", options)
}

// takeMemory takes the directories that the guest has made.
func (j *Jail) takeMemory(dirs []*os.File) {
	j.memory.dirs = make(map[string]*os.File)
	for i, dir := range j.cfg.secretDirs() {
		j.memory.dirs[dir] = dirs[i]
	}
}

// Give shows commands a file, as backend.SecretFiles says.
func (j *Jail) Give(file string, content []byte) error {
	m := &j.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	dir := m.dirs[path.Dir(file)]
	switch {
	case m.closed:
		return backend.ErrDestroyed
	case dir == nil || !slices.Contains(j.cfg.SecretFiles, file):
		return fmt.Errorf("secret file %s: the sandbox was made without it", file)
	}
	before := m.files[file]
	if same, err := holds(before, content); err != nil || same {
		return err
	}
	f, err := j.writeSecret(dir, path.Base(file), content)
	if errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("secret file %s: commands have written all that they may (filesystem.tmp_size), or keep open what was taken back: %w", file, err)
	}
	if err != nil {
		return fmt.Errorf("secret file %s: %w", file, err)
	}
	if m.files == nil {
		m.files = make(map[string]*os.File)
	}
	m.files[file] = f
	if before != nil { // it has no name any more
		return empty(before)
	}
	return nil
}

// holds reports whether a file has this content. Nil has none.
func holds(f *os.File, content []byte) (bool, error) {
	if f == nil {
		return false, nil
	}
	st, err := f.Stat()
	if err != nil || st.Size() != int64(len(content)) {
		return false, err
	}
	own := locked.New()
	defer own.Free()
	room, err := own.Alloc(len(content))
	if err != nil {
		return false, err
	}
	_, err = f.ReadAt(room, 0)
	return bytes.Equal(room, content), err
}

// writeSecret makes a file that has its name when it is whole. It is kept open, so
// that it can be emptied whoever else has it open then.
func (j *Jail) writeSecret(dir *os.File, name string, content []byte) (_ *os.File, err error) {
	fd, err := unix.Openat(int(dir.Fd()), ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o400)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer func() {
		if err != nil {
			err = errors.Join(err, empty(f))
		}
	}()
	if _, err := f.Write(content); err != nil {
		return nil, err
	}
	if err := errors.Join(f.Chmod(0o400), j.own(f)); err != nil { // whatever the umask is
		return nil, err
	}
	// A link never replaces: what has the name already is replaced by a rename.
	link := func(name string) error {
		return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), int(dir.Fd()), name, unix.AT_SYMLINK_FOLLOW)
	}
	if err = link(name); !errors.Is(err, unix.EEXIST) {
		return f, err
	}
	if err = link(nextName); err == nil {
		err = unix.Renameat(int(dir.Fd()), nextName, int(dir.Fd()), name)
	}
	return f, err
}

// nextName is what a file is called for the moment before it takes the place of another.
const nextName = ".kavach-next"

// own gives a file to the user that commands run as. An ordinary user is that.
func (j *Jail) own(f *os.File) error {
	if !j.ids.root {
		return nil
	}
	return f.Chown(j.ids.uid, j.ids.gid)
}

// Take ends what Give began.
func (j *Jail) Take(file string) error {
	m := &j.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.files[file]
	if f == nil {
		return nil
	}
	delete(m.files, file)
	err := empty(f) // first: whatever becomes of its name, it says nothing any more
	if unlink := unix.Unlinkat(int(m.dirs[path.Dir(file)].Fd()), path.Base(file), 0); !errors.Is(unlink, unix.ENOENT) {
		err = errors.Join(err, unlink)
	}
	if err != nil {
		return fmt.Errorf("take secret file %s back: %w", file, err)
	}
	return nil
}

// empty zeroes a file, leaves nothing of it, and closes it.
func empty(f *os.File) error {
	st, err := f.Stat()
	if err == nil {
		_, err = f.WriteAt(make([]byte, st.Size()), 0)
	}
	return errors.Join(err, f.Truncate(0), f.Close())
}

// closeMemory may be called again.
func (j *Jail) closeMemory() {
	m := &j.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.files {
		_ = empty(f) // of a file system that goes with the jail
	}
	for _, dir := range m.dirs {
		dir.Close()
	}
	m.files, m.dirs, m.closed = nil, nil, true
}
