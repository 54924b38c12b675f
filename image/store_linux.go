package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/internal/layer"
)

// Open makes sure that the image that ref names is in the store, and keeps its
// layers there until Release of the result is called. An image of a registry that
// is in the store is not looked for there again: Pull does that. A layout, an
// archive or a directory is always taken as it is now.
func (s *Store) Open(ctx context.Context, ref string) (*backend.Image, error) {
	parsed, err := ParseReference(ref)
	if err != nil {
		return nil, err
	}
	if parsed.Kind == KindRootfs {
		return openRootfs(ref, parsed)
	}
	d, err := s.openDir()
	if err != nil {
		return nil, err
	}
	defer d.close()
	if err := d.lock(ctx, unix.LOCK_SH); err != nil {
		return nil, err
	}
	r, err := d.current(parsed)
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", ref, err)
	}
	var held *heldLayers
	if r != nil {
		held, err = d.hold(r)
	}
	if r == nil || errors.Is(err, os.ErrNotExist) { // the second: somebody removed a layer by hand
		if err := d.lockToPull(ctx); err != nil {
			return nil, err
		}
		if r, err = s.pull(ctx, d, parsed, true); err != nil {
			return nil, fmt.Errorf("pull image %s: %w", ref, err)
		}
		held, err = d.hold(r)
	}
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w", ref, err)
	}
	config, err := r.Config.resolve(held.paths)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open image %s: %w", ref, err), held.release())
	}
	return &backend.Image{Ref: ref, Digest: string(r.Digest), Layers: held.paths, Config: config, Release: held.release}, nil
}

func openRootfs(ref string, parsed Reference) (*backend.Image, error) {
	info, err := os.Stat(parsed.Path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", parsed.Path)
	}
	if err != nil {
		return nil, fmt.Errorf("open image %s: %w; write it as %s", ref, err, formRootfs)
	}
	return &backend.Image{Ref: ref, Layers: []string{parsed.Path}}, nil
}

// Pull gets the image that ref names, also where the store has one of that name.
func (s *Store) Pull(ctx context.Context, ref string) (Entry, error) {
	parsed, err := ParseReference(ref)
	if err != nil {
		return Entry{}, err
	}
	if parsed.Kind == KindRootfs {
		return Entry{}, fmt.Errorf("pull image %s: a directory is used as it is, and not pulled", ref)
	}
	d, err := s.openDir()
	if err != nil {
		return Entry{}, err
	}
	defer d.close()
	if err := d.lockToPull(ctx); err != nil {
		return Entry{}, err
	}
	r, err := s.pull(ctx, d, parsed, false)
	if err != nil {
		return Entry{}, fmt.Errorf("pull image %s: %w", ref, err)
	}
	return r.entry(), nil
}

// List is what the store has, by reference.
func (s *Store) List(ctx context.Context) ([]Entry, error) {
	d, err := s.openDir()
	if err != nil {
		return nil, err
	}
	defer d.close()
	if err := d.lock(ctx, unix.LOCK_SH); err != nil {
		return nil, err
	}
	var list []Entry
	err = d.records(func(r *record) { list = append(list, r.entry()) })
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Ref, b.Ref) })
	return list, err
}

// Remove forgets an image, and removes the layers that no other names and no
// sandbox runs on. An image that is not there is an error that matches ErrNotFound.
func (s *Store) Remove(ctx context.Context, ref string) (Freed, error) {
	parsed, err := ParseReference(ref)
	if err != nil {
		return Freed{}, err
	}
	return s.reduce(ctx, func(d *storeDir) error {
		err := os.Remove(d.join(imagesDir, recordName(parsed.String())))
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove image %s: %w", parsed, ErrNotFound)
		}
		return err
	})
}

// Prune removes the layers that no image names and no sandbox runs on, and what
// was left behind by pulls that did not end.
func (s *Store) Prune(ctx context.Context) (Freed, error) {
	return s.reduce(ctx, func(d *storeDir) error { return d.sweepLocked() })
}

// hold opens and locks the layers of an image.
func (d *storeDir) hold(r *record) (*heldLayers, error) {
	h := &heldLayers{}
	for i := range r.Layers {
		dir := d.layerDir(r.Layers[i].DiffID)
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err == nil {
			h.fds = append(h.fds, fd)
			// Nobody has it exclusively: who would has the store so.
			err = unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("use layer %s: %w", dir, err), h.release())
		}
		h.paths = append(h.paths, dir+"/"+layerFS)
	}
	h.paths = layer.Visible(h.paths)
	return h, nil
}

// heldLayers are locked until they are released, or the process ends.
type heldLayers struct {
	paths []string
	fds   []int
}

func (h *heldLayers) release() error {
	var err error
	for _, fd := range h.fds {
		err = errors.Join(err, unix.Close(fd))
	}
	h.fds = nil
	return err
}
