package seccomp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kavach-dev/kavach/policy"
)

// FileError says what is wrong with a profile, and where.
type FileError struct {
	File         string
	Line, Column int // from 1; 0: the file as a whole
	Problem      string
	Fix          string // empty: nothing is known
}

// Error is "file:line:column: problem; fix", on one line.
func (e *FileError) Error() string {
	s := e.File + ": " + e.Problem
	if e.Line > 0 {
		s = fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Problem)
	}
	if e.Fix != "" {
		s += "; " + e.Fix
	}
	return s
}

// maxNesting is more than a profile has: object, syscalls, rule, args, condition.
const maxNesting = 8

// jsonNode is a value of JSON and where it stands. Other than with Unmarshal, a key
// that is there twice, or in other letters, does not go unseen: what it said
// might have been a restriction.
type jsonNode struct {
	offset int
	value  any // string, json.Number, bool, nil; or '{', '[' as json.Delim
	keys   []*jsonNode
	items  []*jsonNode
}

// document is a file that is being read.
type document struct {
	file string
	data []byte
	dec  *json.Decoder
}

func (d *document) fail(n *jsonNode, fix, problem string, args ...any) error {
	e := &FileError{File: d.file, Problem: fmt.Sprintf(problem, args...), Fix: fix}
	before := d.data[:min(n.offset, len(d.data))]
	e.Line = bytes.Count(before, []byte("\n")) + 1
	e.Column = len([]rune(string(before[bytes.LastIndexByte(before, '\n')+1:]))) + 1
	return e
}

// parse reads the one value that a file is.
func (d *document) parse() (*jsonNode, error) {
	// Unmarshal sees the whole, and refuses what a decoder of tokens would let
	// pass.
	var raw json.RawMessage
	if err := json.Unmarshal(d.data, &raw); err != nil {
		at := &jsonNode{}
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			at.offset = max(0, int(syntax.Offset)-1)
		}
		return nil, d.fail(at, "give a seccomp profile in the JSON of OCI or Docker", "not valid JSON: %v", err)
	}
	d.dec = json.NewDecoder(bytes.NewReader(d.data))
	d.dec.UseNumber()
	return d.value(0)
}

func (d *document) value(depth int) (*jsonNode, error) {
	n := &jsonNode{offset: int(d.dec.InputOffset())}
	for n.offset < len(d.data) && strings.IndexByte(" \t\r\n,:", d.data[n.offset]) >= 0 {
		n.offset++
	}
	if depth > maxNesting {
		return nil, d.fail(n, "", "nested deeper than %d levels", maxNesting)
	}
	token, err := d.dec.Token()
	if err != nil {
		return nil, d.fail(n, "", "not valid JSON: %v", err)
	}
	n.value = token
	open, nested := token.(json.Delim)
	if !nested {
		return n, nil
	}
	seen := make(map[string]bool)
	for d.dec.More() {
		child, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if open == '[' || len(n.keys) > len(n.items) {
			n.items = append(n.items, child)
			continue
		}
		n.keys = append(n.keys, child)
		key, _ := child.value.(string)
		if seen[key] {
			return nil, d.fail(child, "remove one", "%q is there twice", key)
		}
		seen[key] = true
	}
	_, err = d.dec.Token()
	return n, err
}

func (n *jsonNode) what() string {
	switch v := n.value.(type) {
	case json.Delim:
		if v == '{' {
			return "an object"
		}
		return "a list"
	case string:
		return fmt.Sprintf("text %q", v)
	case json.Number:
		return "the number " + v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return "null"
}

// object calls what is there for each key. Null is an object without any.
func (d *document) object(n *jsonNode, fields map[string]func(*jsonNode) error) error {
	if n.value == nil {
		return nil
	}
	if n.value != json.Delim('{') {
		return d.fail(n, "", "expected an object, found %s", n.what())
	}
	for i, key := range n.keys {
		name, _ := key.value.(string)
		read, known := fields[name]
		if !known {
			return d.fail(key, unknownKey(name, fields), "unknown key %q", name)
		}
		if err := read(n.items[i]); err != nil {
			return err
		}
	}
	return nil
}

func unknownKey[V any](name string, fields map[string]V) string {
	if name == "linux" || name == "ociVersion" {
		return "this is the configuration of a container; take out what is at linux.seccomp"
	}
	var known []string
	for k := range fields {
		known = append(known, k)
	}
	slices.Sort(known)
	if near := policy.Nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "the keys here are " + strings.Join(known, ", ")
}

// list calls one for each item. Null is a list without any.
func (d *document) list(n *jsonNode, one func(*jsonNode) error) error {
	if n.value == nil {
		return nil
	}
	if n.value != json.Delim('[') {
		return d.fail(n, "", "expected a list, found %s", n.what())
	}
	for _, item := range n.items {
		if err := one(item); err != nil {
			return err
		}
	}
	return nil
}

func (d *document) text(to *string) func(*jsonNode) error {
	return func(n *jsonNode) error {
		s, ok := n.value.(string)
		if !ok && n.value != nil {
			return d.fail(n, "", "expected text, found %s", n.what())
		}
		*to = s
		return nil
	}
}

func (d *document) texts(to *[]string) func(*jsonNode) error {
	return func(n *jsonNode) error {
		return d.list(n, func(item *jsonNode) error {
			s, ok := item.value.(string)
			if !ok {
				return d.fail(item, "", "expected text, found %s", item.what())
			}
			*to = append(*to, s)
			return nil
		})
	}
}

// number reads a whole number from 0 to most.
func (d *document) number(to *uint64, most uint64) func(*jsonNode) error {
	return func(n *jsonNode) error {
		text, ok := n.value.(json.Number)
		v, err := strconv.ParseUint(text.String(), 10, 64)
		if !ok || err != nil || v > most {
			return d.fail(n, "", "expected a whole number from 0 to %d, found %s", most, n.what())
		}
		*to = v
		return nil
	}
}
