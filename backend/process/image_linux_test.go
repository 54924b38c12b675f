package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// layered is an image of these directories, for whoever asks.
type layered backend.Image

func (l layered) Open(context.Context, string) (*backend.Image, error) {
	image := backend.Image(l)
	return &image, nil
}

// maker makes a sandbox of layers. User is as in process.user.
type maker func(t *testing.T, user string, layers ...string) (*kavach.Sandbox, error)

// onBoth tests with an overlay of the layers, and with a copy. Only of the copy
// something is said.
func onBoth(t *testing.T, test func(t *testing.T, inImage maker)) {
	for name, b := range map[string]*Backend{"overlay": {}, "copy": {noOverlay: true}} {
		t.Run(name, func(t *testing.T) {
			test(t, func(t *testing.T, user string, layers ...string) (*kavach.Sandbox, error) {
				t.Helper()
				sb, err := makeImage(t, b, user, layers...)
				if err == nil && hasCopyNote(sb) != b.noOverlay {
					t.Errorf("notes: %q", sb.Notes())
				}
				return sb, err
			})
		})
	}
}

func hasCopyNote(sb *kavach.Sandbox) bool {
	notes := strings.Join(sb.Notes(), "\n")
	return strings.Contains(notes, "overlayfs is not to be had (") && strings.Contains(notes, "was copied into memory: ")
}

