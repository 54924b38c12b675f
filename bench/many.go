package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// many is what sandboxes take while others exist.
type many struct {
	Steps   []step        `json:"steps"`
	Destroy time.Duration `json:"destroy_median_ns"`

	// Left is how many children this program has, when all are destroyed, more
	// than before.
	Left int `json:"left"`
}

// step is the state with this many sandboxes.
type step struct {
	Sandboxes int `json:"sandboxes"`

	// Create and Exec are medians of those of this step. Floor is that of a plain
	// fork and exec after each of them: what else the machine was doing.
	Create time.Duration `json:"create_median_ns"`
	Exec   time.Duration `json:"exec_median_ns"`
	Floor  time.Duration `json:"floor_median_ns"`

	// Bytes for each sandbox: private memory of its guest, what this program
	// holds for it, and what the kernel does.
	Guest  int64 `json:"guest_bytes"`
	Host   int64 `json:"host_bytes"`
	Kernel int64 `json:"kernel_bytes"`
}

// measureMany makes n sandboxes, one after another, and looks at n/4, n/2 and n.
func measureMany(n int) (m *many, err error) {
	others, err := children()
	if err != nil {
		return nil, err
	}
	c, err := newCrowd()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.end()) }()
	s, err := newSpawner()
	if err != nil {
		return nil, err
	}
	defer s.close()
	if err := c.add(); err != nil { // the first pays for what the Runtime shares
		return nil, err
	}
	first, err := footprint(nil)
	if err != nil {
		return nil, err
	}
	m = new(many)
	for _, size := range slices.Compact([]int{max(n/4, 1), max(n/2, 1), n}) {
		at := step{Sandboxes: size}
		if err := at.grow(c, s.command(truePath)); err != nil {
			return nil, fmt.Errorf("sandbox %d of %d: %w", len(c.members), n, err)
		}
		time.Sleep(settle)
		now, err := footprint(others)
		if err != nil {
			return nil, err
		}
		at.Guest = now.guest / int64(size+1)
		at.Host = (now.host - first.host) / int64(size)
		at.Kernel = (now.kernel - first.kernel) / int64(size)
		m.Steps = append(m.Steps, at)
	}
	var took []time.Duration
	for _, sb := range c.members {
		start := time.Now()
		if err := sb.Destroy(context.Background()); err != nil {
			return nil, err
		}
		took = append(took, time.Since(start))
	}
	m.Destroy = sum(took).Median
	after, err := children()
	m.Left = len(after) - len(others)
	return m, err
}

// grow makes sandboxes until there are enough, beside the first, and runs one
// program in each new one, and one outside.
func (s *step) grow(c *crowd, outside func(*watch) error) error {
	var create, exec, floor []time.Duration
	for len(c.members) < s.Sandboxes+1 {
		var w watch
		err := errors.Join(
			w.part("create", c.add),
			w.part("exec", func() error { return runOnce(c.members[len(c.members)-1], truePath) }),
			w.part("floor", func() error { return outside(new(watch)) }))
		if err != nil {
			return err
		}
		create, exec, floor = append(create, w.parts["create"]), append(exec, w.parts["exec"]), append(floor, w.parts["floor"])
	}
	s.Create, s.Exec, s.Floor = sum(create).Median, sum(exec).Median, sum(floor).Median
	return nil
}

// used is memory in bytes, of all guests, of this program, and of the kernel.
type used struct{ guest, host, kernel int64 }

// footprint measures. Others are the children that are no guests; nil: guests
// are not asked for.
func footprint(others map[int]bool) (u used, err error) {
	if others != nil {
		if u.guest, err = privateOf(others); err != nil {
			return u, err
		}
	}
	own, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		return u, err
	}
	all, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return u, err
	}
	f := fields(own)
	u.host = f["Private_Clean"] + f["Private_Dirty"]
	f = fields(all)
	u.kernel = f["Slab"] + f["KernelStack"] + f["PageTables"] + f["Percpu"]
	return u, nil
}
