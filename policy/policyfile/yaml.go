package policyfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth is how deep mappings and lists may be nested. A policy needs 4.
const maxDepth = 16

// parseYAML reads the one document of data.
func parseYAML(data []byte) (*yaml.Node, *Error) {
	if err := refuseControls(data); err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	doc, err := nextDocument(dec)
	switch {
	case errors.Is(err, io.EOF):
		return nil, errEmpty()
	case err != nil:
		return nil, syntaxError(err)
	}
	root := doc.Content[0]
	if root.Tag == "!!null" {
		return nil, errEmpty()
	}
	switch second, err := nextDocument(dec); {
	case errors.Is(err, io.EOF):
		return root, nil
	case err != nil:
		return nil, syntaxError(err)
	default:
		return nil, &Error{Line: second.Line, Column: second.Column, Problem: "more than one YAML document", Fix: "give each policy a file of its own"}
	}
}

func errEmpty() *Error {
	return &Error{Problem: "holds no policy", Fix: "write {} for the policy that denies everything"}
}

// nextDocument turns a panic into an error: the library has had panics on
// hostile input before, and a policy file must not end the program.
func nextDocument(dec *yaml.Decoder) (doc *yaml.Node, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("yaml: %v", v)
		}
	}()
	doc = new(yaml.Node)
	return doc, dec.Decode(doc)
}

// yamlLine takes apart the errors of the library, which has the position in
// the text only. It leaves the line out on the first line.
var yamlLine = lazily(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

func syntaxError(err error) *Error {
	e := &Error{Line: 1, Problem: "not valid YAML"}
	if m := yamlLine().FindStringSubmatch(err.Error()); m != nil {
		e.Problem += ": " + shorten(m[2])
		if strings.HasPrefix(m[2], "unknown anchor") { // which may be a password
			e.Problem, e.Fix = "not valid YAML: an alias of an anchor that is not there", `as text, what begins with "*" needs quotes`
		}
		if n, err := strconv.Atoi(m[1]); err == nil {
			e.Line = n
		}
	}
	return e
}

// refuseControls finds the characters that YAML does not allow (spec 1.2.2,
// section 5.1), which the library refuses without a position.
func refuseControls(data []byte) *Error {
	at := bytes.IndexFunc(data, func(r rune) bool {
		switch r {
		case '\t', '\n', '\r', '\u0085':
			return false
		}
		return r < ' ' || (r >= 0x7f && r < 0xa0) || r == 0xfffe || r == 0xffff
	})
	if at < 0 {
		return nil
	}
	line, column := position(data, at)
	r := bytes.Runes(data[at:min(len(data), at+4)])[0]
	return &Error{Line: line, Column: column, Problem: fmt.Sprintf("not valid YAML: control character %U", r), Fix: `write it as an escape in "quotes"`}
}

// refuseIndirect refuses what makes a file mean something else than it seems
// to, or far more of it: anchors, aliases, merge keys, tags, deep nesting.
func (d *decoder) refuseIndirect(n *yaml.Node, depth int) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.add(n, "", "anchors and aliases are not allowed", "write the value out in each place")
		return
	case n.Tag == "!!merge":
		d.add(n, "", "merge keys are not allowed", `write the keys out; as text, "<<" needs quotes`)
		return
	case n.Style&yaml.TaggedStyle != 0:
		d.add(n, "", "tags are not allowed", `remove it; as text, what begins with "!" needs quotes`)
		return
	case depth > maxDepth:
		d.add(n, "", fmt.Sprintf("nested deeper than %d levels", maxDepth), "a policy needs 4")
		return
	}
	for _, child := range n.Content {
		d.refuseIndirect(child, depth+1)
	}
}
