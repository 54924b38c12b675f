package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// reduce calls forget with the store to itself, and then takes away the layers
// that no image names. Those are removed when others may go on.
func (s *Store) reduce(ctx context.Context, forget func(*storeDir) error) (Freed, error) {
	var freed Freed
	d, err := s.openDir()
	if err != nil {
		return freed, err
	}
	defer d.close()
	if err := d.lock(ctx, unix.LOCK_EX); err != nil {
		return freed, err
	}
	if err := forget(d); err != nil {
		return freed, err
	}
	trash, err := d.newStaging()
	if err != nil {
		return freed, err
	}
	err = d.discard(trash, &freed)
	// A pull may begin now: it sweeps only where it is alone, and what it sweeps
	// then is what is removed here anyhow.
	err = errors.Join(err, unix.Flock(d.fd, unix.LOCK_UN), os.RemoveAll(trash))
	return freed, err
}

// discard moves layers that nobody needs to trash.
func (d *storeDir) discard(trash string, freed *Freed) error {
	named := make(map[string]bool)
	err := d.records(func(r *record) {
		for i := range r.Layers {
			named[r.Layers[i].DiffID.Hex()] = true
		}
	})
	if err != nil {
		return err
	}
	layers, err := os.ReadDir(d.join(layersDir))
	if err != nil {
		return err
	}
	for _, l := range layers {
		if named[l.Name()] {
			continue
		}
		if err := d.discardLayer(l.Name(), trash, freed); err != nil {
			return fmt.Errorf("remove layer %s: %w", d.join(layersDir, l.Name()), err)
		}
	}
	return syncDir(d.join(layersDir))
}

func (d *storeDir) discardLayer(name, trash string, freed *Freed) error {
	dir := d.join(layersDir, name)
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		freed.InUse++
		return nil
	} else if err != nil {
		return err
	}
	var info layerJSON
	if b, err := os.ReadFile(filepath.Join(dir, layerInfo)); err == nil {
		_ = json.Unmarshal(b, &info) // it only is counted
	}
	if err := os.Rename(dir, filepath.Join(trash, name)); err != nil {
		return err
	}
	freed.Layers++
	freed.Bytes += info.Bytes
	return nil
}
