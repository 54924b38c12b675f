package process

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/internal/testclock"
	"github.com/kavach-dev/kavach/policy"
)

// oddLayers are layers of what overlayfs and a copy could see differently.
func oddLayers(t *testing.T) []string {
	t.Helper()
	const text = "text"
	base, middle, top := rootfs(t), testbin.TempDir(t), testbin.TempDir(t)
	in := func(dir, name string) string { return filepath.Join(dir, name) }
	whiteout := func(name string) error {
		return errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), unix.Mknod(name, unix.S_IFCHR, 0))
	}
	opaque := func(name string) error { return unix.Setxattr(name, "user.overlay.opaque", []byte("y"), 0) }
	if err := errors.Join(
		write(in(base, "merged/base"), text, 0o640), write(in(base, "merged/all"), "base", 0o600), os.Chmod(in(base, "merged"), 0o700),
		write(in(base, "file-then-dir"), text, 0o644), write(in(base, "dir-then-file/x"), text, 0o644), write(in(base, "link-then-dir-of/x"), text, 0o644),
		write(in(base, "gone/below/x"), text, 0o644), write(in(base, "gone-and-back/old"), text, 0o644), write(in(base, "opaque/old"), text, 0o644),
		write(in(base, "broken/old"), text, 0o644), write(in(base, "closed"), text, 0), write(in(base, "setuid"), text, 0o755|os.ModeSetuid),
		os.Mkdir(in(base, "sticky"), 0o755), os.Chmod(in(base, "sticky"), 0o777|os.ModeSticky),
		os.Link(in(base, "merged/base"), in(base, "hard")), os.Symlink("/work", in(base, "absolute")), os.Symlink("../../..", in(base, "etc/up")),
		unix.Mkfifo(in(base, "fifo"), 0o644), write(in(base, strings.Repeat("n", 255)), text, 0o644), write(in(base, "new\nline"), text, 0o644),

		write(in(middle, "merged/middle"), text, 0o604), write(in(middle, "merged/all"), "middle", 0o600), os.Chmod(in(middle, "merged"), 0o711),
		write(in(middle, "file-then-dir/x"), text, 0o644), write(in(middle, "dir-then-file"), text, 0o644),
		whiteout(in(middle, "gone/below")), whiteout(in(middle, "gone-and-back")), write(in(middle, "opaque/middle"), text, 0o644), opaque(in(middle, "opaque")),
		write(in(middle, "broken"), "a file in the way", 0o644), os.Symlink("etc", in(middle, "link-then-dir-of")),

		write(in(top, "merged/all"), "top", 0o600), os.Chmod(in(top, "merged"), 0o755), write(in(top, "gone-and-back/new"), text, 0o644),
		write(in(top, "opaque/top"), text, 0o644), write(in(top, "broken/new"), text, 0o644),
		write(in(top, "link-then-dir-of/y"), text, 0o644), os.Mkdir(in(top, "empty"), 0o500),
	); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		for name, id := range map[string]int{"closed": 1000, "sticky": 65534, "absolute": 7} {
			if err := os.Lchown(in(base, name), id, id); err != nil {
				t.Fatal(err)
			}
		}
	}
	return []string{base, middle, top}
}

// TestImageCopyEqualsOverlay: what is copied is what overlayfs shows, and counts
// for as much. Setuid bits are left out, and are in no image.
func TestImageCopyEqualsOverlay(t *testing.T) {
	layers := oddLayers(t)
	const script = `cd /; busybox find . -path ./proc -prune -o -path ./dev -prune -o -path ./tmp -prune -o -type d -exec busybox stat -c '%n %F %a %u:%g' {} \; ` +
		`-o -exec busybox stat -c '%n %N %F %a %u:%g %s %Y' {} \; | busybox sort; busybox head -n 99 /merged/* /opaque/* /broken/*`
	var seen []string
	var scores []int
	onBoth(t, func(t *testing.T, inImage maker) {
		sb, err := inImage(t, "", layers...)
		if err != nil {
			t.Fatal(err)
		}
		now := strings.ReplaceAll(run(t, sb, script), " 4755 ", " 755 ")
		var kept []string
		for _, line := range strings.Split(now, "\n") {
			if !strings.HasPrefix(line, "./etc/h") && !strings.HasPrefix(line, "./etc/resolv.conf") && !strings.HasPrefix(line, "./.landlock-canary") { // made anew
				kept = append(kept, line)
			}
		}
		seen, scores = append(seen, strings.Join(kept, "\n")), append(scores, sb.Score().Value)
	})
	if len(seen) != 2 || seen[0] != seen[1] || !strings.Contains(seen[0], "./gone-and-back/new") || strings.Contains(seen[0], "/old") {
		t.Errorf("not the same:\n%s", strings.Join(seen, "\n----\n"))
	}
	if len(scores) != 2 || scores[0] != scores[1] {
		t.Errorf("scores: %v", scores)
	}
}

// copied makes a sandbox of a policy, with an overlay of the root and with a copy.
func copied(t *testing.T, p policy.Policy, test func(t *testing.T, sb *kavach.Sandbox)) {
	for name, b := range map[string]*Backend{"overlay": {}, "copy": {noOverlay: true}} {
		t.Run(name, func(t *testing.T) {
			b.Guest = testbin.Kavach(t)
			sb, err := createWith(t, b, p)
			if err != nil {
				t.Fatal(err)
			}
			if hasCopyNote(sb) != b.noOverlay {
				t.Errorf("notes: %q", sb.Notes())
			}
			test(t, sb)
		})
	}
}

