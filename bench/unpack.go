package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/kavach-dev/kavach/image"
)

// unpack is an image of one layer, which image.Store and tar unpack.
type unpack struct {
	dir    string
	megs   int // of files
	rounds int

	files, bytes int64 // of the layer, when it is made
	spawner      *spawner
}

// packing is how a layer is compressed.
type packing struct {
	name, media string
	program     []string // which compresses its standard input; nil: none
	tar         string   // the flag of tar
}

// packings are those of OCI images (OCI image-spec, layer.md).
func packings() []packing {
	const media = "application/vnd.oci.image.layer.v1.tar"
	return []packing{
		{"plain", media, nil, "--no-auto-compress"},
		{"gzip", media + "+gzip", []string{"gzip", "-6", "-n"}, "--gzip"},
		{"zstd", media + "+zstd", []string{"zstd", "-3", "-q"}, "--zstd"},
	}
}

// newUnpack makes the rows. What they need is made by prepare.
func newUnpack(megs, rounds int, s *spawner) (u *unpack, rows []*row) {
	const few = 10 // a layer takes a thousand times as long as a sandbox
	u = &unpack{megs: megs, rounds: max(rounds/few, 1), spawner: s}
	for _, p := range packings() {
		peer := &row{name: "tar -x, " + p.name, what: "tar -x and sync -f", optional: true}
		ours := &row{name: "image unpack, " + p.name, what: "image.Store: check every digest, unpack, syncfs", against: peer.name}
		for _, program := range append([]string{"tar", "sync"}, p.program...) {
			if _, err := exec.LookPath(program); err != nil && !strings.HasPrefix(program, "-") {
				peer.missing, ours.missing = notInstalled, notInstalled
			}
		}
		peer.once = func(w *watch) error { return u.tar(w, p) }
		ours.once = func(w *watch) error { return u.store(w, p) }
		rows = append(rows, peer, ours)
	}
	return u, rows
}

// prepare makes the image, compressed in each way: of what the machine has in
// /usr, in the order of its names.
func (u *unpack) prepare() (err error) {
	if u.dir, err = os.MkdirTemp("", "kavach-bench-unpack-"); err != nil {
		return err
	}
	if err := u.pack(); err != nil {
		return fmt.Errorf("make a layer of /usr: %w", err)
	}
	for _, p := range packings() {
		if p.program != nil {
			if _, err := exec.LookPath(p.program[0]); err != nil {
				continue
			}
		}
		if err := u.layout(p); err != nil {
			return fmt.Errorf("make an image, %s: %w", p.name, err)
		}
	}
	return nil
}

func (u *unpack) remove() error {
	if u.dir == "" {
		return nil
	}
	return os.RemoveAll(u.dir)
}

// pack makes the archive.
func (u *unpack) pack() error {
	const mega = 1 << 20
	var names strings.Builder
	errEnough := errors.New("enough")
	err := filepath.WalkDir("/usr", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what this user may not read is left out
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() && !info.IsDir() && info.Mode()&fs.ModeSymlink == 0 {
			return nil //nolint:nilerr // gone since
		}
		if info.Mode().IsRegular() {
			f, err := os.Open(path)
			if err != nil {
				return nil //nolint:nilerr // as above
			}
			f.Close()
			u.bytes += info.Size()
		}
		u.files++
		names.WriteString(strings.TrimPrefix(path, "/") + "\x00")
		if u.bytes >= int64(u.megs)*mega {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	cmd := exec.Command("tar", "-C", "/", "-cf", filepath.Join(u.dir, "plain"), "--no-recursion", "--null", "-T", "-")
	cmd.Stdin = strings.NewReader(names.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tar: %w: %s", err, out)
	}
	return nil
}

// descriptor is that of the OCI image-spec, descriptor.md.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// layout makes an OCI image layout of the archive.
func (u *unpack) layout(p packing) error {
	archive, layout := filepath.Join(u.dir, "plain"), filepath.Join(u.dir, "layout-"+p.name)
	blobs := filepath.Join(layout, "blobs/sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	if p.program != nil {
		plain := archive
		archive = filepath.Join(u.dir, p.name)
		if err := compress(p.program, plain, archive); err != nil {
			return err
		}
	}
	diffID, _, err := digestOf(filepath.Join(u.dir, "plain"))
	if err != nil {
		return err
	}
	layer := descriptor{MediaType: p.media}
	if layer.Digest, layer.Size, err = digestOf(archive); err != nil {
		return err
	}
	if err := os.Link(archive, filepath.Join(blobs, strings.TrimPrefix(layer.Digest, "sha256:"))); err != nil {
		return err
	}
	blob := func(media string, content any) (d descriptor, err error) {
		b, err := json.Marshal(content)
		if err != nil {
			return d, err
		}
		hex := fmt.Sprintf("%x", sha256.Sum256(b))
		return descriptor{media, "sha256:" + hex, int64(len(b))}, os.WriteFile(filepath.Join(blobs, hex), b, 0o644)
	}
	config, err := blob("application/vnd.oci.image.config.v1+json", map[string]any{
		"os": "linux", "architecture": runtime.GOARCH, "config": map[string]any{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{diffID}},
	})
	if err != nil {
		return err
	}
	const mediaManifest = "application/vnd.oci.image.manifest.v1+json"
	manifest, err := blob(mediaManifest, map[string]any{
		"schemaVersion": 2, "mediaType": mediaManifest, "config": config, "layers": []descriptor{layer},
	})
	if err != nil {
		return err
	}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []descriptor{manifest}})
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(layout, "index.json"), index, 0o644),
		os.WriteFile(filepath.Join(layout, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644))
}

func compress(program []string, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	cmd := exec.Command(program[0], program[1:]...)
	cmd.Stdin, cmd.Stdout = in, out
	return errors.Join(cmd.Run(), out.Close())
}

func digestOf(path string) (digest string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return fmt.Sprintf("sha256:%x", h.Sum(nil)), size, err
}

// fresh makes an empty directory, and afterwards removes it, which is not timed.
func (u *unpack) fresh(do func(dir string) error) error {
	dir, err := os.MkdirTemp(u.dir, "into-")
	if err != nil {
		return err
	}
	return errors.Join(do(dir), os.RemoveAll(dir))
}

// tar unpacks with tar, and brings to disk what it wrote, as the store does.
func (u *unpack) tar(w *watch, p packing) error {
	args := []string{"/bin/sh", "-c", `tar "$1" -xf "$2" -C "$3" && sync -f "$3"`, "sh", p.tar, filepath.Join(u.dir, p.name)}
	return u.fresh(func(dir string) error {
		return u.spawner.command(append(args, dir)...)(w)
	})
}

// store unpacks with Kavach's store.
func (u *unpack) store(w *watch, p packing) error {
	return u.fresh(func(dir string) error {
		s := &image.Store{Dir: filepath.Join(dir, "store")}
		return w.time(func() error {
			_, err := s.Pull(context.Background(), "oci-layout:"+filepath.Join(u.dir, "layout-"+p.name))
			return err
		})
	})
}
