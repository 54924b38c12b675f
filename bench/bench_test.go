package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestSum(t *testing.T) {
	for _, c := range []struct {
		why     string
		samples []time.Duration
		want    stats
	}{
		{"one sample is all there is", []time.Duration{7}, stats{7, 7, 7}},
		{"of two, the median is between them", []time.Duration{4, 2}, stats{2, 3, 4}},
		{"order does not matter, and one far off does not either", []time.Duration{9000, 3, 1, 2, 4}, stats{1, 3, 9000}},
		{"p90 is not the maximum of many", []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 100}, stats{1, 6, 10}},
	} {
		if got := sum(c.samples); got != c.want {
			t.Errorf("%s: sum(%v) = %v, want %v", c.why, c.samples, got, c.want)
		}
	}
}

func TestSumKeepsSamples(t *testing.T) {
	samples := []time.Duration{3, 1, 2}
	sum(samples)
	if samples[0] != 3 {
		t.Errorf("samples were sorted in place: %v; parts would no longer belong to their rounds", samples)
	}
}

func TestRatio(t *testing.T) {
	if got := ratio(3, 2); got != 1.5 {
		t.Errorf("ratio(3, 2) = %v, want 1.5", got)
	}
	if got := ratio(3, 0); got != 0 {
		t.Errorf("ratio(3, 0) = %v, want 0: there is nothing to compare with", got)
	}
}

func TestTakeTurns(t *testing.T) {
	calls := map[string]int{}
	whole := &row{name: "whole", once: func(w *watch) error {
		calls["whole"]++
		return errors.Join(
			w.part("half", func() error { time.Sleep(time.Millisecond); return nil }),
			w.time(func() error { time.Sleep(time.Millisecond); return nil }))
	}}
	half := &row{name: "half", partOf: "whole"}
	absent := &row{name: "absent", missing: notInstalled, once: func(*watch) error { calls["absent"]++; return nil }}
	broken := &row{name: "broken", once: func(*watch) error { calls["broken"]++; return errors.New("it broke") }}
	const rounds = 5
	takeTurns([]*row{whole, half, absent, broken}, warmUp, rounds)

	if calls["whole"] != warmUp+rounds || len(whole.samples) != rounds {
		t.Errorf("whole ran %d times with %d samples, want %d and %d: warm-up rounds do not count",
			calls["whole"], len(whole.samples), warmUp+rounds, rounds)
	}
	if len(half.samples) != rounds || sum(half.samples).Median >= sum(whole.samples).Median {
		t.Errorf("half has the samples %v of %v, want as many, and less", half.samples, whole.samples)
	}
	if calls["absent"] != 0 {
		t.Error("a row that is missing was run")
	}
	if calls["broken"] != 1 || broken.missing != "it broke" {
		t.Errorf("broken ran %d times and is missing for %q, want once and its error", calls["broken"], broken.missing)
	}
}

func TestChoose(t *testing.T) {
	rows := []*row{{name: "floor"}, {name: "peer"}, {name: "ours", against: "floor"}, {name: "part", partOf: "ours", against: "peer"}}
	for _, c := range []struct{ text, want string }{
		{"", "floor peer ours part"},
		{"ours", "floor ours"},
		{"part", "peer ours part"},
		{"none", ""},
	} {
		var names []string
		for _, r := range choose(rows, c.text) {
			names = append(names, r.name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("choose(%q) = %q, want %q", c.text, got, c.want)
		}
	}
}

func TestReport(t *testing.T) {
	rows := []*row{
		{name: "peer", samples: []time.Duration{2 * time.Millisecond}},
		{name: "ours", against: "peer", budget: 2, goal: 1, samples: []time.Duration{3 * time.Millisecond}},
		{name: "slow", against: "peer", budget: 2, samples: []time.Duration{5 * time.Millisecond}},
		{name: "alone", against: "gone", samples: []time.Duration{1 * time.Millisecond}},
		{name: "gone", missing: notInstalled},
		{name: "broken", missing: "go build: no\nand more"},
		{name: "part", partOf: "broken"},
	}
	r := newReport(1, time.Date(2026, time.January, 2, 0, 0, 0, 0, time.UTC))
	r.addTimes(rows)
	var b strings.Builder
	if err := r.write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2026-01-02, ",
		"\nours    3.00 ms  3.00 ms  3.00 ms  1.50 ×  1.50 ×  peer  2.00 ×  1.00 ×  budget met, goal not\n",
		"\nslow    5.00 ms  5.00 ms  5.00 ms  2.50 ×  2.50 ×  peer  2.00 ×          missed\n",
		"\nalone   1.00 ms  1.00 ms  1.00 ms\n",
		"\ngone    not installed\n",
		"\nbroken  go build: no\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, b.String())
		}
	}

	if strings.Contains(b.String(), "\npart") {
		t.Errorf("what is missing of the whole is said of its part again:\n%s", b.String())
	}

	t.Setenv("CI", "")
	if err := r.verdict(); err == nil || strings.Contains(err.Error(), "gone") || strings.Count(err.Error(), "broken") != 1 {
		t.Errorf("verdict is %v, want that broken failed, once, and no word of gone", err)
	}
	t.Setenv("CI", "true")
	if err := r.verdict(); err == nil || !strings.Contains(err.Error(), "not installed: gone") {
		t.Errorf("verdict in CI is %v, want that gone is not installed", err)
	}
}

