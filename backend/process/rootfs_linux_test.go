package process

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

const busybox = "/bin/busybox"

// rootfs makes a root directory of busybox alone, without /proc, /dev, /tmp.
func rootfs(t *testing.T) string {
	t.Helper()
	program, err := os.ReadFile(busybox)
	if err != nil {
		t.Skip("busybox-static is not installed:", err)
	}
	dir := filepath.Join(testbin.TempDir(t), "root")
	for _, sub := range []string{"bin", "etc"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "bin/busybox"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("busybox", filepath.Join(dir, "bin/sh")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func rootfsPolicy(t *testing.T, root string) policy.Policy {
	t.Helper()
	p, err := policy.Preset("strict")
	if err != nil {
		t.Fatal(err)
	}
	p.Filesystem.Root = root
	return p
}

func create(t *testing.T, p policy.Policy) (*kavach.Sandbox, error) {
	t.Helper()
	rt := &kavach.Runtime{Backends: []backend.Backend{&Backend{Guest: testbin.Kavach(t)}}}
	sb, err := createAgain(t, rt, p)
	if err == nil {
		t.Cleanup(func() {
			if err := destroyAgain(t, sb); err != nil {
				t.Error(err)
			}
		})
	}
	return sb, err
}

func run(t *testing.T, sb *kavach.Sandbox, script string) string {
	t.Helper()
	res, err := sb.Run(t.Context(), kavach.Cmd{Args: []string{"/bin/sh", "-c", script}})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(res.Stdout) + string(res.Stderr))
}

func TestRootfs(t *testing.T) {
	root := rootfs(t)
	for _, row := range []struct {
		why, script, want string
		writable          bool
	}{
		{"it is the root directory", "echo /*", "/bin /dev /etc /proc /run /tmp /var", false},
		{"nothing of the host is there", "busybox ls /usr /root /work 2>&1 | busybox grep -c 'No such'", "3", false},
		{"it is read-only", "echo x > /etc/x; echo $?", "1", false},
		{"a writable layer takes changes", "echo x > /etc/x && busybox cat /etc/x && busybox rm /bin/sh && echo /bin/*", "x\n/bin/busybox", true},
		{"it scores like any other root", "busybox readlink /proc/self/root", "/", false},
	} {
		p := rootfsPolicy(t, root)
		p.Filesystem.Writable = row.writable
		sb, err := create(t, p)
		if err != nil {
			t.Fatalf("%s: %v", row.why, err)
		}
		if got := run(t, sb, row.script); !strings.HasPrefix(got, row.want) {
			t.Errorf("%s: got %q, want %q", row.why, got, row.want)
		}
		// And what the host has is as it was.
		if _, err := os.Lstat(filepath.Join(root, "etc/x")); err == nil {
			t.Errorf("%s: the sandbox wrote to the host", row.why)
		}
		if _, err := os.Lstat(filepath.Join(root, "bin/sh")); err != nil {
			t.Errorf("%s: the sandbox removed a file of the host: %v", row.why, err)
		}
	}
}

// TestRootfsLinks is CONTAINMENT 4: what Kavach mounts over is a link in the
// image (CVE-2019-19921, CVE-2026-41579). The twin is the same image with a
// directory in that place.
func TestRootfsLinks(t *testing.T) {
	for _, name := range []string{"proc", "dev", "tmp", "dev/shm", "dev/null", "dev/pts"} {
		root := rootfs(t)
		outside := filepath.Join(t.TempDir(), "outside")
		if err := os.Mkdir(outside, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
		var wrong *policy.FieldError
		if _, err := create(t, rootfsPolicy(t, root)); !errors.As(err, &wrong) {
			t.Errorf("an image whose /%s is a link: %v", name, err)
		} else if wrong.Field != "filesystem.root" || !strings.Contains(wrong.Problem, "/"+name+" in "+root+" is a link") {
			t.Errorf("/%s: it is not said what is wrong: %v", name, err)
		}
		if left, err := os.ReadDir(outside); err != nil || len(left) != 0 {
			t.Errorf("/%s: something was made on the host: %v %v", name, left, err)
		}
		if err := os.Remove(filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
		if name == "dev/null" {
			if err := os.WriteFile(filepath.Join(root, name), nil, 0o666); err != nil {
				t.Fatal(err)
			}
		} else if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := create(t, rootfsPolicy(t, root)); err != nil {
			t.Errorf("twin: /%s as it should be: %v", name, err)
		}
	}
}

// TestMountsBelowLinks: /var/tmp and /var/run are links where nothing is mounted
// there.
func TestMountsBelowLinks(t *testing.T) {
	dir := testbin.TempDir(t)
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("seen"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/var/tmp/at", "/var/tmp", "/var/run/deep/at"} {
		p := rootfsPolicy(t, policy.RootHost)
		p.Filesystem.Mounts = []policy.Mount{{Source: dir, Target: target}}
		sb, err := create(t, p)
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		if got := run(t, sb, "cat "+target+"/file"); got != "seen" {
			t.Errorf("%s: %q", target, got)
		}
	}
	sb, err := create(t, rootfsPolicy(t, policy.RootHost))
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, sb, "readlink /var/tmp /var/run"); got != "../tmp\n../run" {
		t.Errorf("without: %q", got)
	}
}
