package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// stage is what the rows of containers share. What is not asked for is not made.
type stage struct {
	programs *programs
	bundle   *bundle
	place    *place
	runtimes map[string]*bare
	insides  []*inside
}

func newStage(progs *programs) (*stage, error) {
	b, err := newBundle()
	if err != nil {
		return nil, err
	}
	s := &stage{programs: progs, bundle: b}
	s.runtimes = s.bares()
	return s, nil
}

// run runs a program in the place of the bare runtimes.
func (s *stage) run(o order) (d done, err error) {
	if s.place == nil {
		if s.place, err = newPlace(); err != nil {
			return d, err
		}
	}
	return s.place.run(o)
}

// podmanRoot is a root directory of podman's own: it makes files in it.
func (s *stage) podmanRoot() (string, error) {
	root := filepath.Join(s.bundle.dir, "podman", bundleRootfs)
	if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
		return root, err
	}
	return root, os.CopyFS(root, os.DirFS(s.bundle.rootfs()))
}

// group is the cgroup that podman makes its own in, and leaves behind.
func (s *stage) group() string { return fmt.Sprintf("/kavach-bench-podman-%d", os.Getpid()) }

func (s *stage) removeGroup() error {
	var dirs []string
	for _, pattern := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		tops, err := filepath.Glob(pattern + s.group())
		if err != nil {
			return err
		}
		for _, top := range tops {
			err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					dirs = append(dirs, path)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	var errs []error
	for _, dir := range slices.Backward(dirs) {
		errs = append(errs, os.Remove(dir))
	}
	return errors.Join(errs...)
}

// end ends all that is still there.
func (s *stage) end() error {
	var errs []error
	for _, i := range s.insides {
		errs = append(errs, i.end())
	}
	for _, b := range s.runtimes {
		errs = append(errs, b.end())
	}
	if s.place != nil {
		errs = append(errs, s.place.end())
	}
	return errors.Join(append(errs, s.removeGroup(), s.bundle.remove())...)
}
