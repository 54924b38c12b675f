package policyfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// jsonReader makes YAML nodes of JSON. A YAML parser would read most of JSON,
// but takes a surrogate pair ("\ud83d\ude00") for two broken characters.
type jsonReader struct {
	data []byte
	dec  *json.Decoder

	// line and column are the position of offset, and move forward with it, so
	// that all positions together cost one pass over data.
	offset, line, column int
}

func parseJSON(data []byte) (*yaml.Node, *Error) {
	// Unmarshal sees the whole of data, so that it refuses what follows the
	// object and what a decoder of tokens would let pass.
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, jsonError(data, err)
	}
	r := jsonReader{data: data, dec: json.NewDecoder(bytes.NewReader(data)), line: 1, column: 1}
	r.dec.UseNumber()
	return r.value(0)
}

func jsonError(data []byte, err error) *Error {
	e := &Error{Problem: fmt.Sprintf("not valid JSON: %v", err)}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		// Offset counts the bytes up to and with the one that is wrong.
		e.Line, e.Column = position(data, max(0, int(syntax.Offset)-1))
	}
	return e
}

// value reads the value at depth, whose syntax is known to be right.
func (r *jsonReader) value(depth int) (*yaml.Node, *Error) {
	r.advance()
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.line, Column: r.column}
	token, err := r.dec.Token()
	if err != nil {
		return nil, jsonError(r.data, err)
	}
	switch token := token.(type) {
	case json.Delim:
		return n, r.children(n, token, depth)
	case string:
		n.Tag, n.Value = "!!str", token
		if r.loneSurrogate() {
			return nil, &Error{Line: n.Line, Column: n.Column, Problem: "not valid JSON: half of a surrogate pair", Fix: `write both halves, such as "\ud83d\ude00"`}
		}
	case json.Number:
		n.Tag, n.Value = "!!int", token.String()
		if _, err := strconv.ParseInt(n.Value, 10, 64); err != nil {
			n.Tag = "!!float"
		}
	case bool:
		n.Tag, n.Value = "!!bool", strconv.FormatBool(token)
	default:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, nil
}

// children reads what is in the object or array n.
func (r *jsonReader) children(n *yaml.Node, open json.Delim, depth int) *Error {
	n.Kind, n.Tag = yaml.MappingNode, "!!map"
	if open == '[' {
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
	}
	if depth > maxDepth {
		return &Error{Line: n.Line, Column: n.Column, Problem: fmt.Sprintf("nested deeper than %d levels", maxDepth), Fix: "a policy needs 4"}
	}
	for r.dec.More() {
		// The keys of an object are tokens like its values.
		child, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.Content = append(n.Content, child)
	}
	if _, err := r.dec.Token(); err != nil {
		return jsonError(r.data, err)
	}
	return nil
}

// advance moves the position to the beginning of the next token.
func (r *jsonReader) advance() {
	end := int(r.dec.InputOffset())
	for end < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[end]) >= 0 {
		end++
	}
	for _, c := range string(r.data[r.offset:end]) {
		r.column++
		if c == '\n' {
			r.line, r.column = r.line+1, 1
		}
	}
	r.offset = end
}

// surrogates matches each escape in a JSON string: a pair of surrogates, then
// half a pair, which is captured, then any other.
var surrogates = lazily(`\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F]..)|.)`)

// loneSurrogate reports whether the string that was read last has half a pair.
// encoding/json puts U+FFFD there, so that two files would mean the same.
func (r *jsonReader) loneSurrogate() bool {
	for _, match := range surrogates().FindAllSubmatch(r.data[r.offset:r.dec.InputOffset()], -1) {
		if match[1] != nil {
			return true
		}
	}
	return false
}
