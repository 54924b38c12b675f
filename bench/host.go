package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// truePath is the program of the host that does nothing.
const truePath = "/bin/true"

// spawner starts programs on the host with as little of our own as Go allows:
// no pipe, no goroutine, stdio on one descriptor of /dev/null.
type spawner struct {
	null  *os.File
	files []*os.File // others that its programs read
}

func newSpawner() (*spawner, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	return &spawner{null: null}, err
}

func (s *spawner) close() error {
	var errs []error
	for _, f := range append(s.files, s.null) {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// command returns what runs argv once, timed from before the fork until the
// end of the program is known. Argv[0] is a path.
func (s *spawner) command(argv ...string) func(*watch) error { return s.reading(nil, argv...) }

// reading is command for a program that reads a file, from its beginning, as its
// descriptor 3. Nil: none.
func (s *spawner) reading(file *os.File, argv ...string) func(*watch) error {
	attr := &os.ProcAttr{Env: []string{"PATH=" + os.Getenv("PATH")}, Files: []*os.File{s.null, s.null, s.null}}
	if file != nil {
		attr.Files = append(attr.Files, file)
	}
	return func(w *watch) error {
		if file != nil { // whoever reads an inherited descriptor moves it on
			if _, err := file.Seek(0, io.SeekStart); err != nil {
				return err
			}
		}
		return w.time(func() error {
			p, err := os.StartProcess(argv[0], argv, attr)
			if err != nil {
				return err
			}
			state, err := p.Wait()
			if err == nil && !state.Success() {
				err = fmt.Errorf("%s: %v", filepath.Base(argv[0]), state)
			}
			return err
		})
	}
}

// collected runs a program as most callers of os/exec do: its output is read
// from pipes, as a sandbox's is.
func collected(path string) func(*watch) error {
	return func(w *watch) error {
		return w.time(func() error {
			var out, errs writer
			cmd := exec.Command(path)
			cmd.Stdout, cmd.Stderr = &out, &errs
			return cmd.Run()
		})
	}
}

// writer counts what it is given.
type writer struct{ n int }

func (w *writer) Write(b []byte) (int, error) {
	w.n += len(b)
	return len(b), nil
}

// peer makes a row of a program of the host that may not be installed.
func (s *spawner) peer(r row, name string, args ...string) *row {
	path, err := exec.LookPath(name)
	if err != nil {
		r.missing = notInstalled
		return &r
	}
	r.once = s.command(append([]string{path}, args...)...)
	return &r
}

const notInstalled = "not installed"
