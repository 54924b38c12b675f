// Package policyfile reads and writes policies as files: YAML or JSON with the
// keys of the json tags in package policy, checked against nothing but the Go
// types, so that there is one list of fields.
//
// A file means what it says at first sight. So unknown and duplicate keys,
// anchors, aliases, merge keys, tags and second documents are refused, numbers
// are decimal, and text that looks like a number is quoted.
//
// What this package does not protect: the file. Whoever can write it decides
// what a sandbox may do, and a policy that is well formed can be a weak one.
package policyfile

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"os"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/kavach-dev/kavach/policy"
	"go.yaml.in/yaml/v3"
)

// MaxSize is how large a policy file may be, in bytes. Policies have kilobytes;
// the bound keeps a wrong path from filling the memory.
const MaxSize = 1 << 20

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (draft 2020-12) of a policy file.
func Schema() []byte { return bytes.Clone(schema) }

// Load reads the policy file at path, which must be a regular file. The error
// is as with Parse, or matches what os.Open returned.
func Load(path string) (policy.Policy, error) {
	data, err := read(path)
	if err != nil {
		return policy.Policy{}, err
	}
	return Parse(path, data)
}

// read looks at the file before it opens it, because opening a device can have
// effects, and again afterwards, because the name may mean another file by
// then. O_NONBLOCK keeps such a file, if it is a FIFO, from blocking the open.
func read(path string) ([]byte, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("read policy file: %w", err)
	} else if !info.Mode().IsRegular() {
		return nil, notRegular(path)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read policy file: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, fmt.Errorf("read policy file: %w", err)
	} else if !info.Mode().IsRegular() {
		return nil, notRegular(path)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read policy file: %w", err)
	}
	return data, nil
}

func notRegular(path string) *Error {
	return &Error{File: path, Problem: "not a regular file", Fix: "give the path of a YAML or JSON file"}
}

// Parse reads a policy and validates it. It is read as JSON where the first
// character is "{", and as YAML otherwise; name stands for the file in errors.
//
// The error is an *Error, or what errors.Join makes of several.
func Parse(name string, data []byte) (policy.Policy, error) {
	root, err := parseTree(data)
	if err != nil {
		err.File = name
		return policy.Policy{}, err
	}
	d := decoder{file: name, nodes: make(map[string]*yaml.Node)}
	var p policy.Policy
	if d.refuseIndirect(root, 0); len(d.errs) == 0 {
		d.decode(&p, root)
	}
	if len(d.errs) == 0 {
		d.invalid(p.Validate())
	}
	if err := d.err(); err != nil {
		return policy.Policy{}, err
	}
	return p, nil
}

// parseTree reads data into nodes with positions, of YAML and JSON alike.
func parseTree(data []byte) (*yaml.Node, *Error) {
	if len(data) > MaxSize {
		return nil, &Error{Problem: fmt.Sprintf("larger than %s", policy.Bytes(MaxSize)), Fix: "a policy has a few kilobytes; is this the right file?"}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if at := invalidUTF8(data); at >= 0 {
		line, column := position(data, at)
		return nil, &Error{Line: line, Column: column, Problem: "not valid UTF-8", Fix: "save the file as UTF-8"}
	}
	if bytes.HasPrefix(bytes.TrimLeftFunc(data, unicode.IsSpace), []byte("{")) {
		return parseJSON(data)
	}
	return parseYAML(data)
}

// invalidUTF8 is the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// position is the line and column, both from 1, of the offset in data.
func position(data []byte, offset int) (line, column int) {
	before := data[:offset]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[start:]) + 1
}
