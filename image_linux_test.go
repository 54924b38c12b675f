package kavach_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/backend/process"
	"github.com/kavach-dev/kavach/internal/testbin"
	"github.com/kavach-dev/kavach/internal/testclock"
	"github.com/kavach-dev/kavach/policy"
)

// opened is an Images that has one image, and counts its holders.
type opened struct {
	image backend.Image
	held  int
}

func (o *opened) Open(context.Context, string) (*backend.Image, error) {
	o.held++
	image := o.image
	image.Release = func() error { o.held--; return nil }
	return &image, nil
}

// busyboxLayers are two directories: a shell, linked statically, and above it a
// file that the lower one has too.
func busyboxLayers(t *testing.T) []string {
	t.Helper()
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatalf("%v: install busybox-static", err)
	}
	low, high := t.TempDir(), t.TempDir()
	for _, f := range []struct {
		path string
		text []byte
		mode os.FileMode
	}{
		{low + "/tools/busybox", program, 0o755},
		{low + "/srv/file", []byte("low"), 0o644},
		{high + "/srv/file", []byte("high"), 0o644},
	} {
		if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.path, f.text, f.mode); err != nil {
			t.Fatal(err)
		}
	}
	return []string{low, high}
}

// What an image says is what a command on the process backend gets.
func TestImageOnProcess(t *testing.T) {
	images := &opened{image: backend.Image{Ref: "a:1", Layers: busyboxLayers(t), Config: backend.ImageConfig{
		UID: 33, GID: 7, Env: []string{"PATH=/tools", "FROM=image"}, Dir: "/srv", Entrypoint: []string{"busybox"},
	}}}
	p, err := policy.Preset("basic")
	if err != nil {
		t.Fatal(err)
	}
	p.BestEffort = []policy.Control{policy.Limits} // an ordinary user has rlimits only
	p.Filesystem.Root, p.Filesystem.Image = "", "a:1"
	rt := &kavach.Runtime{Backends: []backend.Backend{&process.Backend{Guest: testbin.Kavach(t)}}, Images: images}
	var sb *kavach.Sandbox
	if err := testclock.Again(t, func() (err error) {
		sb, err = rt.Create(t.Context(), kavach.Config{Policy: p})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	script := "busybox id -u; busybox id -g; pwd; echo $FROM $PATH; busybox cat file"
	res, err := sb.Run(t.Context(), kavach.Cmd{Args: sb.Image().Config.Command([]string{"sh", "-c", script})})
	if want := "33\n7\n/srv\nimage /tools\nhigh"; err != nil || string(res.Stdout) != want {
		t.Errorf("%v, %+v, %s", err, res, res.Stderr)
	}
	if images.held != 1 {
		t.Errorf("it is held %d times", images.held)
	}

	// A path of the host is told of, and what is the image's own is not taken for it.
	host := images.image.Layers[0]
	res, err = sb.Run(t.Context(), kavach.Cmd{Args: []string{"busybox", "ls", host}})
	if err != nil || len(res.Denials) != 1 || !strings.Contains(res.Denials[0].Hint, "--volume "+host) {
		t.Errorf("%v, %+v", err, res)
	}
	if err := testclock.Again(t, func() error { return sb.Destroy(context.Background()) }); err != nil || images.held != 0 {
		t.Errorf("%v, it is held %d times", err, images.held)
	}
	for i, name := range []string{"low", "high"} {
		if text, err := os.ReadFile(images.image.Layers[i] + "/srv/file"); err != nil || string(text) != name {
			t.Errorf("the layer %s: %q, %v", name, text, err)
		}
	}
}
