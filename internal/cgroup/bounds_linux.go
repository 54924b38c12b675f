package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/kavach-dev/kavach/internal/rawfile"
)

// Bounds are what the kernel says that a process in the group is bounded by.
// Zero: it is not, or is not in the group.
type Bounds struct {
	Memory, Quota int64 // bytes; microseconds of CPU in each period
	PIDs          int64 // tasks of commands

	// OwnTasks and OwnMemory are for the guest and what else there is beside
	// commands: the kernel's bounds are larger by that.
	OwnTasks, OwnMemory int64

	// Swap is in bytes, and SwapCounted says that it is a bound. Where the
	// kernel does not count it, SwapAvoided says that nothing is swapped out
	// while there is memory, or that there is no swap.
	Swap                     int64
	SwapCounted, SwapAvoided bool

	// Read and Write are the largest bounds among the disks that New was given,
	// in bytes a second; 0 where one has none. NoDisk says that it was given
	// none, Buffered that what is written back later is charged as well.
	Read, Write      int64
	NoDisk, Buffered bool

	// Files are the files that were read, with what they said, for people.
	Files []string
}

// Bounds reads back the limits of the group. Of is what /proc/PID/cgroup says of
// the process in question.
func (g *Group) Bounds(of string) (b Bounds, err error) {
	b.OwnTasks, b.OwnMemory, b.NoDisk = g.ownTasks(), g.memory, len(g.disks) == 0
	read := func(c controller, file string) int64 {
		if !g.holds(of, c) {
			return 0 // not in the group: no evidence
		}
		n, numberErr := g.number(c, file)
		if numberErr != nil {
			if !errors.Is(numberErr, errNoLimit) {
				err = errors.Join(err, numberErr)
			}
			return 0
		}
		b.Files = append(b.Files, fmt.Sprintf("%s %d", file, n))
		return n
	}
	if g.on2(memory) {
		b.Memory = read(memory, "memory.max")
	} else {
		b.Memory = read(memory, "memory.limit_in_bytes")
	}
	if tasks := read(pids, "pids.max"); tasks > 0 {
		b.PIDs = tasks - b.OwnTasks
	}
	if g.on2(cpu) {
		b.Quota = read(cpu, "cpu.max")
	} else {
		b.Quota = read(cpu, "cpu.cfs_quota_us")
	}
	if err == nil && b.Memory > 0 {
		err = g.swapBounds(&b)
		b.Memory -= b.OwnMemory
	}
	if err == nil && g.holds(of, disk) {
		err = g.diskBounds(&b)
	}
	return b, err
}

func (g *Group) swapBounds(b *Bounds) error {
	file, base := "memory.memsw.limit_in_bytes", b.Memory
	if g.on2(memory) {
		file, base = "memory.swap.max", 0
	}
	n, err := g.number(memory, file)
	switch {
	case err == nil:
		b.Swap, b.SwapCounted = n-base, true
		b.Files = append(b.Files, fmt.Sprintf("%s %d", file, n))
		return nil
	case errors.Is(err, errNoLimit):
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if g.on2(memory) {
		b.SwapAvoided = true
		return nil
	}
	n, err = g.number(memory, "memory.swappiness")
	b.SwapAvoided = n == 0
	b.Files = append(b.Files, fmt.Sprintf("memory.swappiness %d, as swap is not counted", n))
	return err
}

func (g *Group) diskBounds(b *Bounds) error {
	b.Buffered = g.on2(disk)
	files := []string{ioFile}
	if !g.on2(disk) {
		files = []string{readFile, writeFile}
	}
	var text string
	for _, file := range files {
		content, err := rawfile.Read(filepath.Join(g.dirs[disk], file))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(content)) {
			line = strings.TrimSpace(line)
			b.Files = append(b.Files, file+" "+line)
			if !g.on2(disk) { // as version 2 says it
				key := map[string]string{readFile: " rbps=", writeFile: " wbps="}[file]
				line = strings.Replace(line, " ", key, 1)
			}
			text += line + "\n"
		}
	}
	b.Read, b.Write = g.weakest(text, "rbps"), g.weakest(text, "wbps")
	return nil
}

// weakest is the bound of a key where each of the disks has one, the largest of
// them; else 0.
func (g *Group) weakest(text, key string) (most int64) {
	for _, d := range g.disks {
		var bound int64
		for line := range strings.Lines(text) {
			rest, ok := strings.CutPrefix(line, d.String()+" ")
			if !ok {
				continue
			}
			for _, word := range strings.Fields(rest) {
				if value, ok := strings.CutPrefix(word, key+"="); ok {
					_, _ = fmt.Sscan(value, &bound) // "max": 0
				}
			}
		}
		if bound == 0 {
			return 0
		}
		most = max(most, bound)
	}
	return most
}

// holds reports whether /proc/PID/cgroup says that the process is in the group.
// It names the cgroup as this process sees it, which may be below a cgroup
// namespace of its own.
func (g *Group) holds(of string, c controller) bool {
	name := string(c)
	switch {
	case g.dirs[c] == "":
		return false
	case g.on2(c):
		name = ""
	case c == disk:
		name = "blkio"
	}
	for line := range strings.Lines(of) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || parts[2] == "/" {
			continue
		}
		for _, has := range strings.Split(parts[1], ",") {
			if has == name && strings.HasSuffix(g.dirs[c], parts[2]) {
				return true
			}
		}
	}
	return false
}
