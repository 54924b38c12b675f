package seccomp

import (
	"fmt"
	"slices"
	"strings"
)

// Config says what filters are wanted.
type Config struct {
	// Arch is the architecture of the guest, as in GOARCH: "amd64" or "arm64".
	// There is no default.
	Arch string

	// Profile is "default", "strict", "" (strict), or "off": Files decide alone.
	Profile string

	// Files hold beside Profile. At most maxFiles.
	Files []*File

	// Log lets pass, and reports, what would be refused.
	Log bool

	// NoSetID refuses to make files setuid or setgid, and openat2 altogether
	// (ENOSYS), whose mode is behind a pointer. It is for sandboxes that write
	// to the host's own files, which outside are not nosuid. Zero: no.
	NoSetID bool

	// Unheard refuses with EPERM what the listener would be told of: it is for a
	// kernel without user notification, as gVisor's. It excludes Log.
	Unheard bool

	// Worker lets what is run put one more filter on itself (see Worker), which the
	// strict profile refuses to everybody else. Zero: as the profile says.
	Worker bool
}

// maxFiles leaves each judge a bit.
const maxFiles = 16

// Filters are the programs for one sandbox, as [Marshal] writes them.
type Filters struct {
	// Guest is for every thread of the guest. Nil: none.
	Guest []byte

	// Command is for commands alone, beside Guest. Nil: Guest is theirs, and asks
	// the listener. Where it is there, it is the one that asks, and Guest answers
	// SECCOMP_RET_TRACE, which for the guest, that nobody traces, is ENOSYS, and
	// which any answer of Command but LOG and ALLOW precedes.
	Command []byte

	// Guard says, where Log is set, what the listener must refuse even so, and
	// Judges what each profile would have answered.
	Guard  []byte
	Judges []Judge

	// Kills says that a call may end the process that makes it.
	Kills bool

	// AllowList says that what is not listed is refused.
	AllowList bool

	machine machine
	sources []source
	any     bool // there is a filter
	named   bool // of a named profile, and it is enforced
}

// Judge is a profile that a call can be held against.
type Judge struct {
	Name    string // "strict", "default", or of a file
	Program []byte
}

// source is one of the lists that a filter is made of.
type source struct {
	rule string // as a denial names it
	list list
}

// off is policy.Off.
const off = "off"

// New makes the filters for a sandbox. With "off", no files and no log there
// are none: the zero Filters.
func New(c Config) (*Filters, error) {
	m, err := machineOf(c.Arch)
	if err != nil {
		return nil, err
	}
	if len(c.Files) > maxFiles {
		return nil, fmt.Errorf("compile seccomp filter: %d files, and at most %d can be held side by side", len(c.Files), maxFiles)
	}
	if c.Log && c.Unheard {
		return nil, fmt.Errorf("compile seccomp filter: without a listener there is nobody to log")
	}
	f := &Filters{machine: m}
	if c.Profile == off && len(c.Files) == 0 && !c.Log {
		return f, nil
	}
	if err := f.gather(c); err != nil {
		return nil, err
	}
	f.any, f.named = true, c.Profile != off && !c.Log
	if c.Log {
		return f, f.logging(c)
	}
	return f, f.enforcing(c)
}

// gather finds the lists of a policy: its profile, or what must hold without
// one, and its files.
func (f *Filters) gather(c Config) error {
	if c.Profile == off {
		f.sources = []source{{"seccomp.guard", guardList(f.machine, retErrno|errENOSYS)}}
	} else {
		l, err := named(c.Profile, f.machine)
		if err != nil {
			return err
		}
		if c.Worker {
			l = letFilter(l, f.machine, allowIf(seccompNoListener))
		}
		name := c.Profile
		if name == "" {
			name = profileStrict
		}
		f.sources, f.AllowList = []source{{"seccomp." + name, l}}, true
	}
	if c.NoSetID {
		f.sources = append(f.sources, source{"seccomp.setid", restrictions(f.machine, noSetID[:], retAllow)})
	}
	for _, file := range c.Files {
		f.sources = append(f.sources, source{"seccomp " + file.Name, file.list})
		f.AllowList = f.AllowList || !file.opens
		f.Kills = f.Kills || file.kills
	}
	return nil
}

