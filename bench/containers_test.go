package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Args[0] == placeName {
		os.Exit(servePlace(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

func testStage(t *testing.T) *stage {
	t.Helper()
	s, err := newStage(&programs{dir: t.TempDir(), kavachErr: errors.New("not built for this test")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		dir := s.bundle.dir
		if err := s.end(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("the bundle is still there: %v", err)
		}
	})
	return s
}

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		why, script string
		detached    bool
		first       bool
		err         string
	}{
		{"the first byte is apart from the end", "echo; sleep 0.05", false, true, ""},
		{"who prints nothing has no first byte", "true", false, false, ""},
		{"what it printed to stderr is the reason", "echo why >&2; exit 3", false, false, "exit status 3: why"},
		{"one that leaves something behind is not waited for by its output", "sleep 1000 & kill $! & exit 0", true, false, ""},
	} {
		d, err := order{Argv: []string{"/bin/sh", "-c", c.script}, Detached: c.detached}.run()
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: error %v, want %q", c.why, err, c.err)
		}
		if (d.First > 0) != c.first || d.First > d.Total {
			t.Errorf("%s: first byte after %v of %v", c.why, d.First, d.Total)
		}
	}
}

// The place has a mount namespace of its own, in which the part of a hybrid layout
// that crun refuses is not mounted, and the host's is as it was.
func TestPlace(t *testing.T) {
	before, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	s := testStage(t)
	if os.Geteuid() == 0 {
		if _, err := s.run(order{Argv: []string{"/bin/sh", "-c", "! grep -q ' /sys/fs/cgroup/unified ' /proc/self/mountinfo"}}); err != nil {
			t.Error(err)
		}
	} else if _, err := s.run(order{Argv: []string{"/bin/sh", "-c", `test "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs && test "$(id -u)" = 0`}}); err != nil {
		t.Error(err)
	}
	if d, err := s.run(order{Argv: []string{"/bin/echo"}}); err != nil || d.First == 0 {
		t.Errorf("echo: %+v, %v", d, err)
	}
	if _, err := s.run(order{Argv: []string{"/bin/false"}}); err == nil {
		t.Error("false did not fail there")
	}
	after, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if string(after) != string(before) {
		t.Errorf("the mounts of this process have changed:\n%s\nwere\n%s", after, before)
	}
}

// Each row of a container that this machine can measure works, twice: what it
// leaves does not stop the next.
func TestContainerRows(t *testing.T) {
	s := testStage(t)
	sp, err := newSpawner()
	if err != nil {
		t.Fatal(err)
	}
	defer sp.close()
	rows := choose(s.containerRows(sp), "crun")
	takeTurns(rows, 0, 2)
	byName := make(map[string]*row)
	for _, r := range rows {
		byName[r.name] = r
	}
	_, noCrun := exec.LookPath("crun")
	for _, r := range rows {
		reason := why(r, byName)
		if reason != "" && !r.optional && noCrun == nil {
			t.Errorf("%s: %s", r.name, reason)
		}
		if reason == "" && len(r.samples) != 2 {
			t.Errorf("%s has the samples %v, want two", r.name, r.samples)
		}
	}
	if f, whole := byName[first("crun run")], byName["crun run"]; noCrun == nil && sum(f.samples).Min >= sum(whole.samples).P90 {
		t.Errorf("the first byte came after %v, the end after %v", f.samples, whole.samples)
	}
}

// Containers at once are seen while they are there, and that nothing is left of
// them is seen by something that would see it.
func TestAtOnce(t *testing.T) {
	s := testStage(t)
	const n = 2
	for _, name := range []string{"oci, crun", "crun run"} {
		list, err := s.measureAtOnce(n, atOncePrefix+name)
		if err != nil || len(list) != 1 {
			t.Fatalf("%s: %v, %v", name, list, err)
		}
		a := list[0]
		if strings.HasSuffix(a.Missing, notInstalled) {
			t.Logf("%s: %s", name, a.Missing)
			continue
		}
		if a.Missing != "" || a.Processes < 1 || a.Private == 0 || a.PSS < a.Private || a.remains() != "nothing" {
			t.Errorf("%+v", a)
		}
	}
	a := &atOnce{Left: []reading{{Name: "mounts", Before: 1, After: 3}, {Name: "files", Before: 1, After: 1}}}
	if got := a.remains(); got != "2 mounts" {
		t.Errorf("remains() = %q, want 2 mounts", got)
	}
}

func TestLeftSees(t *testing.T) {
	dir := t.TempDir()
	self := &side{root: os.Getpid, state: dir}
	made := map[string]bool{"seen": true}
	before, err := new(atOnce).left(self, os.Getpid(), made)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	if err := os.WriteFile(filepath.Join(dir, "seen"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	after, err := new(atOnce).left(self, os.Getpid(), made)
	if err != nil {
		t.Fatal(err)
	}
	for n, name := range []string{"processes", "", "files"} {
		if name != "" && (after[n].Name != name || after[n].After != before[n].After+1) {
			t.Errorf("%+v, before %+v, want one more of %s", after[n], before[n], name)
		}
	}
}

func TestUnpack(t *testing.T) {
	sp, err := newSpawner()
	if err != nil {
		t.Fatal(err)
	}
	defer sp.close()
	u, rows := newUnpack(1, 20, sp)
	defer func() {
		if err := u.remove(); err != nil {
			t.Error(err)
		}
	}()
	if err := u.prepare(); err != nil {
		t.Fatal(err)
	}
	takeTurns(rows, 0, 1)
	for _, r := range rows {
		if r.missing != "" && r.missing != notInstalled {
			t.Errorf("%s: %s", r.name, r.missing)
		}
	}
	left, err := filepath.Glob(filepath.Join(u.dir, "into-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if u.rounds != 2 || u.bytes < 1<<20 {
		t.Errorf("%d rounds of %d bytes, want 2 of a MiB and more", u.rounds, u.bytes)
	}
}

func TestPlainSpec(t *testing.T) {
	s := plainSpec("/root", true, []string{"a"})
	user := plainSpec("/root", false, []string{"a"})
	if s.Linux.Resources == nil || user.Linux.Resources != nil || len(user.Mounts) != len(s.Mounts)-1 {
		t.Errorf("an ordinary user has neither device cgroup nor /sys: %+v, %+v", s.Linux.Resources, user.Mounts)
	}
	if b, err := json.Marshal(s); err != nil || !json.Valid(b) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestPartsOfWhatIsMissing(t *testing.T) {
	rows := []*row{
		{name: "peer", missing: "it broke"}, {name: "peer: first byte", partOf: "peer"},
		{name: "ours", samples: []time.Duration{1}}, {name: "ours: first byte", partOf: "ours", against: "peer: first byte", samples: []time.Duration{1}},
		{name: "may", missing: "it cannot here", optional: true},
	}
	r := newReport(1, time.Now())
	r.addTimes(rows)
	if last := r.Rows[3]; last.Ratio != 0 || last.Missing != "" {
		t.Errorf("%+v, want figures, and no ratio to what is missing", last)
	}
	if len(r.Failed) != 1 {
		t.Errorf("failed: %q, want the peer once, and not what may be missing", r.Failed)
	}
	if got := choose(rows, "ours: first"); len(got) != 4 {
		t.Errorf("chosen: %d rows, want the part, its whole, its peer, and the peer's whole", len(got))
	}
}
