package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// FieldError is one thing that is wrong with one field of a policy.
type FieldError struct {
	// Field is where, in the words of a policy file, with list items counted
	// from 0: `filesystem.mounts[1].source`, `process.env["HOME"]`. Empty where
	// a value was read on its own.
	Field string

	// Problem is what is wrong; it repeats the value, but where that may be a secret.
	Problem string

	// Fix is what to do. Empty where nothing is known.
	Fix string
}

// Error is "field: problem; fix", on one line.
func (e *FieldError) Error() string {
	s := e.Problem
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Fix != "" {
		s += "; " + e.Fix
	}
	return s
}

// Validate says everything that is wrong with p: nil, or what errors.Join makes
// of one *FieldError a problem, in the order of the fields.
//
// It looks at p only. Whether a path exists or a control can be enforced shows
// when a sandbox is made.
func (p *Policy) Validate() error {
	var found problems
	found.filesystem(&p.Filesystem)
	found.seccomp(&p.Seccomp)
	found.resources(&p.Resources)
	found.process(&p.Process, p.Filesystem.Image != "")
	found.wasm(&p.Wasm)
	found.gate(&p.Gate)
	found.credentials(p.Credentials, p.Filesystem.Mounts, func(int) bool { return false })
	found.require(&p.Require)
	checkNames(&found, "best_effort", p.BestEffort, BestEffortNames())
	return errors.Join(found...)
}

func (ps *problems) seccomp(s *Seccomp) {
	ps.oneOf("seccomp.profile", s.Profile, SeccompStrict, SeccompDefault, Off)
	first := make(map[string]bool)
	for i, file := range s.Files {
		at := fmt.Sprintf("seccomp.files[%d]", i)
		if ps.path(at, file) && first[file] {
			ps.add(at, quote(file)+" is there twice", "remove one")
		}
		first[file] = true
	}
	ps.oneOf("seccomp.mode", s.Mode, SeccompEnforce, SeccompLog)
}

// problems collects what is wrong.
type problems []error

func (ps *problems) add(field, problem, fix string) {
	*ps = append(*ps, &FieldError{Field: field, Problem: problem, Fix: fix})
}

// oneOf checks a value that may be empty or one of allowed.
func (ps *problems) oneOf(field, value string, allowed ...string) {
	if value == "" || slices.Contains(allowed, value) {
		return
	}
	fix := didYouMean(value, allowed)
	if fix == "" {
		fix = "use " + strings.Join(allowed, ", ")
	}
	ps.add(field, "unknown value "+quote(value), fix)
}
