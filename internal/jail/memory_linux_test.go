package jail

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/policy"
)

// A directory of secret files hides nothing of the sandbox's, and is made in nothing
// that is not its own.
func TestSecretDirs(t *testing.T) {
	root, elsewhere := t.TempDir(), t.TempDir()
	for _, dir := range []string{"run/secrets", "srv/full/of"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(elsewhere, "secrets"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(root, "out")); err != nil {
		t.Fatal(err)
	}
	host, own := Config{Root: policy.RootHost, Scratch: 1 << 20}, Config{Root: root, Scratch: 1 << 20}
	writable := host
	writable.Writable = true
	tests := []struct {
		why    string
		cfg    Config
		file   string
		refuse string
		pinned []string
	}{
		{"as the page says", host, "/run/secrets/x", "", nil},
		{"a directory that is there, and empty", own, "/run/secrets/x", "", nil},
		{"a directory of the root that has files", own, "/srv/full/x", "has files", nil},
		{"a link out of the root: what is there is not looked at, and the guest follows none", own, "/out/x", "", nil},
		{"a link of the sandbox's", host, "/var/run/s/x", "/var/run", nil},
		{"a file of the sandbox's", host, "/etc/passwd/x", "/etc/passwd", nil},
		{"in /tmp, where a mount cannot be moved", host, "/tmp/s/x", "", nil},
		{"further down in /tmp, where what is above it could be", host, "/tmp/a/b/s/x", "", []string{"/tmp/a", "/tmp/a/b"}},
		{"a writable root", writable, "/run/secrets/x", "", []string{"/run"}},
		{"a writable root, further down", writable, "/srv/a/s/x", "", []string{"/srv", "/srv/a"}},
	}
	for _, tt := range tests {
		tt.cfg.SecretFiles = []string{tt.file}
		ops, _, err := plan(&tt.cfg, ids{})
		if tt.refuse != "" {
			if err == nil || !strings.Contains(err.Error(), tt.refuse) {
				t.Errorf("%s: %v", tt.why, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.why, err)
			continue
		}
		var pinned []string
		for _, op := range ops {
			if op.Kind == guest.OpPin {
				pinned = append(pinned, op.Path)
			}
		}
		if !slices.Equal(pinned, tt.pinned) || ops[len(ops)-1].Kind != guest.OpMemory {
			t.Errorf("%s: mounts of their own are %q, want %q", tt.why, pinned, tt.pinned)
		}
	}
}

func TestInOrOver(t *testing.T) {
	tests := []struct {
		why  string
		dir  string
		op   guest.Op
		want bool
	}{
		{"a part of the host", "/etc/ssl", guest.Op{Kind: guest.OpBind, Path: "/etc/ssl/certs"}, true},
		{"in a part of the host", "/etc/ssl/certs/s", guest.Op{Kind: guest.OpBind, Path: "/etc/ssl/certs"}, true},
		{"beside it", "/etc/ssl2", guest.Op{Kind: guest.OpBind, Path: "/etc/ssl"}, false},
		{"the very place of a directory", "/srv", guest.Op{Kind: guest.OpDir, Path: "/srv"}, true},
		{"in a directory", "/srv/s", guest.Op{Kind: guest.OpDir, Path: "/srv"}, false},
		{"in what is empty and read-only", "/srv/s", guest.Op{Kind: guest.OpMask, Path: "/srv"}, true},
		{"over what is hidden anyhow", "/srv", guest.Op{Kind: guest.OpMask, Path: "/srv/s"}, false},
		{"the root directory itself", "/srv", guest.Op{Kind: guest.OpOverlay, Path: "/"}, false},
	}
	for _, tt := range tests {
		if got := inOrOver(tt.dir, &tt.op); got != tt.want {
			t.Errorf("%s: %t", tt.why, got)
		}
	}
}

// A command's user may open what it reads by its name, and for reading alone.
func TestOpenable(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	j := &Jail{ids: ids{root: true}}
	if err := j.openable(backend.Cmd{Files: []backend.Descriptor{{FD: 3, File: r}}}); err != nil {
		t.Fatal(err)
	}
	info, err := r.Stat()
	if err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// What a frame could not hold is refused in words.
func TestManySecretDirs(t *testing.T) {
	cfg := Config{Root: policy.RootHost}
	for i := range maxSecretDirs {
		cfg.SecretFiles = append(cfg.SecretFiles, fmt.Sprintf("/run/s%d/x", i), fmt.Sprintf("/run/s%d/y", i))
	}
	if _, err := cfg.memoryOps(nil, false); err != nil {
		t.Error(err)
	}
	cfg.SecretFiles = append(cfg.SecretFiles, "/run/one-more/x")
	if _, err := cfg.memoryOps(nil, false); err == nil || !strings.Contains(err.Error(), "put them into one") {
		t.Errorf("%v", err)
	}
}
