package container

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/policy"
)

// imageOf makes an image of one layer, which has a static shell and nothing else,
// and what change makes of it.
func imageOf(t testing.TB, change func(root string) error) *backend.Image {
	t.Helper()
	root := testbin.TempDir(t)
	if err := os.Mkdir(filepath.Join(root, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal("these tests need busybox (busybox-static):", err)
	}
	program, err := os.ReadFile(busybox)
	if err == nil {
		err = os.WriteFile(filepath.Join(root, "bin", "sh"), program, 0o755)
	}
	if err == nil && change != nil {
		err = change(root)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &backend.Image{Ref: "test", Digest: "sha256:" + strings.Repeat("0", 64), Layers: []string{root}}
}

// withImage makes an instance with an image, and says what a script in it printed.
func withImage(t testing.TB, b *Backend, image *backend.Image, script string) (string, error) {
	t.Helper()
	_, p := faulty(t, b.Runtime)
	p.Filesystem.Root, p.Filesystem.Image = "", image.Ref
	spec := backend.Spec{ID: fmt.Sprintf("%016x", time.Now().UnixNano()), Policy: p, Image: image}
	i, err := b.Create(t.Context(), spec)
	if err != nil {
		if left := leftovers(spec.ID); left != nil {
			t.Errorf("left: %v", left)
		}
		return "", err
	}
	defer func() {
		if err := i.Destroy(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	process, err := i.Start(t.Context(), backend.Cmd{Args: []string{"/bin/sh", "-c", script}, Dir: "/", Env: []string{"PATH=/bin"}, Stdout: w, Stderr: w})
	w.Close()
	if err != nil {
		return "", err
	}
	out, _ := io.ReadAll(r)
	_, err = process.Wait(t.Context())
	return string(bytes.TrimSpace(out)), err
}

// TestBareImage: an image needs no library, no directory of the kernel's, nothing
// but what is to be run.
func TestBareImage(t *testing.T) {
	for name, path := range allRuntimes(t) {
		for _, noOverlay := range []bool{false, true} { // and then it is a copy
			b, _ := faulty(t, path)
			b.noOverlay = noOverlay
			out, err := withImage(t, b, imageOf(t, nil), "echo $0 $$; cd /proc/self && echo proc; echo x > /tmp/a && echo written; echo x > /b")
			if err != nil || !strings.HasPrefix(out, "/bin/sh ") || !strings.Contains(out, "proc\nwritten\n") || !strings.Contains(out, "Read-only file system") {
				t.Errorf("%s, no overlay %v: %q, %v", name, noOverlay, out, err)
			}
		}
	}
}

// TestHostileImages: links in the place of what a runtime mounts, makes or masks
// lead nowhere on the host, as CVE-2019-19921, CVE-2025-31133, CVE-2025-52565,
// CVE-2026-41579, CVE-2026-88264 and CVE-2026-88265 did.
func TestHostileImages(t *testing.T) {
	outside := filepath.Join(testbin.TempDir(t), "outside")
	if err := os.Mkdir(outside, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(outside, 0o777); err != nil { // what leads here could write here
		t.Fatal(err)
	}
	link := func(name, target string) func(string) error {
		return func(root string) error {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
				return err
			}
			return os.Symlink(target, filepath.Join(root, name))
		}
	}
	for _, tt := range []struct {
		name   string
		change func(string) error
		works  bool // it is harmless: the sandbox is made, and its own files are there
	}{
		{"/proc is a link", link("proc", outside), false},
		{"/proc is a link upwards", link("proc", "../../../../.."+outside), false},
		{"/dev is a link", link("dev", outside), false},
		{"/tmp is a link", link("tmp", outside), false},
		{"/etc is a link", link("etc", outside), false},
		{"/dev/null is a link", link("dev/null", outside+"/null"), true},
		{"/dev/console is a link", link("dev/console", outside+"/console"), true},
		{"/dev/pts is a link", link("dev/pts", outside), true},
		{"/dev/ptmx is a link", link("dev/ptmx", outside+"/ptmx"), true},
		{"/etc/hosts is a link", link("etc/hosts", outside+"/hosts"), true},
		{"/proc is a file", func(root string) error { return os.WriteFile(filepath.Join(root, "proc"), nil, 0o644) }, false},
	} {
		for name, path := range allRuntimes(t) {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				b, _ := faulty(t, path)
				out, err := withImage(t, b, imageOf(t, tt.change), "[ -c /dev/null ] && [ ! -L /dev/null ] && read x < /proc/self/status && echo $x")
				if tt.works != (err == nil) || tt.works && !strings.HasPrefix(out, "Name:") {
					t.Errorf("%q, %v", out, err)
				}
				if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
					t.Fatalf("on the host: %v, %v", entries, err)
				}
			})
		}
	}
}

// TestImageProof: the digest of the image is in what is proven.
func TestImageProof(t *testing.T) {
	p := asRootInside(t)
	image := imageOf(t, nil)
	p.Filesystem.Root, p.Filesystem.Image = "", image.Ref
	for name, path := range runtimes(t) {
		i, err := (&Backend{Guest: testbin.Kavach(t), Runtime: path}).Create(t.Context(), backend.Spec{ID: fmt.Sprintf("%016x", time.Now().UnixNano()), Policy: p, Image: image})
		if err != nil {
			t.Fatal(err)
		}
		proofs, err := i.Proofs(t.Context())
		if err != nil {
			t.Error(err)
		}
		for _, proof := range proofs {
			if held := proof.State == backend.Enforced || proof.Control == policy.Limits; !held {
				t.Errorf("%s: %+v", name, proof)
			}
		}
		if err := i.Destroy(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
