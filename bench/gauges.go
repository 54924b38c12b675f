package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// gauge is a number of things that a sandbox could leave behind.
type gauge struct {
	name string
	read func(made map[string]bool) (int64, error)

	// slack is what may be more after any number of sandboxes without being a
	// leak; zero: nothing.
	slack int64
}

// gauges are all that is looked at. Made are the sandboxes so far: of what is
// seen of the whole machine, what belongs to others is not counted.
func gauges() []gauge {
	return []gauge{
		{name: "processes below this one", read: func(map[string]bool) (int64, error) {
			list, err := children()
			return int64(len(list)), err
		}},
		{name: "cgroups of its sandboxes", read: named("/sys/fs/cgroup")},
		{name: "records of its sandboxes", read: func(made map[string]bool) (int64, error) {
			dir, err := stateDir()
			if err != nil {
				return 0, err
			}
			return named(dir)(made)
		}},
		{name: "mounts", read: lines("/proc/self/mountinfo")},
		{name: "descriptors", read: entries("/proc/self/fd")},
		// The Go runtime keeps threads that it once needed, and makes one more
		// when many block at once.
		{name: "threads", read: entries("/proc/self/task"), slack: 8},
		{name: "goroutines", read: func(map[string]bool) (int64, error) { return int64(runtime.NumGoroutine()), nil }},
		// The names of the sandboxes themselves, which this program keeps, are 16
		// bytes in a map each.
		{name: "heap in use, kB", read: heap, slack: 2 << 10},
		{name: "resident memory, kB", read: resident, slack: 8 << 10},
	}
}

// named counts the directories and files below dir that are named after one of
// our sandboxes.
func named(dir string) func(map[string]bool) (int64, error) {
	return func(made map[string]bool) (n int64, err error) {
		err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // gone since: another's
			}
			id, _, _ := strings.Cut(d.Name(), ".")
			if made[id] {
				n++
			}
			return nil
		})
		return n, err
	}
}

func entries(dir string) func(map[string]bool) (int64, error) {
	return func(map[string]bool) (int64, error) {
		list, err := os.ReadDir(dir)
		return int64(len(list)), err
	}
}

func lines(file string) func(map[string]bool) (int64, error) {
	return func(map[string]bool) (int64, error) {
		b, err := os.ReadFile(file)
		return int64(bytes.Count(b, []byte("\n"))), err
	}
}

func heap(map[string]bool) (int64, error) {
	runtime.GC()
	runtime.GC() // what the first frees of pools, the second drops
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) >> 10, nil
}

func resident(map[string]bool) (int64, error) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0, fmt.Errorf("/proc/self/statm is %q", b)
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize()) >> 10, err
}

// netNamespaces counts those of the kernel, where root may see it; others may
// make and end theirs meanwhile, and it frees what nobody uses some time later.
// -1: not to be seen.
func netNamespaces() int64 {
	b, err := os.ReadFile("/proc/slabinfo")
	if err != nil {
		return -1
	}
	for _, line := range strings.Split(string(b), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "net_namespace" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err == nil {
				return n
			}
		}
	}
	return -1
}
