package cgroup

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func startIn(dir *os.File) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd()), Pdeathsig: syscall.SIGKILL}
}

// plainGroup is a group of plain files.
func plainGroup(t *testing.T, v2 bool, files ...string) (*Group, string) {
	t.Helper()
	dir := t.TempDir()
	g := &Group{dirs: map[controller]string{memory: dir, cpu: dir, pids: dir, disk: dir}}
	if v2 {
		g.unified = dir
	}
	for _, name := range files {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return g, dir
}

func TestLimit(t *testing.T) {
	disks := []Disk{{8, 0}}
	limits := Limits{Memory: 64 << 20, Swap: 1 << 20, CPUs: 0.5, PIDs: 10, Read: 1000, Write: 2000, Disks: disks}
	for _, tt := range []struct {
		why  string
		v2   bool
		want map[string]string
	}{
		{"version 2", true, map[string]string{
			"memory.max": "67108864", "memory.swap.max": "1048576", "cpu.max": "50000 100000", "pids.max": "34", "io.max": "8:0 wbps=2000",
		}},
		{"version 1: swap is counted with memory", false, map[string]string{
			"memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "68157440", "cpu.cfs_period_us": "100000",
			"cpu.cfs_quota_us": "50000", "pids.max": "11", readFile: "8:0 1000", writeFile: "8:0 2000",
		}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			var names []string
			for name := range tt.want {
				names = append(names, name)
			}
			g, dir := plainGroup(t, tt.v2, names...)
			if err := g.limit(limits); err != nil {
				t.Fatal(err)
			}
			for name, want := range tt.want {
				// A plain file keeps the rest of what was longer; io.max gets one
				// write for each direction.
				if got := contents(t, filepath.Join(dir, name)); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestLimitWithoutSwap(t *testing.T) {
	g, dir := plainGroup(t, false, "memory.limit_in_bytes", "memory.swappiness")
	if err := g.limitMemory(1<<20, 0); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, filepath.Join(dir, "memory.swappiness")); got != "0" {
		t.Errorf("memory.swappiness: %q", got)
	}
	if err := g.limitMemory(1<<20, 1<<20); err == nil {
		t.Error("swap that is not counted was bounded")
	}
}

func TestWeakest(t *testing.T) {
	g := &Group{disks: []Disk{{8, 0}, {8, 16}}}
	for _, tt := range []struct {
		text string
		want int64
	}{
		{"8:0 rbps=10 wbps=max\n8:16 rbps=30 wbps=5\n", 30},
		{"8:0 rbps=10\n", 0},
		{"8:0 rbps=10\n8:16 rbps=max\n", 0},
		{"", 0},
	} {
		if got := g.weakest(tt.text, "rbps"); got != tt.want {
			t.Errorf("%q: %d, want %d", tt.text, got, tt.want)
		}
	}
}

func TestHolds(t *testing.T) {
	v1 := &Group{dirs: map[controller]string{pids: "/cg/pids/kavach/1", disk: "/cg/blkio/kavach/1"}}
	v2 := &Group{dirs: map[controller]string{pids: "/cg/own/kavach/1"}, unified: "/cg/own/kavach/1"}
	for _, tt := range []struct {
		g    *Group
		of   string
		c    controller
		want bool
	}{
		{v1, "8:pids:/kavach/1\n", pids, true},
		{v1, "8:pids:/\n0::/kavach/1\n", pids, false},
		{v1, "7:blkio:/kavach/1\n", disk, true},
		{v1, "8:cpu,pids:/kavach/1\n", pids, true},
		{v2, "0::/own/kavach/1\n", pids, true},
		{v2, "0::/\n", pids, false},
		{v2, "8:pids:/own/kavach/1\n0::/\n", pids, false},
		{v2, "0::/own/kavach/1\n", memory, false},
	} {
		if got := tt.g.holds(tt.of, tt.c); got != tt.want {
			t.Errorf("%q, %s: %t, want %t", tt.of, tt.c, got, tt.want)
		}
	}
}

func TestSeenAt(t *testing.T) {
	var mounts []mountLine
	for _, line := range []string{
		"1 0 8:1 / / rw - ext4 /dev/sda1 rw", "2 1 8:2 / /srv rw - ext4 /dev/sda2 rw", "3 2 0:9 / /srv/tmp rw - tmpfs tmpfs rw",
		"4 1 8:16 / /srv rw - ext4 /dev/sdb rw", "5 1 0:40 /sub /srvs rw - btrfs /dev/sdc rw",
	} {
		m, ok := parseMount(line)
		if !ok {
			t.Fatal(line)
		}
		mounts = append(mounts, m)
	}
	for place, want := range map[string]string{
		"/usr": "/dev/sda1", "/srv/x": "/dev/sdb", "/srv": "tmpfs /dev/sdb", "/srv/tmp/y": "tmpfs", "/srvs": "/dev/sdc",
		"/": "/dev/sda2 tmpfs /dev/sdb /dev/sdc /dev/sda1",
	} {
		var got []string
		for _, m := range seenAt(mounts, place) {
			got = append(got, m.source)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", place, got, want)
		}
	}
}

func TestDisks(t *testing.T) {
	if disks, err := Disks([]string{"/proc", "/does/not/exist"}); err != nil || len(disks) != 0 {
		t.Errorf("a place in memory: %v, %v", disks, err)
	}
	dir := t.TempDir()
	disks, err := Disks([]string{dir})
	t.Logf("%s is on %v (%v)", dir, disks, err)
	for _, d := range disks {
		if _, err := os.Stat("/sys/dev/block/" + d.String() + "/partition"); err == nil {
			t.Errorf("%s is a partition, not a disk", d)
		}
	}
}
