// Package cgroup bounds what the commands of one sandbox use together, on the
// version 1 hierarchies of Linux.
//
// A sandbox has one group, kavach/ID, for its commands. The guest is not in it:
// what commands use up is never taken from the guest, and the kernel kills one
// of them, not it, when memory runs out.
//
// What this package does not protect: version 2 is not used yet, and where the
// hierarchies cannot be written to (an ordinary user) there is no group at all.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/rawfile"
)

// Limits are what a group is bounded by. Negative: not at all.
type Limits struct {
	Memory int64   // bytes, swap included where the kernel counts it
	CPUs   float64 // processors' time; 0.5 is half of one
	PIDs   int64   // tasks
}

// controllers are the hierarchies that are used, cpuacct not being needed: what
// a command used is told by wait4.
var controllers = []string{"memory", "cpu", "pids", "freezer"}

// top is the group that all of Kavach's are in.
const top = "kavach"

// cpuPeriod is the kernel's default period of the CPU bandwidth control.
const cpuPeriod = 100 * time.Millisecond

// Group is the group of one sandbox.
type Group struct {
	dirs map[string]string // controller → directory of kavach/ID
}

// Hierarchies finds where the version 1 controllers are mounted. It looks once:
// nobody moves them under a running system.
var Hierarchies = sync.OnceValues(findHierarchies)

func findHierarchies() (map[string]string, error) {
	text, err := rawfile.Read("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	found := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		before, after, _ := strings.Cut(line, " - ")
		mount, super := strings.Fields(before), strings.Fields(after)
		if len(mount) < 5 || len(super) < 3 || super[0] != "cgroup" {
			continue
		}
		for _, option := range strings.Split(super[2], ",") {
			if slices.Contains(controllers, option) {
				found[option] = mount[4]
			}
		}
	}
	for _, c := range controllers {
		if found[c] == "" {
			return nil, fmt.Errorf("the %s controller is not on a cgroup v1 hierarchy: %w", c, errors.ErrUnsupported)
		}
	}
	return found, nil
}

// Available says why groups cannot be made here; nil: they can. It tries.
func Available() error {
	at, err := Hierarchies()
	if err != nil {
		return err
	}
	for _, dir := range at {
		if err := makeTop(dir); err != nil {
			return err
		}
		if err := unix.Access(filepath.Join(dir, top), unix.W_OK); err != nil {
			return fmt.Errorf("cgroup %s cannot be written to: %w", filepath.Join(dir, top), err)
		}
	}
	return nil
}

func makeTop(dir string) error {
	err := os.Mkdir(filepath.Join(dir, top), 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Dirs says which directories the group of a sandbox has, made or not.
func Dirs(id string) []string {
	at, err := Hierarchies()
	if err != nil {
		return nil
	}
	var dirs []string
	for _, c := range controllers {
		dirs = append(dirs, filepath.Join(at[c], top, id))
	}
	return dirs
}

// New makes the group of a sandbox. Where it fails, it has left nothing behind.
func New(id string, limits Limits) (g *Group, err error) {
	at, err := Hierarchies()
	if err != nil {
		return nil, err
	}
	g = &Group{dirs: make(map[string]string)}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Remove())
		}
	}()
	for _, c := range controllers {
		dir := filepath.Join(at[c], top, id)
		err := os.Mkdir(dir, 0o755)
		if errors.Is(err, fs.ErrNotExist) {
			if err = makeTop(at[c]); err == nil {
				err = os.Mkdir(dir, 0o755)
			}
		}
		if err != nil {
			return nil, err
		}
		g.dirs[c] = dir
	}
	return g, g.limit(limits)
}

func (g *Group) limit(l Limits) error {
	if l.Memory >= 0 {
		if err := g.write("memory", "memory.limit_in_bytes", l.Memory); err != nil {
			return err
		}
		// Only kernels that account for swap have this file; without it, what
		// is swapped out is not bounded.
		err := g.write("memory", "memory.memsw.limit_in_bytes", l.Memory)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	if l.PIDs >= 0 {
		if err := g.write("pids", "pids.max", l.PIDs); err != nil {
			return err
		}
	}
	if l.CPUs >= 0 {
		if err := g.write("cpu", "cpu.cfs_period_us", cpuPeriod.Microseconds()); err != nil {
			return err
		}
		return g.write("cpu", "cpu.cfs_quota_us", Quota(l.CPUs))
	}
	return nil
}

// Quota is the CPU time of one period, in microseconds. The kernel takes no
// less than a millisecond.
func Quota(cpus float64) int64 {
	return max(int64(cpus*float64(cpuPeriod.Microseconds())), 1000)
}

func (g *Group) write(controller, file string, value int64) error {
	return rawfile.Write(filepath.Join(g.dirs[controller], file), strconv.FormatInt(value, 10))
}

// ErrNoLimit is returned by Read for a file that says "max".
var ErrNoLimit = errors.New("no limit is set")

// Read returns a number from a file of the group.
func (g *Group) Read(controller, file string) (int64, error) {
	b, err := rawfile.Read(filepath.Join(g.dirs[controller], file))
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(b))
	if text == "max" {
		return 0, ErrNoLimit
	}
	return strconv.ParseInt(text, 10, 64)
}

// Path is the directory of the group in a hierarchy.
func (g *Group) Path(controller string) string { return g.dirs[controller] }

// OOMKills is how many processes the kernel has killed in the group for want of
// memory.
func (g *Group) OOMKills() int64 {
	b, err := rawfile.Read(filepath.Join(g.dirs["memory"], "memory.oom_control"))
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(b), "\n") {
		if count, ok := strings.CutPrefix(line, "oom_kill "); ok {
			n, _ := strconv.ParseInt(count, 10, 64) // the kernel's own number
			return n
		}
	}
	return 0
}

// Tasks opens the files by which a thread of the guest joins the group: it
// writes "0" to each. A thread that moves itself needs no RCU grace period, which
// takes 18 ms. The descriptors are the caller's to close.
func (g *Group) Tasks() (fds []int, err error) {
	for _, c := range controllers {
		name := filepath.Join(g.dirs[c], "tasks")
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

// Freeze stops every command, or lets it go on, and returns when that is so.
func (g *Group) Freeze(frozen bool, deadline time.Time) error {
	want := "THAWED"
	if frozen {
		want = "FROZEN"
	}
	name := filepath.Join(g.dirs["freezer"], "freezer.state")
	for {
		// Written each time round: freezing can be held up by a task that is
		// being forked, and starts over when asked again.
		if err := rawfile.Write(name, want); err != nil {
			return err
		}
		b, err := rawfile.Read(name)
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(b)) == want {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is still %s", name, strings.TrimSpace(string(b)))
		}
		time.Sleep(time.Millisecond)
	}
}

// Remove removes the group, which is thawed. It may be called again.
func (g *Group) Remove() error {
	return Remove(slices.Collect(maps.Values(g.dirs)))
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
		err := rawfile.Write(filepath.Join(dir, "freezer.state"), "THAWED")
		if !errors.Is(err, fs.ErrNotExist) { // another controller's, or gone
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// remove waits a little for the last task, which leaves its group some time
// after its parent was told of its end.
func remove(dir string) error {
	const rounds, pause = 500, 2 * time.Millisecond
	var err error
	for range rounds {
		if err = unix.Rmdir(dir); err == nil || err == unix.ENOENT {
			return nil
		}
		if err != unix.EBUSY {
			break
		}
		time.Sleep(pause)
	}
	return fmt.Errorf("remove cgroup %s: %w", dir, err)
}