func (f *Filters) combined() list {
	var lists []list
	for _, s := range f.sources {
		lists = append(lists, s.list)
	}
	return combine(lists...)
}

// enforcing makes the filters of a policy that is enforced.
func (f *Filters) enforcing(c Config) (err error) {
	told := notify
	if c.Unheard {
		told = nil
	}
	if len(c.Files) == 0 {
		f.Guest, err = f.program(f.combined(), told)
		return err
	}
	if err := f.mustStart(c.Files); err != nil {
		return err
	}
	if f.Guest, err = f.program(f.mayInstall(f.sources[0].list), traceEPERM); err != nil {
		return err
	}
	f.Command, err = f.program(f.combined(), told)
	return err
}

func (f *Filters) program(l list, to func(uint32) uint32) ([]byte, error) {
	p, err := compile(l, f.machine, to)
	if err != nil {
		return nil, err
	}
	return Marshal(p), nil
}

func traceEPERM(answer uint32) uint32 {
	if answer == retErrno|errEPERM {
		return retTrace
	}
	return answer
}

// mayInstall lets the guest install one more filter. Commands have that one, and
// what it says of seccomp(2).
func (f *Filters) mayInstall(l list) list { return letFilter(l, f.machine, always(retAllow)) }

// letFilter is l with another ruling on seccomp(2).
func letFilter(l list, m machine, r *ruling) list {
	l.calls = slices.Clone(l.calls)
	for i, c := range m.calls {
		if c.name == "seccomp" {
			l.calls[i] = r
		}
	}
	return l
}

// logging makes the filters of a policy that only logs: whatever strict, default
// or a file would not let pass is told to the listener, which lets it pass, but
// for what the guard refuses.
func (f *Filters) logging(c Config) (err error) {
	judged := []source{{profileStrict, listOf(inStrict, f.machine)}, {profileDefault, listOf(inDefault, f.machine)}}
	for _, file := range c.Files {
		judged = append(judged, source{file.Name, file.list})
	}
	guard := guardList(f.machine, retAllow)
	told := guard
	for _, j := range judged {
		p, err := f.program(j.list, nil)
		if err != nil {
			return err
		}
		f.Judges = append(f.Judges, Judge{j.rule, p})
		told = combine(told, j.list)
	}
	f.AllowList, f.Kills, f.sources = false, false, nil
	if f.Guest, err = f.program(f.mayInstall(guard), traceEPERM); err != nil {
		return err
	}
	if f.Guard, err = f.program(guard, nil); err != nil {
		return err
	}
	told = told.translate(func(answer uint32) uint32 {
		if passes(answer) {
			return retAllow
		}
		return retUserNotif
	})
	if c.NoSetID { // not for the listener, which knows no ENOSYS
		told = combine(told, restrictions(f.machine, noSetID[:], retAllow))
	}
	f.Command, err = f.program(told, nil)
	return err
}

// RefusedBy names what refuses a call with EPERM, whatever its arguments or for
// some: "seccomp.strict", "seccomp /etc/profile.json".
func (f *Filters) RefusedBy(call string) string {
	i := slices.IndexFunc(f.machine.calls, func(c syscall) bool { return c.name == call })
	var by []string
	for _, s := range f.sources {
		if i >= 0 && s.list.calls[i].gives(retErrno|errEPERM) {
			by = append(by, s.rule)
		}
	}
	return strings.Join(by, ", ")
}

func (r *ruling) gives(answer uint32) bool {
	return slices.ContainsFunc(r.parts, func(d *decision) bool {
		return d.otherwise == answer || slices.ContainsFunc(d.clauses, func(c clause) bool { return c.answer == answer })
	})
}
