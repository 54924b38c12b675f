// Package cgroup bounds what the commands of one sandbox use together, on
// whatever hierarchies Linux has its controllers (cgroups(7)).
//
// A sandbox has one group, kavach/ID. A controller that is on a version 1
// hierarchy is used there; for the others the group is a directory of the
// version 2 tree as well, below its root where that may be written to, else below
// the directory that was delegated to this process.
//
// On version 1 only the thread that commands are forked from is in the group: what
// commands use up is never taken from the guest. Version 2 knows no threads, so
// the guest is in it, too.
//
// What this package does not protect: where no hierarchy may be written to (an
// ordinary user to whom nothing was delegated) there is no group at all. Version 1
// does not charge what is written back later from memory to a disk.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/rawfile"
)

// Tasks of the guest that are in the group beside its commands.
const (
	launcherTasks = 1  // on version 1: the thread that commands are forked from
	GuestTasks    = 24 // on version 2: as many threads as a guest may have
)

// Group is the group of one sandbox.
type Group struct {
	dirs    map[controller]string // where each controller's files are
	unified string                // directory of the version 2 tree; "": none
	disks   []Disk

	tasks, memory int64 // for what is in it beside commands and their guest
}

// New makes the group of a sandbox. Where it fails, it has left nothing behind.
// The error is errors.ErrUnsupported where there is no hierarchy to make it on.
func New(id string, limits Limits) (g *Group, err error) {
	at, err := find()
	if err != nil {
		return nil, err
	}
	g = &Group{dirs: make(map[controller]string), disks: limits.Disks, tasks: limits.OwnTasks, memory: limits.OwnMemory}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Remove())
		}
	}()
	if at.unified != "" {
		g.unified = filepath.Join(at.unified, top, id)
		if err := at.makeUnified(id); err != nil {
			return nil, err
		}
	}
	for c, parent := range at.parents {
		if c == disk && parent != at.unified && !limits.disks() {
			continue // a directory to make, to join and to remove, for nothing
		}
		g.dirs[c] = filepath.Join(parent, top, id)
		if g.dirs[c] == g.unified {
			continue
		}
		if err := makeBelow(parent, id); err != nil {
			return nil, err
		}
	}
	return g, g.limit(limits)
}