// TestImageRootCopied is for filesystem.root. As root one id is mapped: what
// belongs to another is everybody's, or nobody's.
func TestImageRootCopied(t *testing.T) {
	root := rootfs(t)
	if err := errors.Join(write(filepath.Join(root, "open"), "open", 0o644), write(filepath.Join(root, "closed"), "closed", 0o640)); err != nil {
		t.Fatal(err)
	}
	closed := "closed"
	if os.Geteuid() == 0 {
		closed = "denied"
		if err := errors.Join(os.Chown(filepath.Join(root, "open"), 1000, 1000), os.Chown(filepath.Join(root, "closed"), 1000, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	const script = "busybox cat /open; (busybox cat /closed || echo -n denied) 2>/dev/null; (echo > /etc/x) 2>/dev/null && echo -n written"
	for _, writable := range []bool{false, true} {
		p := rootfsPolicy(t, root)
		p.Filesystem.Writable = writable
		want := "open" + closed
		if writable {
			want += "written"
		}
		copied(t, p, func(t *testing.T, sb *kavach.Sandbox) {
			if got := run(t, sb, script); got != want {
				t.Errorf("writable %v: got %q, want %q", writable, got, want)
			}
		})
	}
	if _, err := os.Lstat(filepath.Join(root, "etc/x")); err == nil {
		t.Error("the sandbox wrote to the host")
	}
}

// TestImageCopyIsBounded: the copy takes nothing of what commands may write, and
// gives them nothing.
func TestImageCopyIsBounded(t *testing.T) {
	p := rootfsPolicy(t, rootfs(t))
	p.Filesystem.Writable, p.Filesystem.TmpSize = true, 8<<20
	const fill = "busybox dd if=/dev/zero of=%s bs=1M count=%d 2>/dev/null && echo -n fits"
	copied(t, p, func(t *testing.T, sb *kavach.Sandbox) {
		for _, row := range []struct {
			file string
			mib  int
			want string
		}{{"/etc/small", 8, "fits"}, {"/etc/large", 2, ""}, {"/tmp/large", 2, ""}} {
			if got := run(t, sb, fmt.Sprintf(fill, row.file, row.mib)); got != row.want {
				t.Errorf("%d MiB in %s: %q, want %q", row.mib, row.file, got, row.want)
			}
		}
	})
}

// TestImageTooLargeToCopy is refused, and leaves nothing behind. With overlayfs
// the size does not matter.
func TestImageTooLargeToCopy(t *testing.T) {
	base := rootfs(t)
	const size = 1<<30 + 1
	if err := errors.Join(write(filepath.Join(base, "huge"), "", 0o644), os.Truncate(filepath.Join(base, "huge"), size)); err != nil {
		t.Fatal(err)
	}
	p := rootfsPolicy(t, "")
	p.Filesystem.Image = "test"
	if os.Geteuid() != 0 {
		p.BestEffort = []policy.Control{policy.Limits}
	}
	for _, tt := range []struct {
		why       string
		noOverlay bool
	}{{"the copy", true}, {"the twin", false}} {
		id := fmt.Sprintf("%016x", rand.Uint64())
		b := &Backend{Guest: testbin.Kavach(t), noOverlay: tt.noOverlay}
		i, err := b.Create(t.Context(), backend.Spec{ID: id, Policy: p, Image: &backend.Image{Ref: "test", Layers: []string{base}}})
		var wrong *policy.FieldError
		large := errors.As(err, &wrong) && wrong.Field == "filesystem.image" && strings.Contains(wrong.Problem, "overlayfs is not to be had (invalid argument)") &&
			strings.Contains(wrong.Problem, "larger than 1024 MiB") && wrong.Fix != ""
		if large != tt.noOverlay || !tt.noOverlay && err != nil {
			t.Errorf("%s: %v", tt.why, err)
		}
		if err == nil {
			if err := i.Destroy(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if left := leftovers(id); len(left) > 0 {
			t.Errorf("%s: left behind: %v", tt.why, left)
		}
	}
}

// copyEnv is the directory that the helper "copies" has as the root.
const copyEnv = "KAVACH_FAULT_COPY"

// copies makes and destroys sandboxes with a copy of the root.
func copies(_ *kavach.Runtime, p policy.Policy) {
	p.Filesystem.Root = os.Getenv(copyEnv)
	loop(&kavach.Runtime{Backends: []backend.Backend{&Backend{Guest: os.Getenv(guestEnv), noOverlay: true}}}, p)
}

// TestImageCopyKillNine: a copy that is being made is gone with who makes it.
func TestImageCopyKillNine(t *testing.T) {
	root := rootfs(t)
	const size = 256 << 20 // which takes longer than all else
	large := filepath.Join(root, "large")
	if err := errors.Join(os.Symlink("busybox", filepath.Join(root, "bin/true")), write(large, "", 0o644), os.Truncate(large, size)); err != nil {
		t.Fatal(err)
	}
	t.Setenv(copyEnv, root)
	testclock.Try(t, func(t testing.TB) {
		for range 8 {
			killSomewhere(t, "copies", 300*time.Millisecond)
		}
	})
}
