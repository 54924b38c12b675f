package evidence

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/internal/rawfile"
)

// Below lists what descends from a process.
func Below(pid int) (pids []int) {
	for _, child := range childrenOf(pid) {
		pids = append(append(pids, child), Below(child)...)
	}
	return pids
}

// childrenOf lists the children: those of each thread (proc_pid_task(5), Linux 4.2).
func childrenOf(pid int) (pids []int) {
	tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid)) // it has just ended
	for _, t := range tasks {
		text, _ := rawfile.Read(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		for _, field := range strings.Fields(string(text)) {
			if n, err := strconv.Atoi(field); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids
}

// Executes reports whether what a process executes is this file.
func Executes(pid int, file string) bool { return Same(fmt.Sprintf("/proc/%d/exe", pid), file) }

// Same reports whether two paths lead to one file.
func Same(path, file string) bool {
	var theirs, ours unix.Stat_t
	return unix.Stat(path, &theirs) == nil && unix.Stat(file, &ours) == nil && theirs.Dev == ours.Dev && theirs.Ino == ours.Ino
}

// Files lists what the descriptors of a process lead to, from 3 on.
func Files(pid int) (files []string, err error) {
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("look at descriptors: %w", err)
	}
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err != nil || n <= 2 {
			continue
		}
		if to, err := os.Readlink(dir + e.Name()); err == nil { // else it has just been closed
			files = append(files, to)
		}
	}
	return files, nil
}
