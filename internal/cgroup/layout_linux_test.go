package cgroup

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fakeTree makes what a version 2 tree looks like, as far as layouts read it: a
// root and, below it, the cgroup of this process.
func fakeTree(t *testing.T, controllers, procs string) (point, own string) {
	t.Helper()
	point = t.TempDir()
	own = filepath.Join(point, "own")
	for _, dir := range []string{point, own} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{
			"cgroup.controllers": controllers, "cgroup.subtree_control": "", "cgroup.procs": procs, "cgroup.type": "domain\n",
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return point, own
}

func contents(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

const allV1 = `32 31 0:29 / /cg/cpu rw - cgroup cgroup rw,cpu
33 31 0:30 / /cg/cpuacct rw - cgroup cgroup rw,cpuacct
35 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory
37 31 0:34 / /cg/freezer rw - cgroup cgroup rw,freezer
38 31 0:35 / /cg/blkio rw - cgroup cgroup rw,blkio
39 31 0:36 / /cg/pids rw - cgroup cgroup rw,pids
41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw
`

func TestArrangeV1(t *testing.T) {
	h := parseHierarchies(allV1)
	l, err := arrange(h, "0::/\n", true)
	if err != nil {
		t.Fatal(err)
	}
	if l.unified != "" || l.parents[memory] != "/cg/memory" || l.parents[disk] != "/cg/blkio" || len(l.all()) != 5 {
		t.Errorf("got %+v", l)
	}
	if _, err := arrange(h, "0::/\n", false); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("an ordinary user: %v", err)
	}
	if _, err := arrange(parseHierarchies(""), "", true); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("nothing mounted: %v", err)
	}
}

// A directory was delegated, and this process is alone in it.
func TestArrangeDelegated(t *testing.T) {
	pid := strconv.Itoa(os.Getpid())
	point, own := fakeTree(t, "cpu io memory pids", pid+"\n")
	// The kernel makes these files with the directory.
	for _, name := range []string{host + "/cgroup.procs", top + "/cgroup.subtree_control"} {
		name = filepath.Join(own, name)
		if err := errors.Join(os.Mkdir(filepath.Dir(name), 0o755), os.WriteFile(name, nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := arrange(hierarchies{point: point, root: "/"}, "1:name=systemd:/x\n0::/own\n", false)
	if err != nil {
		t.Fatal(err)
	}
	if l.unified != own || l.isRoot || l.parents[memory] != own || l.parents[freezer] != own || len(l.all()) != 1 {
		t.Errorf("got %+v", l)
	}
	for name, want := range map[string]string{
		"cgroup.subtree_control": "+memory +cpu +pids +io", host + "/cgroup.procs": pid, top + "/cgroup.subtree_control": "+memory +cpu +pids +io",
	} {
		if got := contents(t, filepath.Join(own, name)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	// The next kavach is started where this one has moved to.
	if again, err := arrange(hierarchies{point: point, root: "/"}, "0::/own/"+host+"\n", false); err != nil || again.unified != own {
		t.Errorf("from %s: %+v, %v", host, again, err)
	}
}

// Another process is in the directory: it is not moved, and neither is this one.
func TestArrangeCrowded(t *testing.T) {
	point, own := fakeTree(t, "cpu memory pids", strconv.Itoa(os.Getpid())+"\n1\n")
	_, err := arrange(hierarchies{point: point, root: "/"}, "0::/own\n", false)
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "other processes") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(own, host)); !os.IsNotExist(err) {
		t.Errorf("it left all the same: %v", err)
	}
}

func TestArrangeMissing(t *testing.T) {
	point, _ := fakeTree(t, "cpu pids", "")
	if _, err := arrange(hierarchies{point: point, root: "/"}, "0::/own\n", false); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "memory") {
		t.Errorf("without the memory controller: %v", err)
	}
	if _, err := arrange(hierarchies{point: point, root: "/elsewhere"}, "0::/own\n", false); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a cgroup that is not in sight: %v", err)
	}
}

// The tree of version 2 freezes and kills whether or not it has controllers.
func TestFreezeAndKillUnified(t *testing.T) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	h := parseHierarchies(string(mounts))
	if os.Geteuid() != 0 || h.point == "" {
		t.Log("it takes root, and a tree of version 2")
		return
	}
	dir := filepath.Join(h.point, "kavach-test-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	g := &Group{unified: dir, dirs: map[controller]string{freezer: dir}}
	t.Cleanup(func() {
		if err := g.Remove(); err != nil {
			t.Error(err)
		}
	})
	into, err := g.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer into.Close()
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = startIn(into)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for _, frozen := range []bool{true, false, true} {
		if err := g.Freeze(frozen, deadline); err != nil {
			t.Fatal(err)
		}
		want := "frozen 0"
		if frozen {
			want = "frozen 1"
		}
		if got := contents(t, filepath.Join(dir, "cgroup.events")); !strings.Contains(got, want) {
			t.Errorf("cgroup.events: %q, want %q", got, want)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := g.Remove(); err != nil { // it kills what is frozen
		t.Error(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the process: %v", err)
	}
	if err := g.Remove(); err != nil {
		t.Errorf("again: %v", err)
	}
}
