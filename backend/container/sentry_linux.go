package container

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/jail"
)

// sentry is what was seen of gVisor's kernel, the process that made the call by
// which the probe reported: to the host there is no probe.
type sentry struct {
	runtime   bool     // it executes the runtime's own program
	processes int      // that there are in the keeper, itself left out
	guests    []int    // those among them that execute the guest's program
	files     []string // what its descriptors lead to, where that has a path

	// confined is what the runtime says that it tried in its own parts, before any
	// code but Kavach's was in them.
	confined map[string]confined
}

// confined is a line of the log of kavach-runsc.
type confined struct {
	Message  string   `json:"msg"`
	Process  string   `json:"process"` // "sentry" or "gofer"
	Landlock int      `json:"landlock"`
	Refused  []string `json:"refused"`
}

// look takes down what is to be seen of a sentry, from outside.
func (s *sentry) look(r *run, pid int) error {
	var err error
	if s.runtime, err = sameFile(fmt.Sprintf("/proc/%d/exe", pid), r.path); err != nil {
		return fmt.Errorf("look at the sentry: %w", err)
	}
	keeper := fmt.Sprintf("/proc/%d/exe", r.jail.PID())
	for _, p := range below(r.jail.PID()) {
		s.processes++
		if same, err := sameFile(fmt.Sprintf("/proc/%d/exe", p), keeper); err == nil && same {
			s.guests = append(s.guests, p)
		}
	}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look at the sentry: %w", err)
	}
	for _, e := range entries {
		link, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err == nil && filepath.IsAbs(link) && !strings.HasPrefix(link, "/memfd:") {
			s.files = append(s.files, link)
		}
	}
	s.confined, err = r.readLog()
	return err
}

func sameFile(a, b string) (bool, error) {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if err := errors.Join(errA, errB); err != nil {
		return false, err
	}
	return os.SameFile(infoA, infoB), nil
}

// below are the processes that descend from one.
func below(pid int) (list []int) {
	for todo := []int{pid}; len(todo) > 0; todo = todo[1:] {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", todo[0]))
		for _, file := range files {
			b, _ := os.ReadFile(file) // it may have ended
			for _, field := range strings.Fields(string(b)) {
				if child, err := strconv.Atoi(field); err == nil {
					list, todo = append(list, child), append(todo, child)
				}
			}
		}
	}
	return list
}

// readLog reads what the runtime has logged by now. Nothing that comes later is
// evidence: the sentry has the file open.
func (r *run) readLog() (map[string]confined, error) {
	text, err := r.keeperFile(logFile)
	if err != nil {
		return nil, err
	}
	found := make(map[string]confined)
	for _, line := range bytes.Split(text, []byte("\n")) {
		var c confined
		if json.Unmarshal(line, &c) == nil && c.Message == "confined" {
			found[c.Process] = c
		}
	}
	return found, nil
}

// keeperFile reads a file of the keeper, of which nothing is followed that leads
// out of there.
func (r *run) keeperFile(name string) ([]byte, error) {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", r.jail.PID()), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the root of the keeper: %w", err)
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, strings.TrimPrefix(name, "/"), &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if errors.Is(err, unix.ENOENT) {
		return nil, nil // nothing was logged
	}
	if err != nil {
		return nil, fmt.Errorf("open %s in the keeper: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, askMost))
}

// ours reports whether what a descriptor of the sentry leads to is one of its own,
// or of the container's files, which the gofer opens below its root.
func ours(link string) bool {
	const goferRoot = "/root/"
	return link == "/" || link == "/dev/null" || link == logFile || strings.HasPrefix(link, goferRoot) ||
		strings.HasPrefix(link, jail.RuntimeDir+"/")
}
