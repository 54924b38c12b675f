package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach"
)

// here is a file of this directory; tests may run far from it.
func here(name string) string {
	if root := os.Getenv("KAVACH_SOURCE"); root != "" {
		return filepath.Join(root, "examples", "agent", name)
	}
	return name
}

// lines runs tasks, and returns what was printed.
func lines(t *testing.T, o options, tasks []byte) (all []feedback, sum summary) {
	t.Helper()
	var out bytes.Buffer
	if err := work(context.Background(), o, tasks, &out); err != nil {
		t.Fatal(err)
	}
	printed := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range printed[:len(printed)-1] {
		var f feedback
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, f)
	}
	if err := json.Unmarshal([]byte(printed[len(printed)-1]), &sum); err != nil {
		t.Fatal(err)
	}
	if left := children(t); left != 0 {
		t.Errorf("%d sandboxes are left", left)
	}
	return all, sum
}

func TestTasks(t *testing.T) {
	text, err := os.ReadFile(here("tasks.json"))
	if err != nil {
		t.Fatal(err)
	}
	all, sum := lines(t, options{minScore: 60, atOnce: 2}, text)
	byTask := make(map[string][]feedback)
	for _, f := range all {
		word, _, _ := strings.Cut(f.Task, " ")
		byTask[strings.Trim(word, ",")] = append(byTask[strings.Trim(word, ",")], f)
	}
	for _, tt := range []struct {
		task string
		step int
		is   func(feedback) bool
		why  string
	}{
		{"fibonacci", 1, func(f feedback) bool { return f.ExitCode == 1 && strings.Contains(f.Stderr, "fob") }, "the mistake is told"},
		{"fibonacci", 3, func(f feedback) bool { return f.Stdout == "55\n" }, "the file of the last step is there"},
		{"fibonacci", 5, func(f feedback) bool { return f.ExitCode == 0 && strings.Contains(f.Stderr, "OK") }, "tests run"},
		{"curiosity", 0, func(f feedback) bool { return f.ExitCode != 0 && f.Denials == nil }, "what exists on the host is not told"},
		{"curiosity", 1, func(f feedback) bool { return len(f.Denials) == 1 && f.Denials[0].Target == "unshare" }, "a refusal is told"},
		{"curiosity", 2, func(f feedback) bool { return f.ExitCode == 0 }, "and reacted to"},
		{"a", 0, func(f feedback) bool { return f.TimedOut && strings.Contains(f.Stderr, "signal 9") }, "a loop ends"},
		{"a", 1, func(f feedback) bool { return f.Stdout == "once is enough\n" }, "and the sandbox goes on"},
		{"too", 0, func(f feedback) bool { return f.Truncated && len(f.Stdout) == 16<<10 }, "output is bounded"},
		{"too", 1, func(f feedback) bool { return f.Stdout == "10000000\n" && !f.Truncated }, "inside, it is not"},
	} {
		if got := byTask[tt.task]; len(got) <= tt.step || !tt.is(got[tt.step]) {
			t.Errorf("task %s, step %d: %s: got %+v", tt.task, tt.step, tt.why, got)
		}
	}
	if sum.Tasks != 4 || sum.Commands != len(all) || sum.Failed != 4 || sum.Denied < 1 || sum.Score < 60 || sum.AtOnce > 2 {
		t.Errorf("the summary is %+v of %d commands", sum, len(all))
	}
}

// Many short commands in each of many sandboxes: no more at once than was said,
// and nothing of one task is seen by another.
func TestManyCommands(t *testing.T) {
	const tasks, commands, atOnce = 8, 40, 3
	var list []task
	for i := range tasks {
		one := task{Name: fmt.Sprint(i)}
		for range commands {
			one.Steps = append(one.Steps, step{Run: []string{"sh", "-c", `echo x >>/tmp/count; wc -l </tmp/count`}})
		}
		list = append(list, one)
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	all, sum := lines(t, options{minScore: 60, atOnce: atOnce}, text)
	seen := make(map[string]int)
	for _, f := range all {
		seen[f.Task]++
		if got := strings.TrimSpace(f.Stdout); got != fmt.Sprint(seen[f.Task]) {
			t.Fatalf("command %d of task %s counts %s: %+v", seen[f.Task], f.Task, got, f)
		}
	}
	if len(all) != tasks*commands || sum.AtOnce > atOnce {
		t.Errorf("%d commands, and the summary %+v", len(all), sum)
	}
}

func TestRefuses(t *testing.T) {
	var out bytes.Buffer
	err := work(context.Background(), options{minScore: 100, atOnce: 1}, []byte(`[{"task":"x","steps":[{"run":["true"]}]}]`), &out)
	var low *kavach.ScoreError
	if !errors.As(err, &low) || strings.Contains(out.String(), "true") {
		t.Errorf("with less proven than required: %v, %s", err, &out)
	}
}

// A program that is not there is the agent's mistake, and ends nothing.
func TestNoSuchProgram(t *testing.T) {
	all, _ := lines(t, options{minScore: 60, atOnce: 1}, []byte(`[{"task":"x","steps":[{"run":["no-such-program"]},{"if":"failed","run":["true"]}]}]`))
	if len(all) != 2 || all[0].ExitCode != 127 || all[1].ExitCode != 0 {
		t.Errorf("got %+v", all)
	}
}

// children counts the children of this program.
func children(t *testing.T) int {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(files) == 0 {
		t.Fatal("this kernel does not say who a program's children are (CONFIG_PROC_CHILDREN)", err)
	}
	n := 0
	for _, file := range files {
		text, _ := os.ReadFile(file) // a thread that has ended has none
		n += len(strings.Fields(string(text)))
	}
	return n
}
