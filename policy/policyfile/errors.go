package policyfile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kavach-dev/kavach/policy"
	"go.yaml.in/yaml/v3"
)

// maxErrors is how many problems of one file are told. More help nobody, and a
// file of the maximal size can have half a million.
const maxErrors = 20

// maxQuoted is how many bytes of a bad value an error repeats.
const maxQuoted = 80

// Error is one thing that is wrong with a policy file.
type Error struct {
	// File is the name that was given to Parse or Load.
	File string

	// Line and Column count from 1, in characters. Zero: not known, or the file
	// as a whole.
	Line, Column int

	// Field is the key, from the top: "filesystem.mounts[1].source". Empty
	// where it is not about one key.
	Field string

	// Problem is what is wrong, and Fix what to do; Fix may be empty.
	Problem, Fix string
}

// Error is "file:line:column: field: problem; fix", on one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	for _, n := range []int{e.Line, e.Column} {
		if n > 0 {
			fmt.Fprintf(&b, ":%d", n)
		}
	}
	b.WriteString(": ")
	if e.Field != "" {
		b.WriteString(e.Field + ": ")
	}
	b.WriteString(e.Problem)
	if e.Fix != "" {
		b.WriteString("; " + e.Fix)
	}
	return b.String()
}

// add notes a problem with the node n.
func (d *decoder) add(n *yaml.Node, field, problem, fix string) {
	if len(d.errs) < maxErrors {
		d.errs = append(d.errs, &Error{
			File: d.file, Line: n.Line, Column: n.Column,
			Field: field, Problem: problem, Fix: fix,
		})
	}
}

// invalid notes what Validate found, at the node of each field, or of what
// should have held it.
func (d *decoder) invalid(err error) {
	if err == nil {
		return
	}
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		var found *policy.FieldError
		if errors.As(err, &found) {
			d.add(d.nearestNode(found.Field), found.Field, found.Problem, found.Fix)
		}
	}
}

func (d *decoder) nearestNode(field string) *yaml.Node {
	for {
		if n, ok := d.nodes[field]; ok {
			return n
		}
		field = field[:max(0, strings.LastIndexAny(field, ".["))]
	}
}

// err is all problems, in the order of the file.
func (d *decoder) err() error {
	slices.SortStableFunc(d.errs, func(a, b *Error) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column)
	})
	if len(d.errs) == 1 {
		return d.errs[0]
	}
	var errs []error
	for _, err := range d.errs {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// describe says what a node is, for "expected …, found …".
func describe(n *yaml.Node) string {
	switch kind := kindOf(n); kind {
	case "a number", "a boolean":
		return "the" + strings.TrimPrefix(kind, "a") + " " + shorten(n.Value)
	case "text":
		return "text " + quote(n.Value)
	default:
		return kind
	}
}

// kindOf is describe without what the node says.
func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	case n.Tag == "!!int" || n.Tag == "!!float":
		return "a number"
	case n.Tag == "!!bool":
		return "a boolean"
	default:
		return "text"
	}
}

// mayHoldValue reports whether somebody may have written the value of a secret into
// a field, though none belongs into a policy. Of what stands there no error repeats
// anything: errors are shown and logged.
func mayHoldValue(field string) bool {
	return field == credentialsField || strings.HasPrefix(field, credentialsField+"[")
}

const credentialsField = "credentials"

// maxWord is how long a key is at most that an error about a credential repeats.
const maxWord = 16

// isWord reports whether s is what people call a key, and no secret is.
func isWord(s string) bool {
	return len(s) <= maxWord && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

func quote(s string) string { return strconv.Quote(shorten(s)) }

func shorten(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
}
