package seccomp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a profile. Docker's own has 20 KiB and 20 rules.
const (
	// MaxFile is the largest profile, in bytes.
	MaxFile = 1 << 20

	maxRules = 4096 // rules, and names in a rule
	maxErrno = 4095 // MAX_ERRNO (linux/err.h)
)

// File is a profile in the JSON of the OCI runtime specification (the object at
// linux.seccomp), or of Docker, which is the same with conditions on kernel,
// architecture and capabilities. It is resolved for one machine, and for a
// process without capabilities.
//
// Rules do not depend on their order: of those that hold for a call, the most
// restrictive counts. Names that the architecture does not have are left out, as
// runc does, and told in Notes.
type File struct {
	Name  string
	Notes []string

	list  list
	kills bool // an answer that ends who asks is among the answers
	opens bool // what is not listed passes
}

// Machine is what a profile is resolved for.
type Machine struct {
	Arch string // as in GOARCH: "amd64" or "arm64"

	// Kernel is the release, such as "6.1.0-13-cloud", of which the first two
	// numbers count.
	Kernel string
}

// fileRule is one entry of syscalls.
type fileRule struct {
	names    []string
	answer   uint32
	when     rule // nil: always
	included bool // for this machine
}

// fileReader reads one profile.
type fileReader struct {
	document
	machine machine
	arch    string
	kernel  version
	answers uint32 // defaultAction
	given   bool   // defaultAction was
	rules   []fileRule
	archs   *jsonNode
	archMap *jsonNode
	notes   []string
}

// ReadFile reads a profile. The error is a *FileError, unless the machine has no
// tables. Name is what errors and notes call the file.
func ReadFile(name string, data []byte, on Machine) (*File, error) {
	m, err := machineOf(on.Arch)
	if err != nil {
		return nil, err
	}
	if len(data) > MaxFile {
		return nil, &FileError{File: name, Problem: fmt.Sprintf("it is larger than %d bytes", MaxFile), Fix: "a profile has some ten thousand"}
	}
	r := &fileReader{document: document{file: name, data: data}, machine: m, arch: on.Arch}
	if r.kernel, err = parseVersion(on.Kernel); err != nil {
		return nil, fmt.Errorf("read seccomp profile %s: kernel release: %w", name, err)
	}
	root, err := r.parse()
	if err != nil {
		return nil, err
	}
	if err := r.profile(root); err != nil {
		return nil, err
	}
	return r.resolve(), nil
}

func (r *fileReader) profile(n *jsonNode) error {
	if n.value == nil {
		return r.fail(n, "", "expected an object, found null")
	}
	var errno *jsonNode
	err := r.object(n, map[string]func(*jsonNode) error{
		"defaultAction":    func(v *jsonNode) (err error) { r.given = true; r.answers, err = r.action(v); return err },
		"defaultErrnoRet":  func(v *jsonNode) error { errno = v; return nil },
		"architectures":    func(v *jsonNode) error { r.archs = v; return r.architectures(v) },
		"archMap":          func(v *jsonNode) error { r.archMap = v; return r.architectureMap(v) },
		"flags":            r.flags,
		"listenerPath":     r.noListener,
		"listenerMetadata": r.noListener,
		"syscalls":         func(v *jsonNode) error { return r.list(v, r.rule) },
	})
	switch {
	case err != nil:
		return err
	case !r.given:
		return r.fail(n, `for an allow-list, write "defaultAction": "SCMP_ACT_ERRNO"`, "there is no defaultAction")
	case r.archs != nil && len(r.archs.items) > 0 && r.archMap != nil && len(r.archMap.items) > 0:
		return r.fail(r.archMap, "use one of them", "architectures and archMap are both there")
	}
	r.answers, err = r.withErrno(r.answers, errno)
	return err
}

// actions are those that a process without a tracer can have.
var actions = map[string]uint32{
	"SCMP_ACT_KILL":         retKillThread,
	"SCMP_ACT_KILL_THREAD":  retKillThread,
	"SCMP_ACT_KILL_PROCESS": retKillProcess,
	"SCMP_ACT_TRAP":         retTrap,
	"SCMP_ACT_ERRNO":        retErrno | errEPERM,
	"SCMP_ACT_LOG":          retLog,
	"SCMP_ACT_ALLOW":        retAllow,
}

func (r *fileReader) action(n *jsonNode) (uint32, error) {
	name, _ := n.value.(string)
	switch name {
	case "SCMP_ACT_TRACE":
		return 0, r.fail(n, "use SCMP_ACT_ERRNO", "there is no tracer in a sandbox to ask by SCMP_ACT_TRACE")
	case "SCMP_ACT_NOTIFY":
		return 0, r.fail(n, "use SCMP_ACT_ERRNO; what is refused with EPERM is in the result", "the listener of a sandbox is Kavach's own: no SCMP_ACT_NOTIFY")
	}
	answer, ok := actions[name]
	if !ok {
		return 0, r.fail(n, unknownName(name, actions), "unknown action %s", n.what())
	}
	return answer, nil
}

