package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var longExecs = flag.Int("execs", 2000, "how many commands TestSessionLong runs in one session")

// TestSessionLong runs many commands in one session, some at once, and looks at
// what kavach and the guest have grown by.
func TestSessionLong(t *testing.T) {
	c := dial(t)
	c.create(`{}`)
	sandbox := sandboxOf(t, c.cmd.Process.Pid)
	if sandbox == nil {
		t.Fatal("the session's sandbox is not on record")
	}
	pids := map[string]int{"kavach": c.cmd.Process.Pid, "guest": sandbox.Guest}
	look := func() map[string]weight {
		all := make(map[string]weight)
		for name, pid := range pids {
			all[name] = weigh(t, pid)
		}
		return all
	}
	c.runMany(max(1, *longExecs/10))
	before := look()
	c.runMany(*longExecs)
	after := look()
	// In kB. A Go program collects its garbage for the first time when it has 4 MB
	// of it (runtime, GOGC), which a guest reaches after some 2,500 commands. So
	// the default shows what leaks kilobytes a command, -execs 20000 much less.
	const slack = 6 << 10
	for name := range pids {
		b, a := before[name], after[name]
		t.Logf("%s: %v before, %v after %d commands", name, b, a, *longExecs)
		if a.private > b.private+slack || a.files > b.files {
			t.Errorf("%s has grown: %v before, %v after %d commands", name, b, a, *longExecs)
		}
	}
	if got := c.end(); got != 0 {
		t.Errorf("exit code %d", got)
	}
	if left := sandboxOf(t, c.cmd.Process.Pid); left != nil {
		t.Errorf("left: %+v", left)
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", sandbox.Guest)); err == nil {
		t.Errorf("the guest %d lives on", sandbox.Guest)
	}
	if left := cgroupsOf(sandbox.ID); len(left) > 0 {
		t.Errorf("left: %s", left)
	}
}

// runMany runs n commands: every tenth has input, every 25th is not there.
func (c *client) runMany(n int) {
	c.t.Helper()
	const atOnce = 8
	sent, ended := 0, 0
	for ended < n {
		for sent < n && sent-ended < atOnce {
			sent++
			switch {
			case sent%25 == 0:
				c.send(`{"id":1,"method":"exec","params":{"args":["/no/such/command"]}}`)
			case sent%10 == 0:
				c.send(`{"id":2,"method":"exec","params":{"args":["cat"],"stdin":true}}`)
			default:
				c.send(`{"id":3,"method":"exec","params":{"args":["/bin/echo","x"]}}`)
			}
		}
		m := c.next()
		switch {
		case m.Error != nil && m.Error.Code == errNotFound:
			ended++
		case m.Error != nil:
			c.t.Fatal(m.raw)
		case m.ID == 2.0:
			c.send(fmt.Sprintf(`{"id":4,"method":"stdin","params":{"exec":%.0f,"data":"x\n","eof":true}}`, m.Result["exec"]))
		case m.Event == "stdout" && m.Data != "x\n", m.Event == "exit" && m.ExitCode != 0:
			c.t.Fatal(m.raw)
		case m.Event == "exit":
			ended++
		}
	}
}

// weight is what a process holds.
type weight struct {
	private int64 // kB
	files   int   // -1: not to be seen
}

func (w weight) String() string {
	return fmt.Sprintf("%d kB private, %d descriptors", w.private, w.files)
}

func weigh(t *testing.T, pid int) weight {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	w := weight{files: -1}
	if list, err := os.ReadDir(filepath.Join(dir, "fd")); err == nil { // a guest shows its own to root alone
		w.files = len(list)
	}
	text, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 3 && (f[0] == "Private_Clean:" || f[0] == "Private_Dirty:") {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			w.private += n
		}
	}
	return w
}

// cgroupsOf lists those that are named after a sandbox.
func cgroupsOf(id string) (found []string) {
	for _, pattern := range []string{"/sys/fs/cgroup/*/kavach/", "/sys/fs/cgroup/kavach/", "/sys/fs/cgroup/*/*/kavach/"} {
		list, _ := filepath.Glob(pattern + id) // the pattern is ours
		found = append(found, list...)
	}
	return found
}
