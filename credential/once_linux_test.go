package credential

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
)

// inherited is a pipe, and a set whose one secret comes from what it is read by.
func inherited(t *testing.T) (set *Set, number string, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	number = dup(t, r)
	r.Close()
	t.Cleanup(func() {
		w.Close()
		if fd, err := strconv.Atoi(number); err == nil {
			syscall.Close(fd)
		}
	})
	return openFrom(t, number), number, w
}

func openFrom(t *testing.T, number string) *Set {
	t.Helper()
	c := policy.Credential{Name: "pipe", Source: "fd:" + number, As: "env:PIPE"}
	fd, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	set, err := Open(Options{Policy: &policy.Policy{Credentials: []policy.Credential{c}}, Inherited: []int{fd}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// given is what a command is given that ctx has time for.
func given(ctx context.Context, set *Set) (string, error) {
	cmd := new(backend.Cmd)
	lease, err := set.Attach(ctx, Command{Cmd: cmd})
	if err != nil {
		return "", err
	}
	value := string(cmd.Secrets[0].Value()) // which is zeroed then
	return value, lease.Revoke()
}

// Who does not wait takes no part of the value with it.
func TestOnceCancelled(t *testing.T) {
	set, _, w := inherited(t)
	defer set.Close()
	if _, err := w.WriteString("first half, "); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := given(ctx, set); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := w.WriteString("second half"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if got, err := given(t.Context(), set); got != "first half, second half" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// A set that is closed does not wait for what has no end, nor do those who did.
func TestOnceClosed(t *testing.T) {
	set, _, _ := inherited(t)
	failed := make(chan error)
	go func() {
		_, err := given(t.Context(), set)
		failed <- err
	}()
	for begun := false; !begun; { // it waits by then, or is about to
		set.reading.Lock()
		begun = len(set.read) > 0
		set.reading.Unlock()
	}
	set.Close()
	set.Close()
	if err := <-failed; !errors.Is(err, backend.ErrDestroyed) {
		t.Errorf("%v", err)
	}
}

// The number of a descriptor that was read leads to nothing else, for another set that
// names it as well.
func TestOnceOfTwoSets(t *testing.T) {
	first, number, w := inherited(t)
	defer first.Close()
	second := openFrom(t, number)
	defer second.Close()
	if _, err := w.WriteString("of the first"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if got, err := given(t.Context(), first); got != "of the first" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for range 8 { // which have the lowest numbers that are free
		r, other, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := other.WriteString("of somebody else"); err != nil {
			t.Fatal(err)
		}
		other.Close()
	}
	if got, err := given(t.Context(), second); err == nil || !strings.Contains(err.Error(), "was read already") {
		t.Errorf("the second has %q, %v", got, err)
	}
}
