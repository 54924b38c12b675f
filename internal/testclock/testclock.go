// Package testclock counts the time that a test really ran. A machine or a
// process may stand still for minutes, in the middle of anything, and by the
// clock on the wall whatever was awaited then is late; by this clock it is not.
//
// What this package does not protect: it is for tests.
package testclock

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	period = 10 * time.Millisecond

	// most is what a tick counts for, however long it took.
	most = 2 * period

	// stood is how much time must be missing for an outcome to prove nothing:
	// less than the shortest time for which Kavach waits for anything.
	stood = 150 * time.Millisecond

	tries = 3
)

var ran atomic.Int64

// One goroutine for good: tests count them.
func init() { go tick() }

func tick() {
	for last := time.Now(); ; {
		time.Sleep(period)
		now := time.Now()
		ran.Add(int64(min(now.Sub(last), most)))
		last = now
	}
}

// Watch measures from its start.
type Watch struct {
	wall time.Time
	ran  int64
}

func Start() Watch { return Watch{time.Now(), ran.Load()} }

// Ran is for how long the test ran.
func (w Watch) Ran() time.Duration { return time.Duration(ran.Load() - w.ran) }

// Stood is for how long it did not, though time went on.
func (w Watch) Stood() time.Duration { return max(0, time.Since(w.wall)-w.Ran()) }

// Until waits until something holds, for no longer than patience, and reports
// whether it does.
func Until(patience time.Duration, holds func() bool) bool {
	for w := Start(); !holds(); time.Sleep(period / 10) {
		if w.Ran() > patience {
			return holds()
		}
	}
	return true
}

// Receive receives from a channel, and false where for all its patience there is
// nothing to receive. What has come counts, however late it is.
func Receive[T any](c <-chan T, patience time.Duration) (v T, came bool) {
	for w := Start(); ; {
		select {
		case v = <-c:
			return v, true
		case <-time.After(period):
		}
		if w.Ran() > patience {
			select {
			case v = <-c:
				return v, true
			default:
				return v, false
			}
		}
	}
}

// AfterFunc calls late when patience is at an end, unless it is stopped before.
func AfterFunc(patience time.Duration, late func()) (stop func()) {
	stopped := make(chan struct{})
	go func() {
		if _, was := Receive(stopped, patience); !was {
			late()
		}
	}()
	return sync.OnceFunc(func() { close(stopped) })
}

// Again does something that has a deadline of its own, and does it again where
// it fails when the machine stood still.
func Again(t testing.TB, do func() error) error {
	t.Helper()
	for try := 1; ; try++ {
		w := Start()
		err := do()
		if err == nil || try == tries || w.Stood() < stood {
			return err
		}
		t.Logf("%s: %v; the machine stood still for %v meanwhile: again", t.Name(), err, w.Stood())
	}
}

// Try runs a test whose outcome depends on deadlines, and runs it again where it
// fails when the machine stood still: that proves nothing.
func Try(t *testing.T, test func(t testing.TB)) {
	t.Helper()
	for try := 1; ; try++ {
		a := &attempt{TB: t}
		w := Start()
		a.run(test)
		switch {
		case !a.Failed():
			return
		case try == tries || w.Stood() < stood:
			t.FailNow()
		}
		t.Logf("%s: the machine stood still for %v meanwhile: again", t.Name(), w.Stood())
	}
}

// attempt is a test that may fail without t failing. It has cleanups and a
// context of its own, so that nothing of it is left for the next.
type attempt struct {
	testing.TB
	ctx context.Context

	mu       sync.Mutex // guards what follows
	failed   bool
	cleanups []func()
}

func (a *attempt) run(test func(testing.TB)) {
	var cancel context.CancelFunc
	a.ctx, cancel = context.WithCancel(a.TB.Context())
	done := make(chan struct{})
	go func() { // FailNow ends it
		defer close(done)
		defer a.clean()
		defer cancel() // before the cleanups, as in package testing
		test(a)
	}()
	<-done
}

// clean calls what is to be called at the end, the last first, also when one of
// them ends the goroutine.
func (a *attempt) clean() {
	a.mu.Lock()
	n := len(a.cleanups)
	if n == 0 {
		a.mu.Unlock()
		return
	}
	f := a.cleanups[n-1]
	a.cleanups = a.cleanups[:n-1]
	a.mu.Unlock()
	defer a.clean()
	f()
}

func (a *attempt) Context() context.Context { return a.ctx }

func (a *attempt) Cleanup(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cleanups = append(a.cleanups, f)
}

func (a *attempt) Failed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}

func (a *attempt) Fail() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = true
}

func (a *attempt) FailNow() {
	a.Fail()
	runtime.Goexit()
}

func (a *attempt) Error(args ...any) {
	a.Helper()
	a.Log(args...)
	a.Fail()
}

func (a *attempt) Errorf(format string, args ...any) {
	a.Helper()
	a.Logf(format, args...)
	a.Fail()
}

func (a *attempt) Fatal(args ...any) {
	a.Helper()
	a.Log(args...)
	a.FailNow()
}

func (a *attempt) Fatalf(format string, args ...any) {
	a.Helper()
	a.Logf(format, args...)
	a.FailNow()
}
