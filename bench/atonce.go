package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kavach-dev/kavach"
)

// atOnce is what idle containers take that exist at once.
type atOnce struct {
	Name    string `json:"name"`
	Missing string `json:"missing,omitempty"` // why there are no figures
	Count   int    `json:"count"`

	// Medians: of all, and of the first and the last quarter.
	Create  time.Duration `json:"create_median_ns"`
	First   time.Duration `json:"create_first_quarter_median_ns"`
	Last    time.Duration `json:"create_last_quarter_median_ns"`
	Destroy time.Duration `json:"destroy_median_ns"`

	// Of each, on the average: of all processes that belong to it.
	Processes float64 `json:"processes"`
	Private   int64   `json:"private_bytes"`
	PSS       int64   `json:"pss_bytes"`

	// Left is what there is more of, when all are destroyed, than before.
	Left []reading `json:"left"`

	optional bool
}

// side is something that makes containers.
type side struct {
	name, missing string
	optional      bool
	root          func() int // the process that all of their processes descend from
	state         string     // a directory of files that are named after them

	create  func() (id string, took time.Duration, err error)
	destroy func(n int) (time.Duration, error)
	settle  func() error // lets what was destroyed be gone
}

// sides are Kavach and the bare runtimes.
func (s *stage) sides() (all []*side) {
	for _, name := range []string{"crun", "runc", "runsc"} {
		all = append(all, s.runtimes[name].side())
	}
	for _, i := range s.containers() {
		all = append(all, i.side())
	}
	return all
}

func (b *bare) side() *side {
	var ids []string
	return &side{
		name: b.run(), missing: b.missing, optional: b.name == "runsc",
		root: func() int { return b.stage.place.pid() }, state: filepath.Join(b.stage.bundle.dir, bundleState, b.name),
		create: func() (string, time.Duration, error) {
			id := b.id()
			d, err := b.start(id)
			if err == nil {
				ids = append(ids, id)
			}
			return id, d.Total, err
		},
		destroy: func(n int) (time.Duration, error) {
			d, err := b.stop(ids[n])
			return d.Total, err
		},
		settle: func() error {
			time.Sleep(settle) // a runtime does not wait for its container's end
			_, err := b.stage.run(order{})
			return err
		},
	}
}

func (i *inside) side() *side {
	var members []*kavach.Sandbox
	dir, err := stateDir()
	s := &side{
		name: i.name, missing: i.missing, optional: i.optional, root: os.Getpid, state: dir,
		create: func() (string, time.Duration, error) {
			start := time.Now()
			sb, err := i.create()
			if err != nil {
				return "", 0, err
			}
			members = append(members, sb)
			return sb.ID(), time.Since(start), nil
		},
		destroy: func(n int) (time.Duration, error) {
			start := time.Now()
			err := members[n].Destroy(context.Background())
			return time.Since(start), err
		},
		settle: func() error { return nil },
	}
	if err != nil {
		s.missing = err.Error()
	}
	return s
}

// measureAtOnce makes n containers of each side whose name holds only, and
// destroys them.
func (s *stage) measureAtOnce(n int, only string) (list []*atOnce, err error) {
	if s.place == nil {
		if s.place, err = newPlace(); err != nil {
			return nil, err
		}
	}
	for _, side := range s.sides() {
		a := &atOnce{Name: side.name, Missing: side.missing, Count: n, optional: side.optional}
		if !strings.Contains(atOncePrefix+side.name, only) {
			continue
		}
		if a.Missing == "" {
			if err := a.measure(side, s.place.pid()); err != nil {
				a.Missing = err.Error()
			}
		}
		list = append(list, a)
	}
	return list, nil
}

// atOncePrefix is before the name of a side, for -only.
const atOncePrefix = "at once, "

