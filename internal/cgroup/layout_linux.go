package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/rawfile"
)

// controller is one by its name on version 2.
type controller string

const (
	memory  controller = "memory"
	cpu     controller = "cpu"
	pids    controller = "pids"
	freezer controller = "freezer" // of version 2 itself, where no hierarchy has it
	disk    controller = "io"      // "blkio" on version 1; not needed
)

// top is the group that all of Kavach's are in; host is the one that this process
// moves to where a directory was delegated to it.
const (
	top  = "kavach"
	host = "kavach.host"
)

// Delegate says how an ordinary user gets a cgroup to make groups in.
const Delegate = "give this user a cgroup of version 2: systemd-run --user --scope -p Delegate=yes kavach …"

// layout says where groups are made.
type layout struct {
	parents map[controller]string // each holds kavach/ID
	unified string                // that of version 2; "": not used
	isRoot  bool                  // unified is the root of the whole tree
	enabled []string              // the controllers that groups of version 2 need
}

// all lists the parents, each once.
func (l *layout) all() []string {
	var dirs []string
	for _, dir := range l.parents {
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	return dirs
}

// find finds the layout. It looks once: nobody moves hierarchies under a running
// system.
var find = sync.OnceValues(func() (*layout, error) {
	mounts, err := rawfile.Read("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	own, err := rawfile.Read("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	return arrange(parseHierarchies(string(mounts)), string(own), os.Geteuid() == 0)
})

// Unified reports whether groups are, all or in part, on version 2, so that a
// guest has to be started in its group.
func Unified() bool {
	at, err := find()
	return err == nil && at.unified != ""
}

// hierarchies are what is mounted.
type hierarchies struct {
	v1          map[controller]string // controller → mount point
	point, root string                // of version 2; root is the cgroup that is mounted there
}

func parseHierarchies(mountinfo string) hierarchies {
	h := hierarchies{v1: make(map[controller]string)}
	for line := range strings.Lines(mountinfo) {
		before, after, _ := strings.Cut(line, " - ")
		mount, super := strings.Fields(before), strings.Fields(after)
		if len(mount) < 5 || len(super) < 3 {
			continue
		}
		switch super[0] {
		case "cgroup2":
			h.root, h.point = mount[3], mount[4]
		case "cgroup":
			for _, option := range strings.Split(super[2], ",") {
				if option == "blkio" {
					option = string(disk)
				}
				h.v1[controller(option)] = mount[4]
			}
		}
	}
	return h
}

// arrange decides where each controller is used. Own is /proc/self/cgroup.
func arrange(h hierarchies, own string, privileged bool) (*layout, error) {
	l := &layout{parents: make(map[controller]string)}
	var unified []controller
	for _, c := range []controller{memory, cpu, pids, freezer, disk} {
		if h.v1[c] != "" {
			if !privileged {
				return nil, fmt.Errorf("the %s controller is on a cgroup v1 hierarchy, which only root may write to: %w", c, errors.ErrUnsupported)
			}
			l.parents[c] = h.v1[c]
		} else {
			unified = append(unified, c)
		}
	}
	if slices.Equal(unified, []controller{disk}) || len(unified) == 0 {
		return l, nil // nothing is needed of version 2
	}
	if h.point == "" {
		return nil, fmt.Errorf("no cgroup hierarchy has the %s controller: %w", unified[0], errors.ErrUnsupported)
	}
	if err := l.choose(h, own, privileged); err != nil {
		return nil, err
	}
	offered, err := rawfile.Read(filepath.Join(l.unified, "cgroup.controllers"))
	if err != nil {
		return nil, err
	}
	for _, c := range unified {
		has := slices.Contains(strings.Fields(string(offered)), string(c))
		switch {
		case has:
			l.enabled = append(l.enabled, string(c))
		case c == disk:
			continue
		case c != freezer: // which every cgroup of version 2 has
			return nil, fmt.Errorf("cgroup %s has no %s controller: %w", l.unified, c, errors.ErrUnsupported)
		}
		l.parents[c] = l.unified
	}
	return l, l.enable()
}

// choose finds the directory of version 2 to make groups in: the root of the tree
// for root, where that is in sight; else the one that this process is in.
func (l *layout) choose(h hierarchies, own string, privileged bool) error {
	_, err := os.Lstat(filepath.Join(h.point, "cgroup.type")) // which only the root has not
	if l.isRoot = errors.Is(err, fs.ErrNotExist); l.isRoot && privileged && writable(h.point) == nil {
		l.unified = h.point
		return nil
	}
	l.isRoot = false
	at := "/"
	for line := range strings.Lines(own) {
		if rest, ok := strings.CutPrefix(line, "0::"); ok {
			at = strings.TrimSuffix(strings.TrimSpace(rest), " (deleted)")
		}
	}
	rel, err := filepath.Rel(h.root, at)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return fmt.Errorf("this process's cgroup %s is not below %s, which is mounted: %w", at, h.root, errors.ErrUnsupported)
	}
	if path.Base(rel) == host {
		rel = path.Dir(rel)
	}
	l.unified = filepath.Join(h.point, rel)
	for _, name := range []string{"", "cgroup.procs", "cgroup.subtree_control"} {
		if err := writable(filepath.Join(l.unified, name)); err != nil {
			return fmt.Errorf("cgroup %s was not delegated to this user (%w); %s: %w", l.unified, err, Delegate, errors.ErrUnsupported)
		}
	}
	return nil
}

func writable(name string) error { return unix.Access(name, unix.W_OK) }

// enable gives the controllers to the groups below. A cgroup that does so must
// not have processes of its own ("no internal processes", cgroups(7)), unless it
// is the root: this process leaves for a group beside those of sandboxes.
func (l *layout) enable() error {
	has, err := rawfile.Read(filepath.Join(l.unified, "cgroup.subtree_control"))
	if err != nil {
		return err
	}
	if !containsAll(strings.Fields(string(has)), l.enabled) {
		if err := l.leave(); err != nil {
			return err
		}
		if err := l.control(l.unified); err != nil {
			return fmt.Errorf("%w (%w)", err, errors.ErrUnsupported)
		}
	}
	return l.makeTop()
}

// leave moves this process, and no other, out of the way.
func (l *layout) leave() error {
	if l.isRoot || len(l.enabled) == 0 {
		return nil
	}
	procs, err := rawfile.Read(filepath.Join(l.unified, "cgroup.procs"))
	if err != nil {
		return err
	}
	own := strconv.Itoa(os.Getpid())
	switch in := strings.Fields(string(procs)); {
	case len(in) == 0:
		return nil
	case !slices.Equal(in, []string{own}):
		return fmt.Errorf("cgroup %s has other processes than this one (%s), so its controllers cannot be given to sandboxes; %s: %w",
			l.unified, strings.Join(in, " "), Delegate, errors.ErrUnsupported)
	}
	dir := filepath.Join(l.unified, host)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return rawfile.Write(filepath.Join(dir, "cgroup.procs"), own)
}

func (l *layout) control(dir string) error {
	if len(l.enabled) == 0 {
		return nil
	}
	return rawfile.Write(filepath.Join(dir, "cgroup.subtree_control"), "+"+strings.Join(l.enabled, " +"))
}

func (l *layout) makeTop() error {
	dir := filepath.Join(l.unified, top)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return l.control(dir)
}

// makeUnified makes kavach/ID on version 2.
func (l *layout) makeUnified(id string) error {
	dir := filepath.Join(l.unified, top, id)
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrNotExist) { // somebody has tidied up
		if err = l.makeTop(); err == nil {
			err = os.Mkdir(dir, 0o755)
		}
	}
	return err
}

func containsAll(all, some []string) bool {
	for _, s := range some {
		if !slices.Contains(all, s) {
			return false
		}
	}
	return true
}
