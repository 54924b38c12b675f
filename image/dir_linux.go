package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
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
func DefaultDir() (string, error) {
	if dir := os.Getenv(EnvDir); dir != "" {
		if !filepath.IsAbs(dir) {
			return "", fmt.Errorf("%s is %q, which is no absolute path: set it to one, or unset it", EnvDir, dir)
		}
		return filepath.Clean(dir), nil
	}
	if os.Geteuid() == 0 {
		return "/var/lib/kavach/images", nil
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "kavach/images"), nil
	}
	home := os.Getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", errors.New("where to keep images? neither HOME nor XDG_DATA_HOME is set: set one, or name a directory by " + EnvDir)
	}
	return filepath.Join(home, ".local/share/kavach/images"), nil
}

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
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		if err = os.MkdirAll(filepath.Dir(dir), 0o755); err == nil {
			err = os.Mkdir(dir, 0o700)
		}
		if err == nil || errors.Is(err, os.ErrExist) {
			fd, err = unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the image store %s: %w", dir, err)
	}
	d := &storeDir{dir, fd}
	if err := d.check(); err != nil {
		d.close()
		return nil, err
	}
	for _, sub := range []string{imagesDir, layersDir, stagingDir} {
		if err := unix.Mkdirat(fd, sub, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
			d.close()
			return nil, fmt.Errorf("make %s: %w", d.join(sub), err)
		}
	}
	return d, nil
}

// check refuses a store that somebody else could have put something into: what is
// in it is run without being looked at again.
func (d *storeDir) check() error {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		return err
	}
	if int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("the image store %s belongs to uid %d, and not to uid %d, who runs this: name a directory of your own", d.path, st.Uid, os.Geteuid())
	}
	if st.Mode&0o077 != 0 {
		return fmt.Errorf("the image store %s can be entered by others (mode %04o): chmod 700 it, and remove it if you do not know what is in it", d.path, st.Mode&0o7777)
	}
	for up := filepath.Dir(d.path); ; up = filepath.Dir(up) {
		if err := unix.Stat(up, &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IWOTH != 0 && st.Mode&unix.S_ISVTX == 0 {
			return fmt.Errorf("the image store %s is below %s, which everybody may write to, and so exchange it: chmod o-w that, or name another directory", d.path, up)
		}
		if up == filepath.Dir(up) {
			return nil
		}
	}
}
