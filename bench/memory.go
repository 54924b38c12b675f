package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend/all"
	"github.com/kavach-dev/kavach/policy"
)

// memory is what idle sandboxes take, in bytes.
type memory struct {
	// Alone is the private memory of the guest of the only sandbox; Beside of
	// one with another beside it, with which it shares the pages of its program.
	Alone  int64 `json:"private_alone_bytes"`
	Beside int64 `json:"private_beside_bytes"`

	// Worker is the private memory of a sandbox of backend wasm, its guest and the
	// worker that waits; Plugin of one with a small module loaded instead. Zero:
	// not measured.
	Worker int64 `json:"private_wasm_worker_bytes,omitempty"`
	Plugin int64 `json:"private_wasm_plugin_bytes,omitempty"`
}

// memoryBudget is that of docs/DESIGN.md, section 9.
const memoryBudget = 2_000_000

// settle is how long a new guest is left alone before it is measured.
const settle = 200 * time.Millisecond

// crowd is sandboxes that exist at once.
type crowd struct {
	rt      *kavach.Runtime
	policy  policy.Policy
	members []*kavach.Sandbox
}

func newCrowd() (*crowd, error) {
	p, err := policy.Preset("strict")
	return &crowd{rt: &kavach.Runtime{Backends: all.All()}, policy: p}, err
}

func (c *crowd) add() error {
	sb, err := c.rt.Create(context.Background(), kavach.Config{Policy: c.policy, Backend: "process"})
	if err == nil {
		c.members = append(c.members, sb)
	}
	return err
}

func (c *crowd) end() error {
	var errs []error
	for _, sb := range c.members {
		errs = append(errs, sb.Destroy(context.Background()))
	}
	c.members = nil
	return errors.Join(errs...)
}

func measureMemory() (m *memory, err error) {
	before, err := children()
	if err != nil {
		return nil, err
	}
	c, err := newCrowd()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.end()) }()
	m = new(memory)
	for i, at := range []*int64{&m.Alone, &m.Beside} {
		if err := c.add(); err != nil {
			return nil, err
		}
		time.Sleep(settle)
		total, err := privateOf(before)
		if err != nil {
			return nil, err
		}
		*at = total / int64(i+1)
	}
	return m, nil
}

// privateOf sums up the private memory of the children that are not in except:
// the guests.
func privateOf(except map[int]bool) (int64, error) {
	now, err := children()
	if err != nil {
		return 0, err
	}
	var pids []int
	for pid := range now {
		if !except[pid] {
			pids = append(pids, pid)
		}
	}
	return private(pids)
}

// private is the private memory of processes together.
func private(pids []int) (sum int64, err error) {
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, err
		}
		f := fields(b)
		sum += f["Private_Clean"] + f["Private_Dirty"]
	}
	return sum, nil
}

// fields reads lines such as "Private_Dirty:  12 kB", which smaps_rollup and
// meminfo have, as bytes.
func fields(b []byte) map[string]int64 {
	found := make(map[string]int64)
	for _, line := range strings.Split(string(b), "\n") {
		key, rest, _ := strings.Cut(line, ":")
		words := strings.Fields(rest)
		if len(words) != 2 || words[1] != "kB" {
			continue
		}
		if n, err := strconv.ParseInt(words[0], 10, 64); err == nil {
			found[key] = n << 10
		}
	}
	return found
}

// children returns the pids of this program's children.
func children() (map[int]bool, error) {
	all, err := parents()
	found := make(map[int]bool)
	for pid, parent := range all {
		if parent == os.Getpid() {
			found[pid] = true
		}
	}
	return found, err
}

// parents returns the parent of each process.
func parents() (map[int]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	found := make(map[int]int)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + name + "/stat")
		if err == nil {
			found[pid] = parentOf(b)
		}
	}
	return found, nil
}

// parentOf reads field 4 of /proc/PID/stat, counted from the end of the name,
// which may hold anything (proc_pid_stat(5)).
func parentOf(stat []byte) int {
	f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(f) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(string(f[1])) // 0: nobody's
	return ppid
}
