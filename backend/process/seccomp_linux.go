package process

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/guest"
	"github.com/kavach-dev/kavach/internal/jail"
	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/policy"
)

// filtered reports whether a policy has any filter at all.
func filtered(s *policy.Seccomp) bool {
	return s.Profile != policy.Off || len(s.Files) > 0 || s.Mode == policy.SeccompLog
}

// named holds the filters of each named profile, for the life of the program:
// they are the same every time.
var named sync.Map // filterKey → *seccomp.Filters

type filterKey struct {
	profile string
	noSetID bool
}

// filtersOf makes the filters of a policy. Files are read here, once.
func filtersOf(s *policy.Seccomp, noSetID bool) (*seccomp.Filters, []string, error) {
	plain, key := len(s.Files) == 0 && s.Mode != policy.SeccompLog, filterKey{s.Profile, noSetID}
	if plain {
		if f, ok := named.Load(key); ok {
			return f.(*seccomp.Filters), nil, nil
		}
	}
	c := seccomp.Config{Arch: runtime.GOARCH, Profile: s.Profile, Log: s.Mode == policy.SeccompLog, NoSetID: noSetID}
	var notes []string
	for _, name := range s.Files {
		file, err := readProfile(name)
		if err != nil {
			return nil, nil, err
		}
		c.Files = append(c.Files, file)
		for _, note := range file.Notes {
			notes = append(notes, fmt.Sprintf("seccomp profile %s: %s", name, note))
		}
	}
	f, err := seccomp.New(c)
	if err == nil && plain {
		named.Store(key, f)
	}
	return f, notes, err
}

// readProfile reads a profile of the caller's. It may be a link; what it leads to
// must be a regular file, and is opened without waiting for a writer.
func readProfile(name string) (*seccomp.File, error) {
	f, err := os.OpenFile(filepath.Clean(name), os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("read seccomp profile: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read seccomp profile: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("read seccomp profile %s: it is not a regular file", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, seccomp.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read seccomp profile: %w", err)
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return nil, fmt.Errorf("uname: %w", err)
	}
	return seccomp.ReadFile(name, data, seccomp.Machine{Arch: runtime.GOARCH, Kernel: unix.ByteSliceToString(uts.Release[:])})
}

// applySeccomp tells the jail which filters to install.
func applySeccomp(cfg *jail.Config, f *seccomp.Filters) {
	cfg.Filter, cfg.CommandFilter, cfg.FilterKills = f.Guest, f.Command, f.Kills
	for _, j := range f.Judges {
		cfg.Judges = append(cfg.Judges, j.Program)
	}
	cfg.LogOnly, cfg.Guard = f.Judges != nil, f.Guard
}

// seccompProof tries, from inside, calls that no profile should let through, and
// looks from outside whether filters are there. What is refused must be refused
// in a way that the kernel itself would not.
func seccompProof(e jail.Evidence, p *policy.Policy, f *seccomp.Filters) backend.Proof {
	proof := backend.Proof{Control: policy.SeccompOn, State: backend.Missing}
	switch {
	case f.Guest == nil:
		proof.Outside = "the policy asks for no filter"
		return proof
	case p.Seccomp.Mode == policy.SeccompLog:
		proof.Outside = "the policy asks for a log: what a filter would refuse is let pass"
		return proof
	}
	proof.Outside = fmt.Sprintf("/proc/%d/status: Seccomp %s, Seccomp_filters %s", e.PID, e.Status["Seccomp"], e.Status["Seccomp_filters"])
	var refused, passed []string
	for call, attempt := range guest.RefusedCalls() {
		got := e.Report[attempt]
		words := call + ": " + answer(got)
		if got == unix.EPERM || got == unix.ENOSYS || got == unix.EACCES || got == guest.Killed {
			refused = append(refused, words)
		} else {
			passed = append(passed, words+", the kernel's own answer")
		}
	}
	slices.Sort(refused)
	slices.Sort(passed)
	proof.Inside = strings.Join(slices.Concat(refused, passed), "; ")
	switch {
	case e.Status["Seccomp"] != "2" || len(refused) == 0:
	case len(passed) > 0:
		proof.State = backend.Partial
	case !f.AllowList:
		proof.State = backend.Partial
		proof.Outside += "; the profile lets pass what it does not list"
	default:
		proof.State = backend.Enforced
	}
	return proof
}

// denials tells of refused calls by their names.
func denials(calls map[int64]guest.DeniedCall, f *seccomp.Filters) []backend.Denial {
	var out []backend.Denial
	for nr, call := range calls {
		name := seccomp.Name(runtime.GOARCH, int(nr))
		out = append(out, backend.Denial{Kind: "syscall", Target: name, Rule: f.RefusedBy(name), Count: int(call.Count)})
	}
	slices.SortFunc(out, func(a, b backend.Denial) int { return strings.Compare(a.Target, b.Target) })
	return out
}

// needs tells of calls that were let pass and logged. It is not nil: nothing was
// needed, which is something else than that nobody looked.
func needs(calls map[int64]guest.DeniedCall, judges []seccomp.Judge) []backend.Need {
	out := []backend.Need{}
	for nr, call := range calls {
		n := backend.Need{Call: seccomp.Name(runtime.GOARCH, int(nr)), Count: int(call.Count), RefusedBy: []string{}}
		for i, j := range judges {
			if call.Refused>>i&1 != 0 {
				n.RefusedBy = append(n.RefusedBy, j.Name)
			}
			if call.Absent>>i&1 != 0 {
				n.AbsentFrom = append(n.AbsentFrom, j.Name)
			}
		}
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b backend.Need) int { return strings.Compare(a.Call, b.Call) })
	return out
}
