package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kavach-dev/kavach/internal/rawfile"
)

// Limits are what a group is bounded by. Negative: not at all.
type Limits struct {
	Memory int64   // bytes
	Swap   int64   // bytes, beyond Memory
	CPUs   float64 // processors' time; 0.5 is half of one
	PIDs   int64   // tasks of commands

	// OwnMemory and OwnTasks are for what is in the group beside commands and their
	// guest, and are allowed on top.
	OwnMemory, OwnTasks int64

	// Read and Write are bytes a second, from and to each of Disks. 0: not
	// bounded.
	Read, Write int64
	Disks       []Disk
}

// cpuPeriod is the kernel's default period of the CPU bandwidth control.
const cpuPeriod = 100 * time.Millisecond

// Quota is the CPU time of one period, in microseconds. The kernel takes no
// less than a millisecond.
func Quota(cpus float64) int64 {
	return max(int64(cpus*float64(cpuPeriod.Microseconds())), 1000)
}

// ErrNoSwap says that this kernel does not account for swap, so that no number
// can bound it.
var ErrNoSwap = fmt.Errorf("this kernel does not count what a cgroup swaps out: %w", errors.ErrUnsupported)

// ErrNoIO says that there is no controller of disks.
var ErrNoIO = fmt.Errorf("no cgroup hierarchy has an io or blkio controller: %w", errors.ErrUnsupported)

// disks reports whether there is a disk to bound.
func (l *Limits) disks() bool { return (l.Read > 0 || l.Write > 0) && len(l.Disks) > 0 }

func (g *Group) limit(l Limits) error {
	if l.Memory >= 0 {
		if err := g.limitMemory(l.Memory+l.OwnMemory, l.Swap); err != nil {
			return err
		}
	}
	if l.PIDs >= 0 {
		if err := g.write(pids, "pids.max", l.PIDs+g.ownTasks()); err != nil {
			return err
		}
	}
	if l.CPUs >= 0 {
		if err := g.limitCPU(Quota(l.CPUs)); err != nil {
			return err
		}
	}
	return g.limitDisks(l)
}

// limitMemory bounds memory, and what is swapped out of it. Where the kernel does
// not count swap, the group is kept from it as far as there is memory.
func (g *Group) limitMemory(bytes, swap int64) error {
	if g.on2(memory) {
		if err := g.write(memory, "memory.max", bytes); err != nil {
			return err
		}
		err := g.limitSwap("memory.swap.max", swap, swap)
		if errors.Is(err, ErrNoSwap) && swap == 0 {
			return nil // a kernel without that file has no swap
		}
		return err
	}
	if err := g.write(memory, "memory.limit_in_bytes", bytes); err != nil {
		return err
	}
	err := g.limitSwap("memory.memsw.limit_in_bytes", bytes+swap, swap)
	if errors.Is(err, ErrNoSwap) && swap == 0 {
		return g.write(memory, "memory.swappiness", 0)
	}
	return err
}

func (g *Group) limitSwap(file string, value, swap int64) error {
	if swap < 0 {
		return nil
	}
	err := g.write(memory, file, value)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return ErrNoSwap
	}
	return err
}

func (g *Group) limitCPU(quota int64) error {
	if g.on2(cpu) {
		return rawfile.Write(filepath.Join(g.dirs[cpu], "cpu.max"), fmt.Sprintf("%d %d", quota, cpuPeriod.Microseconds()))
	}
	if err := g.write(cpu, "cpu.cfs_period_us", cpuPeriod.Microseconds()); err != nil {
		return err
	}
	return g.write(cpu, "cpu.cfs_quota_us", quota)
}

func (g *Group) limitDisks(l Limits) error {
	if !l.disks() {
		return nil
	}
	if g.dirs[disk] == "" {
		return ErrNoIO
	}
	for _, d := range l.Disks {
		for _, bound := range []struct {
			value    int64
			key, old string // on version 2, and the file of version 1
		}{{l.Read, "rbps", readFile}, {l.Write, "wbps", writeFile}} {
			file, text := ioFile, fmt.Sprintf("%s %s=%d", d, bound.key, bound.value)
			if !g.on2(disk) {
				file, text = bound.old, fmt.Sprintf("%s %d", d, bound.value)
			}
			if bound.value <= 0 {
				continue
			}
			if err := rawfile.Write(filepath.Join(g.dirs[disk], file), text); err != nil {
				return fmt.Errorf("bound disk %s: %w", d, err)
			}
		}
	}
	return nil
}

// The files that bound disks.
const (
	ioFile    = "io.max"
	readFile  = "blkio.throttle.read_bps_device"
	writeFile = "blkio.throttle.write_bps_device"
)

func (g *Group) write(c controller, file string, value int64) error {
	return rawfile.Write(filepath.Join(g.dirs[c], file), strconv.FormatInt(value, 10))
}

// errNoLimit is returned by number for a file that says "max".
var errNoLimit = errors.New("no limit is set")

// number reads the first number of a file.
func (g *Group) number(c controller, file string) (int64, error) {
	b, err := rawfile.Read(filepath.Join(g.dirs[c], file))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	if first == "max" {
		return 0, errNoLimit
	}
	return strconv.ParseInt(first, 10, 64)
}
