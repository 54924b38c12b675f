package canary_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/canary"
)

// role is what a process of a sandbox is.
type role string

// The roles, with why a process may have a secret that a command was given, or not.
const (
	roleGuest   role = "guest: it hands a secret on, and forgets it"
	roleRuntime role = "runtime: it makes the place, and gives nothing"
	roleGofer   role = "gofer: it opens files for the sentry, which reads them itself"

	mayCommand role = "command: it was given the secret"
	maySentry  role = "sentry: it is the kernel of the command, which has the command's memory, and its pipes"
	mayStub    role = "stub: it is the processor of the command"
	mayWorker  role = "worker: the module runs in it"
)

// may says whether who has this role may have a secret.
func (r role) may() bool {
	return slices.Contains([]role{mayCommand, maySentry, mayStub, mayWorker}, r)
}

// rolesOf says what each of the processes below a player is.
func rolesOf(below []canary.Process) map[int]role {
	roles := make(map[int]role)
	parents := make(map[int]int)
	for _, p := range below {
		parents[p.PID] = p.Parent
	}
	under := func(pid int, r role) bool {
		for ; pid != 0; pid = parents[pid] {
			if roles[pid] == r {
				return true
			}
		}
		return false
	}
	for _, p := range below { // parents before children
		switch name := p.Name(); {
		case guest.Called(p.Args):
			roles[p.PID] = roleGuest
		case name == "runsc-gofer":
			roles[p.PID] = roleGofer
		case name == "runsc-sandbox":
			roles[p.PID] = maySentry
		case under(p.Parent, maySentry):
			roles[p.PID] = mayStub
		case strings.HasPrefix(p.Name(), "runc") || strings.HasPrefix(p.Name(), "crun"):
			roles[p.PID] = roleRuntime
		case name == "worker":
			roles[p.PID] = mayWorker
		default:
			roles[p.PID] = mayCommand
		}
	}
	return roles
}

// noCore looks whether the kernel would write the memory of a guest into a core.
func noCore(t testing.TB, p canary.Process) {
	t.Helper()
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.PID))
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(limits)) {
		if rest, found := strings.CutPrefix(line, "Max core file size"); found && !slices.Equal(strings.Fields(rest), []string{"1", "1", "bytes"}) {
			t.Errorf("%v: RLIMIT_CORE is %q, and is to be 1: too little for any core, and no pipe is fed (core(5))", p, strings.TrimSpace(rest))
		}
	}
}
