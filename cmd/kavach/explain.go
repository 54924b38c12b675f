package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/kavach-dev/kavach"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/credential"
	"github.com/kavach-dev/kavach/image"
	"github.com/kavach-dev/kavach/internal/seccomp"
	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/policy/policyfile"
)

// usageError says that kavach was called wrongly.
type usageError struct {
	what string
	fix  string // empty: see --help
}

func (e *usageError) Error() string {
	if e.fix == "" {
		return e.what
	}
	return e.what + "; " + e.fix
}

func usagef(fix, format string, args ...any) error {
	return &usageError{what: fmt.Sprintf(format, args...), fix: fix}
}

// problem is an error in two parts: what went wrong, and what to do about it.
type problem struct{ what, fix string }

// explain takes an error apart into the problems that it is made of.
func explain(err error) []problem {
	switch e := err.(type) { //nolint:errorlint // goes down level by level
	case interface{ Unwrap() []error }:
		var all []problem
		for _, inner := range e.Unwrap() {
			if inner != nil {
				all = append(all, explain(inner)...)
			}
		}
		return all
	case *kavach.ScoreError:
		return []problem{explainScore(e)}
	}
	if inner := errors.Unwrap(err); inner != nil {
		if several, ok := inner.(interface{ Unwrap() []error }); ok {
			return explain(several.(error))
		}
	}
	fix := fixOf(err)
	return []problem{{what: strings.TrimSuffix(err.Error(), "; "+fix), fix: fix}}
}

// fixOf is what to do about err, as its type knows it.
func fixOf(err error) string {
	var (
		usage       *usageError
		unavailable *backend.UnavailableError
		unsupported *backend.UnsupportedError
		refused     *backend.ExecError
		leftover    *leftoverError
		field       *policy.FieldError
		file        *policyfile.Error
		profile     *seccomp.FileError
		reference   *image.ReferenceError
		fetch       *image.FetchError
		secret      *credential.Error
	)
	switch {
	case errors.As(err, &leftover):
		return leftoverFix
	case errors.As(err, &usage):
		return usage.fix
	case errors.As(err, &unavailable):
		return unavailable.Fix
	case errors.As(err, &unsupported):
		return unsupported.Fix
	case errors.As(err, &refused):
		return refused.Hint
	case errors.As(err, &field):
		return field.Fix
	case errors.As(err, &file):
		return file.Fix
	case errors.As(err, &profile):
		return profile.Fix
	case errors.As(err, &reference):
		return "write it as " + reference.Form
	case errors.As(err, &fetch):
		return fetch.Fix
	case errors.As(err, &secret):
		return secret.Fix
	}
	return ""
}

func explainScore(e *kavach.ScoreError) problem {
	var lost []string
	for _, line := range e.Score.Controls {
		if line.Points < line.Of {
			lost = append(lost, fmt.Sprintf("%s (%s, %d of %d)", line.Name, line.State, line.Points, line.Of))
		}
	}
	p := problem{
		what: fmt.Sprintf("backend %s proved a score of %d, and %d is required", e.Backend, e.Score.Value, e.Min),
		fix:  "lower --min-score (or require.min_score), ask the policy for more controls, or choose a stronger backend",
	}
	if len(lost) > 0 {
		p.what += ": " + strings.Join(lost, ", ")
	}
	return p
}

// complain prints an error for people: a line for what went wrong, a line for
// what to do.
func complain(w io.Writer, err error) {
	for _, p := range explain(err) {
		fmt.Fprintf(w, "kavach: %s\n", printable(p.what))
		if p.fix != "" {
			fmt.Fprintf(w, "        %s\n", printable(p.fix))
		}
	}
}

// printable is s without what would steer a terminal: parts of errors and of
// denials were written by code that nobody trusts.
func printable(s string) string {
	clean := func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
	if strings.IndexFunc(s, clean) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if clean(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
