package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kavach-dev/kavach/policy"
)

// request is one line from the client.
type request struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// methods is every method that there is.
var methods = map[string]func(*session, request) (any, error){
	"create":  with((*session).create),
	"exec":    (*session).exec,
	"stdin":   (*session).stdin,
	"resize":  with((*session).resize),
	"signal":  with((*session).signal),
	"pause":   with((*session).pause),
	"resume":  with((*session).resume),
	"halt":    with((*session).halt),
	"changes": with((*session).changes),
	"apply":   with((*session).apply),
	"destroy": with((*session).destroy),
}

// empty is the params, or the result, of a method that has none.
type empty struct{}

// later is the result of a method that replies for itself.
type later struct{}

// with makes a method of a function that takes params of its own type.
func with[P any](do func(*session, P) (any, error)) func(*session, request) (any, error) {
	return func(s *session, r request) (any, error) {
		var params P
		if err := decode("params", r.Params, &params); err != nil {
			return nil, err
		}
		return do(s, params)
	}
}

// handle answers one request.
func (s *session) handle(l line) {
	if l.tooLong {
		s.wire.reply(nil, nil, refusef(errTooLong, "the line is longer than %d bytes; send large input in several stdin requests", maxLine))
		return
	}
	r, err := parseRequest(l.text)
	if err != nil {
		s.wire.reply(r.ID, nil, err)
		return
	}
	result, err := methods[r.Method](s, r)
	if _, itself := result.(later); err != nil || !itself {
		s.wire.reply(r.ID, result, err)
	}
}

// parseRequest reads a line. Where it fails, the request has the id if that
// could be read.
func parseRequest(text []byte) (request, error) {
	var r request
	if !json.Valid(text) || !utf8.Valid(text) {
		return r, refusef(errSyntax, "the line is not JSON in UTF-8; send one object a line")
	}
	if err := decode("", text, &r); err != nil {
		r.ID = onlyID(text)
		return r, err
	}
	if !isID(r.ID) {
		r.ID = nil
		return r, refusef(errSyntax, "the request has no id; give it a number or a string, which the reply will have too")
	}
	if _, known := methods[r.Method]; known {
		return r, nil
	}
	names := slices.Sorted(maps.Keys(methods))
	return r, refusef(errUnknownMethod, "there is no method %q; %s", r.Method, nearest(r.Method, names, "the methods"))
}

func onlyID(text []byte) json.RawMessage {
	var r struct {
		ID json.RawMessage `json:"id"`
	}
	if json.Unmarshal(text, &r) != nil || !isID(r.ID) {
		return nil
	}
	return r.ID
}

// isID reports whether an id is a number or a string.
func isID(id json.RawMessage) bool {
	return len(id) > 0 && (id[0] == '"' || id[0] == '-' || (id[0] >= '0' && id[0] <= '9'))
}

func nearest(name string, known []string, what string) string {
	if near := policy.Nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return fmt.Sprintf("%s are %s", what, strings.Join(known, ", "))
}

// decode fills to, a pointer to a struct, and refuses fields that it does not
// have. Nothing at all is an empty object.
func decode(where string, text json.RawMessage, to any) error {
	text = bytes.TrimSpace(text)
	if len(text) == 0 || string(text) == "null" {
		text = json.RawMessage("{}")
	}
	if text[0] != '{' {
		return refusef(errParams, "%s: expected an object", cmp.Or(where, "the request"))
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return refusef(errSyntax, "%s: %v", cmp.Or(where, "the request"), err)
	}
	known := jsonNames(reflect.TypeOf(to).Elem())
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(known, name) {
			return refusef(errUnknownField, "there is no field %q; %s", dotted(where, name), nearest(name, known, "the fields"))
		}
	}
	err := json.Unmarshal(text, to)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return refusef(errParams, "%s: expected %s, found %s", dotted(where, wrong.Field), goType(wrong.Type), wrong.Value)
	}
	if err != nil {
		return refusef(errParams, "%s: %v", cmp.Or(where, "the request"), err)
	}
	return nil
}

func dotted(where, name string) string {
	if where == "" || name == "" {
		return cmp.Or(where, name)
	}
	return where + "." + name
}

// goType says a type in the words of JSON.
func goType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "a string in base64"
		}
		return "an array"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	}
	return "a whole number"
}

func jsonNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