func makeImage(t *testing.T, b *Backend, user string, layers ...string) (*kavach.Sandbox, error) {
	t.Helper()
	p := rootfsPolicy(t, "")
	p.Filesystem.Image, p.Process.User, p.Filesystem.Writable = "test", user, true
	b.Guest = testbin.Kavach(t)
	rt := &kavach.Runtime{
		Backends: []backend.Backend{b},
		Images:   layered{Ref: "test", Digest: "sha256:" + strings.Repeat("0", 64), Layers: layers},
	}
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

// layer makes a directory above a root of busybox.
func layer(t *testing.T, make func(dir string) error) string {
	t.Helper()
	dir := testbin.TempDir(t)
	if err := make(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// write makes a file with its directories.
func write(name, text string, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(name, []byte(text), mode), os.Chmod(name, mode))
}

// TestImageLayers lays layers over each other as overlayfs does, and leaves them
// as they are.
func TestImageLayers(t *testing.T) { onBoth(t, testImageLayers) }

func testImageLayers(t *testing.T, inImage maker) {
	base := rootfs(t)
	for name, text := range map[string]string{"gone": "0", "etc/kept": "below", "etc/over": "below", "opaque/hidden": "below"} {
		if err := write(filepath.Join(base, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	top := layer(t, func(dir string) error {
		return errors.Join(
			unix.Mknod(filepath.Join(dir, "gone"), unix.S_IFCHR, 0),
			write(filepath.Join(dir, "etc/over"), "above", 0o644),
			write(filepath.Join(dir, "opaque/shown"), "above", 0o644),
			unix.Setxattr(filepath.Join(dir, "opaque"), "user.overlay.opaque", []byte("y"), 0))
	})
	sb, err := inImage(t, "", base, top)
	if err != nil {
		t.Fatal(err)
	}
	const script = "busybox ls -d /gone; busybox cat /etc/kept /etc/over; echo; busybox ls /opaque; echo changed > /etc/kept; busybox rm -r /opaque"
	want := "ls: /gone: No such file or directory"
	if got := run(t, sb, script); !strings.Contains(got, "belowabove\nshown") || !strings.Contains(got, want) {
		t.Errorf("got %q", got)
	}
	for name, text := range map[string]string{base + "/etc/kept": "below", top + "/opaque/shown": "above", base + "/gone": "0"} {
		if b, err := os.ReadFile(name); err != nil || string(b) != text {
			t.Errorf("%s was changed: %q, %v", name, b, err)
		}
	}
}

// TestImageOfManyLayers has as many as Docker makes.
func TestImageOfManyLayers(t *testing.T) { onBoth(t, testImageOfManyLayers) }

func testImageOfManyLayers(t *testing.T, inImage maker) {
	const most = 127
	layers := []string{rootfs(t)}
	for len(layers) < most {
		n := len(layers)
		layers = append(layers, layer(t, func(dir string) error {
			return errors.Join(write(filepath.Join(dir, "top"), fmt.Sprint(n), 0o644), write(filepath.Join(dir, "of", fmt.Sprint(n)), "", 0o644))
		}))
	}
	sb, err := inImage(t, "", layers...)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := run(t, sb, "busybox cat /top; echo; busybox ls /of | busybox wc -l"), fmt.Sprintf("%d\n%d", most-1, most-1); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestImageOwners: as root, what belongs to a user of the image belongs to that
// user inside, and to nobody of the host; an ordinary user's image has one.
func TestImageOwners(t *testing.T) { onBoth(t, testImageOwners) }

func testImageOwners(t *testing.T, inImage maker) {
	root := os.Geteuid() == 0
	base := rootfs(t)
	for name, mode := range map[string]fs.FileMode{"secret-of-0": 0o600, "secret-of-1000": 0o600, "open": 0o644} {
		if err := write(filepath.Join(base, name), name, mode); err != nil {
			t.Fatal(err)
		}
	}
	if root {
		if err := os.Chown(filepath.Join(base, "secret-of-1000"), 1000, 1000); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		why, user, file, want string
		ordinary              string // what an ordinary user sees, whose the whole image is; "": the same
	}{
		{"its own", "1000:1000", "secret-of-1000", "secret-of-1000 1000:1000", ""},
		{"another's", "1000:1000", "secret-of-0", "denied 0:0", "secret-of-0 1000:1000"},
		{"everybody's", "1000:1000", "open", "open 0:0", "open 1000:1000"},
		{"the twin: root of the image reads what is root's", "0:0", "secret-of-0", "secret-of-0 0:0", ""},
		{"root of the image has no capability", "0:0", "secret-of-1000", "denied 1000:1000", "secret-of-1000 0:0"},
	} {
		sb, err := inImage(t, tt.user, base)
		if err != nil {
			t.Fatal(err)
		}
		want := tt.want
		if !root && tt.ordinary != "" {
			want = tt.ordinary
		}
		script := fmt.Sprintf("busybox cat /%s 2>/dev/null || echo -n denied; echo -n ' '; busybox stat -c %%u:%%g /%s", tt.file, tt.file)
		if got := run(t, sb, script); got != want {
			t.Errorf("%s: got %q, want %q", tt.why, got, want)
		}
	}
}

// TestImageLinks is CONTAINMENT 4 for images; the twin of each is the same image
// with what belongs there.
func TestImageLinks(t *testing.T) { onBoth(t, testImageLinks) }

func testImageLinks(t *testing.T, inImage maker) {
	outside := filepath.Join(testbin.TempDir(t), "outside")
	if err := os.Mkdir(outside, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"proc", "dev", "tmp", "etc"} {
		link := layer(t, func(dir string) error { return os.Symlink(outside, filepath.Join(dir, name)) })
		var wrong *policy.FieldError
		if _, err := inImage(t, "", rootfs(t), link); !errors.As(err, &wrong) || wrong.Field != "filesystem.image" {
			t.Errorf("/%s is a link: %v", name, err)
		}
		if left, err := os.ReadDir(outside); err != nil || len(left) != 0 {
			t.Errorf("/%s: something was made on the host: %v %v", name, left, err)
		}
		made := layer(t, func(dir string) error { return os.Mkdir(filepath.Join(dir, name), 0o755) })
		if _, err := inImage(t, "", rootfs(t), made); err != nil {
			t.Errorf("twin: /%s as it should be: %v", name, err)
		}
	}
	// A link to the root directory grants nothing.
	up := layer(t, func(dir string) error { return os.Symlink("../../..", filepath.Join(dir, "up")) })
	if _, err := inImage(t, "", rootfs(t), up); err != nil {
		t.Errorf("/up is a link to /: %v", err)
	}
	// What is replaced is replaced, not followed.
	resolv := layer(t, func(dir string) error {
		return errors.Join(os.Mkdir(filepath.Join(dir, "etc"), 0o755), os.Symlink(outside+"/resolv", filepath.Join(dir, "etc/resolv.conf")))
	})
	sb, err := inImage(t, "", rootfs(t), resolv)
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, sb, "busybox cat /etc/resolv.conf"); !strings.HasPrefix(got, "#") {
		t.Errorf("/etc/resolv.conf: %q", got)
	}
}
