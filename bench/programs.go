package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// programs are what is measured and built here. A sandbox shows the host's
// /usr and no more, so the directory is mounted where a row needs it.
type programs struct {
	dir       string
	temporary bool
	kavach    string
	empty     string // a static Go program that does nothing

	// kavachErr is why there is no kavach; the other rows do without.
	kavachErr error
}

// build builds the programs into dir, or into a temporary directory, but for
// those that are there already: so an ordinary user, who has no Go, can measure
// what root has built.
func build(dir string) (_ *programs, err error) {
	p := &programs{dir: dir}
	if dir == "" {
		if p.dir, err = os.MkdirTemp("", "kavach-bench-"); err != nil {
			return nil, err
		}
		p.temporary = true
	} else if p.dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.remove())
		}
	}()
	if p.empty, err = p.program("empty", "github.com/kavach-dev/kavach/bench/empty"); err != nil {
		return nil, err
	}
	p.kavach, p.kavachErr = p.program("kavach", "github.com/kavach-dev/kavach/cmd/kavach")
	return p, nil
}

func (p *programs) program(name, pkg string) (string, error) {
	path := filepath.Join(p.dir, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return path, nil
}

// find finds a program that is not built here: in the directory, or installed.
func (p *programs) find(name string) (string, error) {
	path := filepath.Join(p.dir, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	for _, path := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} { // an ordinary user's PATH has no sbin
		if path, err := exec.LookPath(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New(notInstalled)
}

func (p *programs) remove() error {
	if !p.temporary {
		return nil
	}
	return os.RemoveAll(p.dir)
}
