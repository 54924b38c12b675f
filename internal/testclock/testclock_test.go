//go:build linux

package testclock

import (
	"os/exec"
	"slices"
	"testing"
	"time"
)

// standStill stops this process for a while.
func standStill(t testing.TB) {
	t.Helper()
	if err := exec.Command("sh", "-c", "kill -STOP $PPID; sleep .5; kill -CONT $PPID").Run(); err != nil {
		t.Fatal(err)
	}
}

func TestStandStill(t *testing.T) {
	w := Start()
	standStill(t)
	if w.Stood() < stood {
		t.Errorf("it stood still for %v, and is said to have for %v", time.Since(w.wall), w.Stood())
	}
}

func TestReceive(t *testing.T) {
	c := make(chan int, 1)
	if _, came := Receive(c, 0); came {
		t.Error("something came from nowhere")
	}
	c <- 7
	if v, came := Receive(c, 0); v != 7 || !came {
		t.Errorf("%d, %t", v, came)
	}
	if Until(0, func() bool { return false }) || !Until(0, func() bool { return true }) {
		t.Error("Until says what does not hold")
	}
	late := make(chan bool, 1)
	AfterFunc(0, func() { late <- true })
	<-late
}

// What fails while the machine stands still is run again, with nothing left of
// the first time.
func TestTry(t *testing.T) {
	var did []string
	Try(t, func(t testing.TB) {
		again := len(did) > 0
		defer func() { did = append(did, "defer") }()
		t.Cleanup(func() { did = append(did, "first") })
		t.Cleanup(func() {
			if t.Context().Err() == nil {
				did = append(did, "the context is alive")
			}
			if !again {
				t.Fatal("so does a cleanup")
			}
		})
		if again {
			return
		}
		standStill(t)
		t.Fatal("fails for the first time")
	})
	if want := []string{"defer", "first", "defer", "first"}; !slices.Equal(did, want) {
		t.Errorf("%q, want %q", did, want)
	}
	n := 0
	if err := Again(t, func() error {
		if n++; n > 1 {
			return nil
		}
		standStill(t)
		return exec.ErrNotFound
	}); n != 2 || err != nil {
		t.Errorf("%d times, %v", n, err)
	}
}
