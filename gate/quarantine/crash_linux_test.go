package quarantine

import (
	"bufio"
	"bytes"
	"fmt"
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

// TestSteps stops an act after each of its steps, as if the machine had died, and
// looks at what is there.
func TestSteps(t *testing.T) {
	tests := []struct {
		step string
		want State
		why  string
	}{
		{"prepared", Held, "nothing is recorded"},
		{"noted", Held, "the journal knows what was meant, and it did not happen"},
		{"recorded", Approved, "it is approved, and Reveal has the content"},
	}
	for _, tt := range tests {
		s, dir := newStore(t)
		id := keep(t, s, withheld())
		ids := keys(t, s)
		file := filepath.Join(dir, "out")
		s.step = func(name string) {
			if name == tt.step {
				panic(tt.why)
			}
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("there is no step %q", tt.step)
				}
			}()
			_, err := s.Approve(t.Context(), id, ann, ids, Release{Part: "stdout", File: file})
			t.Error(fmt.Errorf("approved: %w", err))
		}()
		s.step = nil
		rec, err := s.Get(t.Context(), id)
		if err != nil || rec.State != tt.want {
			t.Errorf("%s: %s, %v", tt.why, rec.State, err)
		}
		if _, err := os.Lstat(file); err == nil {
			t.Errorf("%s: and yet it was released", tt.why)
		}
		if text, err := reveal(s, id, "stdout"); err != nil || text != output {
			t.Errorf("%s: %q, %v", tt.why, text, err)
		}
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
