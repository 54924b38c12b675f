package image

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/owndir"
)

// What is in the directory of a store:
//
//	images/KEY.json   one image: the digests of its layers, and its configuration
//	layers/HEX/fs     one layer, unpacked, by its diff-id
//	layers/HEX/layer.json   its size
//	staging/RANDOM    what is being made, or was when somebody died
//	pulls             locked in part: who pulls which reference
//
// A layer and an image appear under their names whole, by rename(2).
const (
	imagesDir  = "images"
	layersDir  = "layers"
	stagingDir = "staging"
	pullsFile  = "pulls"
	layerFS    = "fs"
	layerInfo  = "layer.json"
)

// DefaultDir is where a Store without a Dir is: what EnvDir names, else
// /var/lib/kavach/images for root, and kavach/images in $XDG_DATA_HOME or
// ~/.local/share for others.
func DefaultDir() (string, error) { return owndir.Images() }

// storeDir is an open store.
type storeDir struct {
	path string
	fd   int
}

func (d *storeDir) close() { unix.Close(d.fd) }

func (d *storeDir) join(parts ...string) string {
	return filepath.Join(append([]string{d.path}, parts...)...)
}

// openDir opens the store, and makes it where it is missing.
func (s *Store) openDir() (*storeDir, error) {
	dir := s.Dir
	if dir == "" {
		var err error
		if dir, err = DefaultDir(); err != nil {
			return nil, err
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	fd, err := owndir.Open(dir, "the image store")
	if err != nil {
		return nil, err
	}
	d := &storeDir{dir, fd}
	for _, sub := range []string{imagesDir, layersDir, stagingDir} {
		if err := unix.Mkdirat(fd, sub, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
			d.close()
			return nil, fmt.Errorf("make %s: %w", d.join(sub), err)
		}
	}
	return d, nil
}
