package quarantine

import (
	"bufio"
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// crashes is how often a program is killed.
const crashes = 100

// TestKilledWriters kills programs that keep items, at any moment. What they said
// was kept is there, whole; nothing else is there in part.
func TestKilledWriters(t *testing.T) {
	s, dir := newStore(t)
	whole := strings.Repeat(output, 5000)
	said, seen := 0, 0
	for range crashes {
		if err := os.RemoveAll(filepath.Join(dir, "keys")); err != nil { // so that a key is made each time
			t.Fatal(err)
		}
		cmd := child(t, "keep", dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Duration(rand.IntN(40_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		var ids []string
		for lines := bufio.NewScanner(out); lines.Scan(); {
			ids = append(ids, lines.Text())
		}
		_ = cmd.Wait() // it was killed
		list, err := s.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var there []string
		for _, r := range list {
			there = append(there, r.ID)
			if text, err := reveal(s, r.ID, "stdout"); err != nil || text != whole {
				t.Fatalf("item %s: %d bytes, %v", r.ID, len(text), err)
			}
			if text, err := reveal(s, r.ID, "stderr"); err != nil || text != "more" {
				t.Fatalf("item %s: %q, %v", r.ID, text, err)
			}
		}
		for _, id := range ids {
			if !slices.Contains(there, id) {
				t.Fatalf("item %s was kept, and is not there", id)
			}
		}
		said, seen = said+len(ids), seen+len(there)
		left, err := os.ReadDir(filepath.Join(dir, "store", stagingDir))
		if err != nil || len(left) > 0 {
			t.Fatalf("%d things are left by the dead, %v", len(left), err)
		}
		if len(there) == 0 {
			continue
		}
		if _, err := s.Purge(t.Context(), Purge{IDs: there, Force: true}); err != nil {
			t.Fatal(err)
		}
	}
	if said == 0 {
		t.Errorf("in %d tries nobody lived long enough to keep anything", crashes)
	}
	t.Logf("%d programs were killed, %d items were said to be kept, %d were there", crashes, said, seen)
}

// TestKilledDeciders kills programs that approve, reject and purge.
func TestKilledDeciders(t *testing.T) {
	s, dir := newStore(t)
	out := filepath.Join(dir, "out")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	states := make(map[State]int)
	for range crashes {
		cmd := child(t, "decide", dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(50_000)) * time.Microsecond)
		_ = cmd.Process.Kill() // else it ended, which the journal would show
		_ = cmd.Wait()
	}
	list, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	approved := make(map[string]bool)
	for _, r := range list {
		states[r.State]++
		text, err := reveal(s, r.ID, "stdout")
		switch r.State {
		case Rejected:
			problem(t, r.ID, err, "rejected it")
			if left, _ := filepath.Glob(filepath.Join(dir, "store", "items", r.ID, "*.age")); len(left) > 0 {
				t.Errorf("%s was rejected, and has its content", r.ID)
			}
		default:
			if err != nil || text != output {
				t.Errorf("%s, which is %s: %q, %v", r.ID, r.State, text, err)
			}
			approved[r.ID] = r.State == Approved
		}
	}
	released, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range released {
		text, err := os.ReadFile(filepath.Join(out, e.Name()))
		if err != nil || string(text) != output || !approved[e.Name()] {
			t.Errorf("%s was released, approved: %v, %q, %v", e.Name(), approved[e.Name()], text, err)
		}
	}
	t.Logf("after %d kills: %v, %d released", crashes, states, len(released))
}

// TestTwoApprove lets two programs approve one item at once.
func TestTwoApprove(t *testing.T) {
	for range 10 {
		s, dir := newStore(t)
		id := keep(t, s, withheld())
		var outs, errs [2]bytes.Buffer
		var done [2]chan error
		for i := range done {
			cmd := child(t, "approve", dir, id)
			cmd.Stdout, cmd.Stderr = &outs[i], &errs[i]
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			done[i] = make(chan error, 1)
			go func() { done[i] <- cmd.Wait() }()
		}
		won := 0
		for i := range done {
			err := <-done[i]
			switch {
			case err == nil && outs[i].String() == output:
				won++
			case err != nil && outs[i].Len() == 0 && strings.Contains(errs[i].String(), "was approved by pid "):
			default:
				t.Errorf("%v: %q, %q", err, outs[i].String(), errs[i].String())
			}
		}
		if won != 1 {
			t.Fatalf("%d have approved it", won)
		}
	}
}

// TestSteps stops acts after each of their steps, as if the machine had died, and
// looks at what is there.
func TestSteps(t *testing.T) {
	tests := []struct {
		act, step string
		want      State // "": it is not there
		why       string
	}{
		{"keep", "written", "", "it is whole, and has no name"},
		{"keep", "noted", "", "the journal knows what was meant, and it did not happen"},
		{"keep", "named", Held, "it has its name"},
		{"approve", "prepared", Held, "nothing is recorded"},
		{"approve", "noted", Held, "the journal knows what was meant, and it did not happen"},
		{"approve", "recorded", Approved, "it is approved, and Reveal has the content"},
		{"reject", "noted", Held, "nothing is recorded"},
		{"reject", "recorded", Rejected, "whoever looks next deletes the content"},
		{"purge", "noted", Held, "nothing was removed"},
		{"purge", "away", "", "what is left of it is removed by whoever looks next"},
	}
	for _, tt := range tests {
		s, dir := newStore(t)
		var id string
		if tt.act == "keep" {
			keep(t, s, withheld()) // so that there is a key
			if _, err := s.Purge(t.Context(), Purge{IDs: listed(t, s), Force: true}); err != nil {
				t.Fatal(err)
			}
		} else {
			id = keep(t, s, withheld())
		}
		file := filepath.Join(dir, "out")
		stopAt(t, s, tt.step, func() error { return act(t, s, tt.act, id, file) })
		if tt.act == "keep" && tt.want != "" {
			id = strings.Join(listed(t, s), " ")
		}
		list, err := s.List(t.Context())
		if err != nil || tt.want == "" && len(list) > 0 || tt.want != "" && (len(list) != 1 || list[0].State != tt.want) {
			t.Errorf("%s, %s: %s: %+v, %v", tt.act, tt.step, tt.why, list, err)
		}
		if left, err := filepath.Glob(filepath.Join(dir, "store", stagingDir, "*")); err != nil || len(left) > 0 {
			t.Errorf("%s, %s: %s is left", tt.act, tt.step, left)
		}
		if _, err := os.Lstat(file); err == nil {
			t.Errorf("%s, %s: and yet it was released", tt.act, tt.step)
		}
		switch content, _ := filepath.Glob(filepath.Join(dir, "store", itemsDir, "*", "*"+ageSuffix)); tt.want {
		case "", Rejected:
			if len(content) > 0 {
				t.Errorf("%s, %s: %s is left", tt.act, tt.step, content)
			}
		default:
			if text, err := reveal(s, id, "stdout"); err != nil || text != output {
				t.Errorf("%s, %s: %q, %v", tt.act, tt.step, text, err)
			}
		}
	}
}

func listed(t *testing.T, s *Store) (ids []string) {
	t.Helper()
	list, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	return ids
}

func act(t *testing.T, s *Store, name, id, file string) (err error) {
	switch name {
	case "keep":
		keep(t, s, withheld())
	case "approve":
		_, err = s.Approve(t.Context(), id, ann, keys(t, s), Release{Part: "stdout", File: file})
	case "reject":
		_, err = s.Reject(t.Context(), id, ann)
	case "purge":
		_, err = s.Purge(t.Context(), Purge{IDs: []string{id}, Force: true})
	}
	return err
}

// stopAt runs an act up to a step, and no further.
func stopAt(t *testing.T, s *Store, step string, act func() error) {
	t.Helper()
	s.step = func(name string) {
		if name == step {
			panic(step)
		}
	}
	defer func() {
		s.step = nil
		if got := recover(); got != step {
			t.Errorf("it was not stopped at %q: %v", step, got)
		}
	}()
	if err := act(); err != nil {
		t.Error(err)
	}
}

// TestDiskFull: where nothing more can be written, nothing is kept, and nothing
// is left.
func TestDiskFull(t *testing.T) {
	s, dir := newStore(t)
	keep(t, s, withheld())
	out, err := child(t, "full", dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "file too large") {
		t.Fatalf("%v: %s", err, out)
	}
	left, err := os.ReadDir(filepath.Join(dir, "store", stagingDir))
	if err != nil || len(left) > 0 {
		t.Errorf("%d things are left, %v", len(left), err)
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("%d items, %v", len(list), err)
	}
}