func (a *atOnce) measure(s *side, place int) (err error) {
	made := make(map[string]bool)
	if err := s.settle(); err != nil {
		return err
	}
	before, err := a.left(s, place, made)
	if err != nil {
		return err
	}
	others, err := descendants(s.root())
	if err != nil {
		return err
	}
	var create, destroy []time.Duration
	defer func() { // those that are there still, where something fails
		for len(destroy) < len(create) {
			d, undoErr := s.destroy(len(destroy))
			destroy, err = append(destroy, d), errors.Join(err, undoErr)
		}
	}()
	for range a.Count {
		id, took, err := s.create()
		if err != nil {
			return fmt.Errorf("container %d of %d: %w", len(create)+1, a.Count, err)
		}
		made[id], create = true, append(create, took)
	}
	quarter := max(a.Count/4, 1)
	a.Create, a.First, a.Last = sum(create).Median, sum(create[:quarter]).Median, sum(create[len(create)-quarter:]).Median
	time.Sleep(settle)
	if err := a.weigh(s.root(), others); err != nil {
		return err
	}
	for n := range create {
		took, err := s.destroy(n)
		destroy = append(destroy, took)
		if err != nil {
			return err
		}
	}
	a.Destroy = sum(destroy).Median
	if err := s.settle(); err != nil {
		return err
	}
	after, err := a.left(s, place, made)
	for n := range after {
		a.Left = append(a.Left, reading{Name: after[n].Name, Before: before[n].After, After: after[n].After})
	}
	return err
}

// weigh adds up the memory of all descendants of a process but those.
func (a *atOnce) weigh(root int, but map[int]bool) error {
	now, err := descendants(root)
	if err != nil {
		return err
	}
	var n int
	for pid := range now {
		if but[pid] {
			continue
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if errors.Is(err, syscall.ESRCH) || errors.Is(err, fs.ErrNotExist) {
			continue // what started it has ended since
		}
		if err != nil {
			return err
		}
		f := fields(b)
		n++
		a.Private += f["Private_Clean"] + f["Private_Dirty"]
		a.PSS += f["Pss"]
	}
	a.Processes = float64(n) / float64(a.Count)
	a.Private /= int64(a.Count)
	a.PSS /= int64(a.Count)
	return nil
}

// left counts what containers could leave behind.
func (a *atOnce) left(s *side, place int, made map[string]bool) ([]reading, error) {
	counts := []gauge{
		{name: "processes", read: func(map[string]bool) (int64, error) {
			list, err := descendants(s.root())
			return int64(len(list)), err
		}},
		{name: "cgroups", read: named("/sys/fs/cgroup")},
		{name: "files", read: named(s.state)},
		{name: "mounts", read: lines("/proc/self/mountinfo")},
		{name: "mounts of the place", read: lines(fmt.Sprintf("/proc/%d/mountinfo", place))},
	}
	var list []reading
	for _, g := range counts {
		n, err := g.read(made)
		if err != nil {
			return nil, fmt.Errorf("count %s: %w", g.name, err)
		}
		list = append(list, reading{Name: g.name, After: n})
	}
	return list, nil
}

// remains says what was left behind.
func (a *atOnce) remains() string {
	var list []string
	for _, r := range a.Left {
		if r.grew() {
			list = append(list, fmt.Sprintf("%d %s", r.After-r.Before, r.Name))
		}
	}
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

func writeAtOnce(w io.Writer, list []*atOnce) {
	fmt.Fprintln(w)
	n := list[0].Count
	t := table{{fmt.Sprintf("%d at once, idle", n), "create", "first", "last", "destroy", "private", "PSS", "processes", "left behind"}}
	for _, a := range list {
		if a.Missing != "" {
			t = append(t, []string{a.Name, brief(a.Missing)})
			continue
		}
		t = append(t, []string{
			a.Name, ms(a.Create), ms(a.First), ms(a.Last), ms(a.Destroy), mb(a.Private), mb(a.PSS),
			fmt.Sprintf("%.1f", a.Processes), a.remains(),
		})
	}
	t.write(w)
	fmt.Fprintln(w, "medians of all, of the first and of the last quarter; memory and processes of each")
}

// descendants are the processes below one.
func descendants(root int) (map[int]bool, error) {
	parents, err := parents()
	if err != nil {
		return nil, err
	}
	found := make(map[int]bool)
	for below := []int{root}; len(below) > 0; {
		var next []int
		for pid, parent := range parents {
			if slices.Contains(below, parent) {
				found[pid], next = true, append(next, pid)
			}
		}
		below = next
	}
	return found, nil
}