func unknownName[V any](name string, known map[string]V) string {
	if name == "" {
		name = "?"
	}
	return unknownKey(name, known)
}

// withErrno puts errnoRet, where it is given, into an answer.
func (r *fileReader) withErrno(answer uint32, n *jsonNode) (uint32, error) {
	if n == nil || n.value == nil {
		return answer, nil
	}
	var errno uint64
	if err := r.number(&errno, maxErrno)(n); err != nil {
		return 0, err
	}
	if action(answer) != action(retErrno) {
		return 0, r.fail(n, "leave it out", "only SCMP_ACT_ERRNO has an errno")
	}
	return retErrno | uint32(errno), nil
}

func (r *fileReader) noListener(n *jsonNode) error {
	if s, _ := n.value.(string); n.value == nil || s == "" && n.what() == `text ""` {
		return nil
	}
	return r.fail(n, "leave it out", "the listener of a sandbox is Kavach's own")
}

// flagNames are the flags of the specification. None means anything here: the
// filter is on one thread, which forks the commands; logging is of the host's;
// SPEC_ALLOW would weaken.
var flagNames = map[string]bool{
	"SECCOMP_FILTER_FLAG_TSYNC": true, "SECCOMP_FILTER_FLAG_LOG": true, "SECCOMP_FILTER_FLAG_SPEC_ALLOW": true,
	"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": true,
}

func (r *fileReader) flags(n *jsonNode) error {
	return r.list(n, func(item *jsonNode) error {
		name, _ := item.value.(string)
		if !flagNames[name] {
			return r.fail(item, unknownName(name, flagNames), "unknown flag %s", item.what())
		}
		if name != "SECCOMP_FILTER_FLAG_TSYNC" {
			r.notes = append(r.notes, name+" is not set")
		}
		return nil
	})
}

// architectures checks the names. What they say does not matter: the rules hold
// for the machine's own, as with libseccomp, and all others are killed.
func (r *fileReader) architectures(n *jsonNode) error { return r.list(n, r.architecture) }

func (r *fileReader) architectureMap(n *jsonNode) error {
	return r.list(n, func(item *jsonNode) error {
		return r.object(item, map[string]func(*jsonNode) error{
			"architecture":     r.architecture,
			"subArchitectures": r.architectures,
		})
	})
}

func (r *fileReader) architecture(n *jsonNode) error {
	name, _ := n.value.(string)
	if !strings.HasPrefix(name, "SCMP_ARCH_") {
		return r.fail(n, "write it as SCMP_ARCH_X86_64", "unknown architecture %s", n.what())
	}
	return nil
}

// version is the first two numbers of a kernel's release.
type version struct{ major, minor int }

func parseVersion(s string) (v version, err error) {
	major, rest, ok := strings.Cut(s, ".")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	v.major, err = strconv.Atoi(major)
	if minor, minorErr := strconv.Atoi(rest[:end]); ok && err == nil && minorErr == nil && v.major >= 0 {
		v.minor = minor
		return v, nil
	}
	return v, fmt.Errorf("%q is not a version such as 4.8", s)
}

func (v version) less(than version) bool {
	return v.major < than.major || v.major == than.major && v.minor < than.minor
}

// resolve makes decisions of the rules.
func (r *fileReader) resolve() *File {
	f := &File{Name: r.file, opens: passes(r.answers), kills: endsCaller(r.answers)}
	clauses := make(map[string][]clause)
	for _, rule := range r.rules {
		if !rule.included {
			continue
		}
		f.kills = f.kills || endsCaller(rule.answer)
		for _, name := range rule.names {
			if rule.when == nil {
				clauses[name] = append(clauses[name], clause{nil, rule.answer})
			}
			for _, a := range rule.when {
				clauses[name] = append(clauses[name], clause{a, rule.answer})
			}
		}
	}
	decided := make(map[string]*ruling)
	for _, c := range r.machine.calls {
		if own, ok := clauses[c.name]; ok {
			decided[c.name] = &ruling{[]*decision{decide(own, r.answers)}}
			delete(clauses, c.name)
		}
	}
	f.list = fill(r.machine, decided, always(r.answers), retErrno|errENOSYS)
	f.Notes = r.notes
	if len(clauses) > 0 {
		var names []string
		for name := range clauses {
			names = append(names, name)
		}
		slices.Sort(names)
		f.Notes = append(f.Notes, fmt.Sprintf("%d names are no system calls of %s, and left out: %s", len(names), r.arch, strings.Join(names, " ")))
	}
	return f
}

// decide puts the most restrictive clause first, and ends with the first that
// always holds.
func decide(clauses []clause, otherwise uint32) *decision {
	slices.SortStableFunc(clauses, func(a, b clause) int { return int(action(a.answer)>>16) - int(action(b.answer)>>16) })
	d := &decision{otherwise: otherwise}
	for _, c := range clauses {
		if len(c.when) == 0 {
			d.otherwise = c.answer
			break
		}
		d.clauses = append(d.clauses, c)
	}
	d.simplify()
	return d
}

// endsCaller reports whether an answer is a signal that ends the caller.
func endsCaller(answer uint32) bool { return action(answer) < action(retErrno) }
