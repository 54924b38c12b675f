package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/rawfile"
)

// Disk is a whole disk, by its device numbers.
type Disk struct{ Major, Minor uint32 }

func (d Disk) String() string { return fmt.Sprintf("%d:%d", d.Major, d.Minor) }

// ErrNoDisk says that a file system is on no disk that a cgroup could bound.
var ErrNoDisk = errors.New("is on no disk that a cgroup bounds")

// Disks finds the disks that these places are on, and what is mounted below them.
// Places in memory have none, and neither have those that are not there.
func Disks(places []string) (disks []Disk, err error) {
	text, err := rawfile.Read("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var mounts []mountLine
	for line := range strings.Lines(string(text)) {
		if m, ok := parseMount(line); ok {
			mounts = append(mounts, m)
		}
	}
	for _, place := range places {
		at, err := filepath.EvalSymlinks(place)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, m := range seenAt(mounts, at) {
			if inMemory(m.kind) {
				continue
			}
			d, err := m.disk()
			if err != nil {
				return nil, fmt.Errorf("%s (%s, mounted at %s) %w", place, m.kind, m.point, err)
			}
			if !slices.Contains(disks, d) {
				disks = append(disks, d)
			}
		}
	}
	return disks, nil
}

// seenAt are the mount that a place is on, which is the last of those nearest
// above it, and all mounts below it.
func seenAt(mounts []mountLine, place string) (seen []mountLine) {
	on := -1
	for i, m := range mounts {
		if below(m.point, place) && m.point != place {
			seen = append(seen, m)
		} else if below(place, m.point) && (on < 0 || len(m.point) >= len(mounts[on].point)) {
			on = i
		}
	}
	if on >= 0 {
		seen = append(seen, mounts[on])
	}
	return seen
}

// below reports whether a path is another, or below it.
func below(name, top string) bool {
	return name == top || strings.HasPrefix(name, strings.TrimSuffix(top, "/")+"/")
}

// inMemory are file systems of the kernel's own, which use no disk.
func inMemory(kind string) bool {
	return slices.Contains([]string{
		"tmpfs", "ramfs", "rootfs", "proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "mqueue", "hugetlbfs",
		"debugfs", "tracefs", "securityfs", "configfs", "bpf", "pstore", "nsfs", "efivarfs", "fusectl", "binfmt_misc", "autofs",
	}, kind)
}

// unescape undoes what mountinfo does to white space (proc_pid_mountinfo(5)).
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

type mountLine struct {
	device              uint64
	point, kind, source string
}

// parseMount reads a line of mountinfo (proc_pid_mountinfo(5)).
func parseMount(line string) (m mountLine, ok bool) {
	before, after, _ := strings.Cut(line, " - ")
	mount, super := strings.Fields(before), strings.Fields(after)
	if len(mount) < 5 || len(super) < 2 {
		return m, false
	}
	var major, minor uint32
	if _, err := fmt.Sscanf(mount[2], "%d:%d", &major, &minor); err != nil {
		return m, false
	}
	return mountLine{device: unix.Mkdev(major, minor), point: unescape.Replace(mount[4]), kind: super[0], source: super[1]}, true
}

// disk finds the whole disk behind a mount. A file system with device numbers of
// no disk, as btrfs has, names the disk as what is mounted.
func (m mountLine) disk() (Disk, error) {
	device := m.device
	if unix.Major(device) == 0 {
		var st unix.Stat_t
		if err := unix.Stat(m.source, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK || !filepath.IsAbs(m.source) {
			return Disk{}, ErrNoDisk
		}
		device = st.Rdev
	}
	return wholeDisk(device)
}

// wholeDisk is the disk that a device is, or is a partition of: bounds are set on
// disks (Documentation/admin-guide/cgroup-v2.rst, "io.max").
func wholeDisk(device uint64) (Disk, error) {
	d := Disk{unix.Major(device), unix.Minor(device)}
	at, err := filepath.EvalSymlinks("/sys/dev/block/" + d.String())
	if err != nil {
		return d, ErrNoDisk
	}
	if _, err := os.Stat(filepath.Join(at, "partition")); err != nil {
		return d, nil
	}
	text, err := rawfile.Read(filepath.Join(filepath.Dir(at), "dev"))
	if err == nil {
		_, err = fmt.Sscanf(string(text), "%d:%d", &d.Major, &d.Minor)
	}
	return d, err
}