func TestMet(t *testing.T) {
	for _, c := range []struct {
		figure, budget, goal float64
		want                 string
	}{
		{1, 0, 0, ""}, {2.1, 2, 1, "missed"}, {1.5, 2, 1, "budget met, goal not"}, {1, 2, 1, "met"}, {2, 2, 0, "met"},
	} {
		if got := met(c.figure, c.budget, c.goal); got != c.want {
			t.Errorf("met(%v, %v, %v) = %q, want %q", c.figure, c.budget, c.goal, got, c.want)
		}
	}
}

func TestProcFiles(t *testing.T) {
	f := fields([]byte("Rss:  12 kB\nPrivate_Dirty:\t 3 kB\nHugePages_Total:  0\nname with : colon kB\n"))
	if f["Rss"] != 12<<10 || f["Private_Dirty"] != 3<<10 || len(f) != 2 {
		t.Errorf("fields = %v, want Rss and Private_Dirty in bytes", f)
	}
	if got := parentOf([]byte("7 (a) (b) S 42 7 7 0")); got != 42 {
		t.Errorf("parentOf = %d, want 42: a name may hold parentheses", got)
	}
	if got := parentOf(nil); got != 0 {
		t.Errorf("parentOf nothing = %d, want 0", got)
	}
}

// Each kind of cycle leaves nothing behind.
func TestCycles(t *testing.T) {
	c, err := measureCycles(len(cycleKinds()), 2*len(cycleKinds()), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.verdict(); err != nil {
		t.Error(err)
	}
	c.Rows[0].After += c.Rows[0].Slack + 1
	if c.verdict() == nil {
		t.Error("one more than may be is no fault")
	}
}

// A gauge that does not see a sandbox while it is there would not see what is
// left of it.
func TestGaugesSee(t *testing.T) {
	c, err := newCrowd()
	if err != nil {
		t.Fatal(err)
	}
	before, err := readings(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.end(); err != nil {
			t.Error(err)
		}
	}()
	if err := c.add(); err != nil {
		t.Fatal(err)
	}
	now, err := readings(map[string]bool{c.members[0].ID(): true})
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range gauges() {
		switch g.name {
		case "cgroups of its sandboxes":
			if os.Geteuid() != 0 {
				continue // an ordinary user has none on version 1
			}
		case "mounts", "threads", "heap in use, kB", "resident memory, kB":
			continue // a sandbox has its mounts elsewhere; the others are not counted one by one
		}
		if now[i] <= before[i] {
			t.Errorf("%s: %d before, and %d with a sandbox", g.name, before[i], now[i])
		}
	}
}

// The peer that is said to have a filter has one, each time.
func TestBwrapIsFiltered(t *testing.T) {
	bwrap, err := exec.LookPath("bwrap")
	if err != nil {
		t.Skip("bwrap is not installed; make test-programs installs it")
	}
	s, err := newSpawner()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}()
	filter, err := filterFile()
	if err != nil {
		t.Fatal(err)
	}
	s.files = append(s.files, filter)
	look := append(bwrapFlags(), "grep", "-q", "^Seccomp:.2", "/proc/self/status")
	with := s.reading(filter, append([]string{bwrap, "--seccomp", seccompFD}, look...)...)
	for range 2 {
		if err := with(new(watch)); err != nil {
			t.Errorf("with the filter: %v", err)
		}
	}
	if s.command(append([]string{bwrap}, look...)...)(new(watch)) == nil {
		t.Error("there is a filter without ours, too: the check sees nothing")
	}
}
