package jail

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/evidence"
	"github.com/kavach-dev/kavach/internal/rawfile"
	"github.com/kavach-dev/kavach/policy"
)

// readonly reports whether commands may only read from a mount.
func readonly(m policy.Mount) bool { return m.Access == "" || m.Access == policy.AccessRead }

func mountKind(m policy.Mount) guest.OpKind {
	if m.Access == policy.AccessWrite {
		return guest.OpWorkspace
	}
	return guest.OpBind
}

// mountOp is what the guest does for a mount.
func mountOp(c *Config, m policy.Mount, s source, as ids) (guest.Op, error) {
	if m.Access == policy.AccessWrite {
		if !s.dir {
			return guest.Op{}, fmt.Errorf("mount %s: changes to a single file cannot be kept apart; name its directory, or use access direct", m.Source)
		}
		if err := lockedBelow(s.path, as); err != nil {
			return guest.Op{}, err
		}
	}
	// What a sandbox of root writes to the host belongs to root there: without
	// the filter, which refuses setuid and setgid bits, that would be a way to
	// become root on the host.
	if m.Access == policy.AccessDirect && as.root && !c.NoSetID {
		return guest.Op{}, fmt.Errorf("mount %s: access direct, as root, needs a seccomp profile: without one a command could leave a setuid program of root's; "+
			"set seccomp.profile, or use access rw: %w", m.Source, errors.ErrUnsupported)
	}
	return s.op(mountKind(m), as.root), nil
}

// lockedBelow refuses a workspace that an ordinary user cannot have: the mounts
// of a mount namespace that came from a user namespace above are locked
// together (mount_namespaces(7)), and an overlay would show what is below them.
func lockedBelow(dir string, as ids) error {
	if as.root {
		return nil
	}
	text, err := rawfile.Read("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for _, m := range evidence.ParseMounts(string(text)) {
		if strings.HasPrefix(unescapeMount(m.Point), strings.TrimSuffix(dir, "/")+"/") {
			return fmt.Errorf("mount %s: %s is mounted in it, which only root can leave out of a writable mount; "+
				"name a directory without mounts, or use access direct: %w", dir, unescapeMount(m.Point), errors.ErrUnsupported)
		}
	}
	return nil
}

// unescapeMount undoes what mountinfo does to the characters that separate its
// fields (proc_pid_mountinfo(5)).
var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// openBases opens the host's directories of the writable mounts: changes are
// applied to what was there when the jail was made, wherever its path leads by
// then.
func (j *Jail) openBases(sources []source) error {
	for _, s := range sources {
		if s.mount.Access != policy.AccessWrite {
			continue
		}
		fd, err := guest.OpenSource(s.path, s.dev, s.ino)
		if err != nil {
			return fmt.Errorf("mount %s: %w", s.path, err)
		}
		j.layers = append(j.layers, backend.Layer{Mount: s.mount, Base: os.NewFile(uintptr(fd), s.path)})
	}
	return nil
}

// takeDirs takes what came with Ready: the upper directory of each writable mount,
// the directories for files in memory that the guest has made, and nothing else.
func (j *Jail) takeDirs(fds []int) error {
	dirs := make([]*os.File, len(fds))
	for i, fd := range fds {
		dirs[i] = os.NewFile(uintptr(fd), "directory of the sandbox")
	}
	layers, memory := len(j.layers), 0
	if !j.ids.root {
		memory = len(j.cfg.secretDirs())
	}
	if err := checkDirs(dirs, layers+memory); err != nil {
		for _, f := range dirs {
			f.Close()
		}
		return err
	}
	for i := range j.layers {
		j.layers[i].Upper = dirs[i]
	}
	if memory > 0 {
		j.takeMemory(dirs[layers:])
	}
	return nil
}

func checkDirs(files []*os.File, want int) error {
	if len(files) != want {
		return fmt.Errorf("wait for the guest: it sent %d descriptors, and there are %d writable mounts and directories in memory", len(files), want)
	}
	for _, f := range files {
		var st unix.Stat_t
		var fs unix.Statfs_t
		if err := errors.Join(unix.Fstat(int(f.Fd()), &st), unix.Fstatfs(int(f.Fd()), &fs)); err != nil {
			return fmt.Errorf("directory of the sandbox: %w", err)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR || fs.Type != unix.TMPFS_MAGIC {
			return errors.New("wait for the guest: it sent something that is no directory of a tmpfs")
		}
	}
	return nil
}

// closeLayers may be called again.
func (j *Jail) closeLayers() {
	for _, l := range j.layers {
		l.Base.Close()
		if l.Upper != nil {
			l.Upper.Close()
		}
	}
}