// makeBelow makes kavach/ID, and kavach where it is not there.
func makeBelow(parent, id string) error {
	dir := filepath.Join(parent, top, id)
	err := os.Mkdir(dir, 0o755)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Mkdir(filepath.Dir(dir), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Mkdir(dir, 0o755)
}

// Dirs says which directories the group of a sandbox has, made or not.
func Dirs(id string) []string {
	at, err := find()
	if err != nil {
		return nil
	}
	var dirs []string
	for _, parent := range at.all() {
		dirs = append(dirs, filepath.Join(parent, top, id))
	}
	return dirs
}

// Open opens the directory that the guest is to be started in (clone3(2) with
// CLONE_INTO_CGROUP), if there is one; else it returns nil.
func (g *Group) Open() (*os.File, error) {
	if g.unified == "" {
		return nil, nil
	}
	return os.Open(g.unified)
}

// Move moves a process into the version 2 part of the group.
func (g *Group) Move(pid int) error {
	return rawfile.Write(filepath.Join(g.unified, "cgroup.procs"), strconv.Itoa(pid))
}

// Tasks opens the files by which a thread of the guest joins the version 1 part of
// the group: it writes "0" to each. A thread that moves itself needs no RCU grace
// period, which takes 18 ms. The descriptors are the caller's to close.
func (g *Group) Tasks() (fds []int, err error) {
	for _, dir := range g.dirs {
		if dir == g.unified {
			continue
		}
		name := filepath.Join(dir, "tasks")
		fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
			return nil, &os.PathError{Op: "open", Path: name, Err: err}
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

// on2 reports whether a controller of the group is on version 2.
func (g *Group) on2(c controller) bool { return g.unified != "" && g.dirs[c] == g.unified }

// ownTasks is how many tasks of the guest, and of what else there is beside
// commands, count against the bound.
func (g *Group) ownTasks() int64 {
	if g.on2(pids) {
		return GuestTasks + g.tasks
	}
	return launcherTasks + g.tasks
}

// OOMKills is how many processes the kernel has killed in the group for want of
// memory.
func (g *Group) OOMKills() int64 {
	file := "memory.oom_control"
	if g.on2(memory) {
		file = "memory.events"
	}
	b, err := rawfile.Read(filepath.Join(g.dirs[memory], file))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(field(string(b), "oom_kill"), 10, 64) // the kernel's own number
	return n
}

// field finds the value of a key in a file of lines "key value".
func field(text, key string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, key+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Peaks are the most memory, in bytes, and the most tasks that there were in the
// group at once. 0: this kernel does not tell (memory.peak is of Linux 5.19,
// pids.peak of 6.10).
func (g *Group) Peaks() (bytes, tasks int64) {
	file := "memory.max_usage_in_bytes"
	if g.on2(memory) {
		file = "memory.peak"
	}
	bytes, _ = g.number(memory, file) // 0: not told
	tasks, _ = g.number(pids, "pids.peak")
	return bytes, max(tasks-g.ownTasks(), 0)
}

// Freeze stops every command, or lets it go on, and returns when that is so.
func (g *Group) Freeze(frozen bool, deadline time.Time) error {
	write, read, want := "freezer.state", "freezer.state", "THAWED"
	if frozen {
		want = "FROZEN"
	}
	order := want
	if g.on2(freezer) {
		write, read, order = "cgroup.freeze", "cgroup.events", "0"
		if frozen {
			order = "1"
		}
		want = "frozen " + order
	}
	for {
		// Written each time round: freezing can be held up by a task that is
		// being forked, and on version 1 starts over when asked again.
		if err := rawfile.Write(filepath.Join(g.dirs[freezer], write), order); err != nil {
			return err
		}
		b, err := rawfile.Read(filepath.Join(g.dirs[freezer], read))
		if err != nil {
			return err
		}
		if strings.Contains(string(b), want) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not become %q", filepath.Join(g.dirs[freezer], read), want)
		}
		time.Sleep(time.Millisecond)
	}
}

// Remove removes the group, which is thawed. It may be called again.
func (g *Group) Remove() error {
	var dirs []string
	for _, dir := range g.dirs {
		if dir != g.unified {
			dirs = append(dirs, dir)
		}
	}
	if g.unified != "" {
		dirs = append(dirs, g.unified)
	}
	return Remove(dirs)
}

// Remove removes the directories of a group. Those that are gone are no error.
func Remove(dirs []string) error {
	var errs []error
	for _, dir := range dirs {
		errs = append(errs, remove(dir))
	}
	return errors.Join(errs...)
}

// Thaw lets go on whatever is frozen in a group of which nothing is known.
func Thaw(dirs []string) error {
	var errs []error
	for _, dir := range dirs {
		for file, order := range map[string]string{"freezer.state": "THAWED", "cgroup.freeze": "0"} {
			err := rawfile.Write(filepath.Join(dir, file), order)
			if !errors.Is(err, fs.ErrNotExist) { // another controller's, or gone
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// remove waits a little for the last task, which leaves its group some time
// after its parent was told of its end. On version 2 all that is in there is
// killed (cgroup.kill, Linux 5.14), frozen or not.
func remove(dir string) error {
	const rounds, pause = 500, 2 * time.Millisecond
	var err error
	for round := range rounds {
		if err = unix.Rmdir(dir); err == nil || err == unix.ENOENT {
			return nil
		}
		if err != unix.EBUSY {
			break
		}
		if round == 0 {
			_ = rawfile.Write(filepath.Join(dir, "cgroup.kill"), "1") // version 1 has none
		}
		time.Sleep(pause)
	}
	return fmt.Errorf("remove cgroup %s: %w", dir, err)
}
