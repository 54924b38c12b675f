package jail

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// What comes with Ready must be an upper directory for each writable mount, and
// is closed otherwise.
func TestTakeLayers(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	elsewhere := t.TempDir()
	dir := filepath.Join(elsewhere, "tmpfs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var onTmpfs unix.Statfs_t
	if err := unix.Statfs(elsewhere, &onTmpfs); err != nil {
		t.Fatal(err)
	}
	if onTmpfs.Type == unix.TMPFS_MAGIC {
		elsewhere = "/proc" // this machine's temporary directory is a tmpfs itself
	}
	tests := []struct {
		paths  []string
		mounts int
		ok     bool
		why    string
	}{
		{nil, 0, true, "no writable mount, and nothing came"},
		{[]string{dir}, 1, true, "an upper directory"},
		{[]string{dir, dir}, 2, true, "two"},
		{[]string{dir}, 0, false, "nobody asked for it"},
		{nil, 1, false, "none came"},
		{[]string{dir, dir}, 1, false, "one too many"},
		{[]string{elsewhere}, 1, false, "a directory of another file system"},
		{[]string{filepath.Join(dir, "file")}, 1, false, "a file"},
		{[]string{dir, "/dev/null"}, 2, false, "a device beside it"},
	}
	for _, tt := range tests {
		j := &Jail{layers: make([]backend.Layer, tt.mounts)}
		var fds []int
		for _, path := range tt.paths {
			fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			fds = append(fds, fd)
		}
		if err := j.takeDirs(fds); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.why, err)
		}
		for i, fd := range fds {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); (err == nil) != tt.ok {
				t.Errorf("%s: descriptor %d is open: %t", tt.why, i, err == nil)
			}
		}
		if tt.ok {
			for _, l := range j.layers {
				l.Upper.Close()
			}
		}
	}
}

func TestMountOp(t *testing.T) {
	dir := source{path: "/d", target: "/d", dir: true}
	file := source{path: "/f", target: "/f"}
	tests := []struct {
		access string
		s      source
		root   bool
		safe   bool // Config.NoSetID
		ok     bool
		why    string
	}{
		{"", file, true, false, true, "read-only"},
		{policy.AccessRead, dir, false, false, true, "read-only, spelled out"},
		{policy.AccessWrite, dir, true, false, true, "an overlay needs no filter"},
		{policy.AccessWrite, file, true, true, false, "an overlay is over a directory"},
		{policy.AccessDirect, file, true, true, true, "root, with the filter"},
		{policy.AccessDirect, dir, true, false, false, "root, without it: a setuid file would be root's"},
		{policy.AccessDirect, dir, false, false, true, "an ordinary user can leave files of its own only"},
	}
	for _, tt := range tests {
		m := policy.Mount{Source: tt.s.path, Access: tt.access}
		tt.s.mount = m
		if _, err := mountOp(&Config{NoSetID: tt.safe}, m, tt.s, ids{root: tt.root}); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.why, err)
		}
	}
}
