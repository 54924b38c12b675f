package container

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kavach-dev/kavach/backend"
)

// preferred are the runtimes that are looked for, best first: crun starts a
// container in a third of the time that runc takes.
var preferred = map[Kind][]string{OCI: {"crun", "runc"}, GVisor: {"kavach-runsc", "runsc"}}

// systemDirs are where distributions install runtimes, which the PATH of an
// ordinary user need not have.
var systemDirs = []string{"/usr/sbin", "/sbin", "/usr/local/sbin"}

// installs says how to get a runtime.
var installs = map[Kind]string{
	OCI:    "install crun or runc (both are packages of every distribution), or name one: --runtime PATH",
	GVisor: "install kavach-runsc beside kavach (make install), or runsc (gvisor.dev), or name one: --runtime PATH",
}

// find returns the paths of the runtimes to try, resolved, best first. The error
// is an *backend.UnavailableError where there is none.
func (b *Backend) find() ([]string, error) {
	unavailable := func(reason string) error {
		return &backend.UnavailableError{Backend: b.Name(), Reason: reason, Fix: installs[b.Kind]}
	}
	if strings.Contains(b.Runtime, "/") {
		path, err := program(b.Runtime)
		if err != nil {
			return nil, unavailable(fmt.Sprintf("runtime %s: %v", b.Runtime, err))
		}
		return []string{path}, nil
	}
	wanted := preferred[b.Kind]
	if b.Runtime != "" {
		wanted = []string{b.Runtime}
	}
	var found, broken []string
	for _, name := range wanted {
		path, err := look(name, b.dirs())
		switch {
		case err == nil:
			found = append(found, path)
		case !errors.Is(err, fs.ErrNotExist):
			broken = append(broken, err.Error())
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	reason := fmt.Sprintf("no runtime: neither PATH nor %s has %s", strings.Join(systemDirs, ", "), strings.Join(wanted, " or "))
	return nil, unavailable(strings.Join(append([]string{reason}, broken...), "; "))
}

// dirs are where runtimes are looked for.
func (b *Backend) dirs() []string {
	dirs := append(filepath.SplitList(os.Getenv("PATH")), systemDirs...)
	if self, err := os.Executable(); err == nil && b.Kind == GVisor {
		dirs = append([]string{filepath.Dir(self)}, dirs...)
	}
	return dirs
}

// look finds a program by its name. A directory of PATH that is not absolute is
// somebody's current directory, and left out.
func look(name string, dirs []string) (string, error) {
	err := fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			continue
		}
		path, problem := program(filepath.Join(dir, name))
		if problem == nil {
			return path, nil
		}
		if !errors.Is(problem, fs.ErrNotExist) {
			err = fmt.Errorf("%s: %w", filepath.Join(dir, name), problem)
		}
	}
	return "", err
}

// program resolves a path to a file that can be executed.
func program(path string) (string, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err == nil {
		resolved, err = filepath.Abs(resolved)
	}
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(resolved)
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		return "", at.Err
	}
	if err != nil {
		return "", err
	}
	const execute = 0o111
	if !info.Mode().IsRegular() || info.Mode()&execute == 0 {
		return "", errors.New("it is not an executable file")
	}
	return resolved, nil
}
