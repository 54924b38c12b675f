package canary

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Process is a process of this machine as it was when it was looked at.
type Process struct {
	PID, Parent int
	Start       uint64 // in ticks since the machine started: with PID, it is no other process
	Args        []string
}

func (p Process) String() string { return fmt.Sprintf("process %d (%.60q)", p.PID, p.Args) }

// Name is the base name of what it calls itself.
func (p Process) Name() string {
	if len(p.Args) == 0 {
		return ""
	}
	return p.Args[0][strings.LastIndexByte(p.Args[0], '/')+1:]
}

// Processes are all processes that have memory of their own: no threads of the kernel,
// nothing that is dead.
func Processes() (list []Process, err error) {
	entries, err := os.ReadDir("/proc")
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if p, ok := ProcessOf(pid); ok {
				list = append(list, p)
			}
		}
	}
	return list, err
}

// ProcessOf is one of them. False: it is none, or is gone.
func ProcessOf(pid int) (Process, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const state, parent, flags, start = 0, 1, 6, 19 // of proc_pid_stat(5) these are fields 3, 4, 9 and 22
	if err != nil || len(fields) <= start || fields[state] == "Z" {
		return Process{}, false
	}
	const kernelThread = 0x00200000 // PF_KTHREAD, linux/sched.h
	if bits, err := strconv.ParseUint(fields[flags], 10, 64); err != nil || bits&kernelThread != 0 {
		return Process{}, false
	}
	p := Process{PID: pid}
	p.Parent, _ = strconv.Atoi(fields[parent])
	p.Start, _ = strconv.ParseUint(fields[start], 10, 64)
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if text := strings.TrimRight(string(args), "\x00"); text != "" {
		p.Args = strings.Split(text, "\x00")
	}
	return p, err == nil
}

// Below are those of list that this process has started, and those have, and so on.
func Below(list []Process, pid int) (below []Process) {
	in := map[int]bool{pid: true}
	for more := true; more; {
		more = false
		for _, p := range list {
			if in[p.Parent] && !in[p.PID] {
				in[p.PID], more = true, true
				below = append(below, p)
			}
		}
	}
	return below
}

// Mapping is a part of a process's memory, as proc_pid_smaps(5) has it.
type Mapping struct {
	Start, End uint64
	Name       string
	NoDump     bool // left out of core dumps (MADV_DONTDUMP), as memory of package locked is
	resident   bool // something is there
}

func (m Mapping) String() string {
	s := fmt.Sprintf("%x-%x %s", m.Start, m.End, m.Name)
	if m.NoDump {
		s += " (not dumped)"
	}
	return s
}

// Mappings are the memory of a process. The error is that of who may not look.
func Mappings(pid int) (list []Mapping, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		var m Mapping
		if n, _ := fmt.Sscanf(fields[0], "%x-%x", &m.Start, &m.End); n == 2 {
			const name = 5
			if len(fields) > name {
				m.Name = strings.Join(fields[name:], " ")
			}
			list = append(list, m)
			continue
		}
		last := &list[len(list)-1]
		switch fields[0] {
		case "Rss:", "Swap:":
			last.resident = last.resident || fields[1] != "0"
		case "VmFlags:":
			last.NoDump = strings.Contains(line+" ", " dd ")
		}
	}
	return list, err
}

// Leak is a secret in the memory of a process.
type Leak struct {
	Process Process
	Mapping Mapping
	Hit     Hit // At is in the mapping

	// Registers says that it is what vector registers held when a signal came, in the
	// frame that the kernel has made for that on a stack: Go copies memory by them,
	// and does not clear them.
	Registers bool
}

func (l Leak) String() string {
	s := fmt.Sprintf("%v: %v of %v", l.Process, l.Hit, l.Mapping)
	if l.Registers {
		s += " (registers, in the frame of a signal)"
	}
	return s
}

// Memory looks through all memory of a process that anything is in. What is gone
// before it was looked at is no error; that somebody may not look is one.
func (f *Finder) Memory(p Process) (leaks []Leak, err error) {
	mappings, err := Mappings(p.PID)
	if err != nil {
		return nil, unlessGone(p, err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", p.PID))
	if err != nil {
		return nil, unlessGone(p, err)
	}
	defer mem.Close()
	pages, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", p.PID))
	if err != nil {
		return nil, unlessGone(p, err)
	}
	defer pages.Close()
	for _, m := range mappings {
		if !m.resident {
			continue
		}
		for _, run := range present(pages, m) {
			// A mapping that is gone by now, or that nobody can read, has nothing.
			hits, _ := f.Find(io.NewSectionReader(mem, int64(run[0]), int64(run[1]-run[0])))
			for _, h := range hits {
				h.At += int64(run[0] - m.Start)
				leaks = append(leaks, Leak{p, m, h, inFrame(mem, int64(m.Start)+h.At)})
			}
		}
	}
	return leaks, nil
}

// inFrame reports whether this address is in the registers of a signal's frame, as x86
// has them: asm/sigcontext.h, the area of FXSAVE with FP_XSTATE_MAGIC1 in what the
// processor leaves to software, and what XSAVE adds to it.
func inFrame(mem io.ReaderAt, at int64) bool {
	const (
		magic    = "SXPF"
		align    = 64
		xmm      = 160  // the first of these registers, from the area's beginning
		software = 464  // where magic is
		largest  = 2696 // with AVX-512 and PKRU
	)
	var got [len(magic)]byte
	for area := (at - xmm) &^ (align - 1); area > at-largest; area -= align {
		if _, err := mem.ReadAt(got[:], area+software); err == nil && string(got[:]) == magic {
			return true
		}
	}
	return false
}

func unlessGone(p Process, err error) error {
	now, ok := ProcessOf(p.PID)
	if !ok || now.Start != p.Start || errors.Is(err, unix.ESRCH) { // which is on its way out has no memory any more
		return nil
	}
	return fmt.Errorf("%v: %w", p, err)
}

// present are the parts of a mapping that have pages, in memory or swapped out
// (Documentation/admin-guide/mm/pagemap.rst): the rest would be made by being read.
func present(pages *os.File, m Mapping) (runs [][2]uint64) {
	const entry, there = 8, 3 << 62
	page := uint64(os.Getpagesize())
	table := make([]byte, entry<<14) // of 64 MiB: some mappings are of terabytes
	for at := m.Start; at < m.End; {
		want := min(uint64(len(table)), (m.End-at)/page*entry)
		n, err := pages.ReadAt(table[:want], int64(at/page*entry))
		if n < entry || err != nil && !errors.Is(err, io.EOF) {
			break
		}
		for i := 0; i+entry <= n; i, at = i+entry, at+page {
			if binary.LittleEndian.Uint64(table[i:])&there == 0 {
				continue
			}
			if last := len(runs) - 1; last >= 0 && runs[last][1] == at {
				runs[last][1] += page
			} else {
				runs = append(runs, [2]uint64{at, at + page})
			}
		}
	}
	return runs
}
