package policyfile

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/kavach-dev/kavach/policy"
	"go.yaml.in/yaml/v3"
)

// decoder fills a policy from nodes and notes every problem.
type decoder struct {
	file  string
	nodes map[string]*yaml.Node // of each field that was read
	errs  []*Error
}

func (d *decoder) decode(p *policy.Policy, root *yaml.Node) {
	d.value("", root, reflect.ValueOf(p).Elem())
}

// value fills v from n. An empty list or mapping leaves v nil, so that equal
// policies are equal in Go.
func (d *decoder) value(field string, n *yaml.Node, v reflect.Value) {
	d.nodes[field] = n
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.text(field, n, text)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(field, n, v)
	case reflect.Slice:
		d.list(field, n, v)
	case reflect.Map:
		d.stringMap(field, n, v)
	case reflect.Bool:
		if d.expect(field, n, "true or false", "", n.Tag == "!!bool") {
			v.SetBool(strings.EqualFold(n.Value, "true"))
		}
	case reflect.String:
		if field == userField && n.Tag == "!!int" {
			v.SetString(n.Value) // Validate knows which numbers are users
			return
		}
		fix := quotes(n)
		if n.Tag == "!!bool" && !strings.HasSuffix(field, "]") {
			fix = "" // no setting is the word true: it takes "on", or a name
		}
		if d.expect(field, n, "text", fix, isText(n)) {
			v.SetString(n.Value)
		}
	default:
		d.number(field, n, v)
	}
}

func (d *decoder) structure(field string, n *yaml.Node, v reflect.Value) {
	names := fieldNames(v.Type())
	at := func(key string) string {
		if mayHoldValue(field) && !slices.Contains(names, key) && !isWord(key) {
			return field
		}
		return join(field, key)
	}
	d.pairs(field, n, "a mapping with the keys "+strings.Join(names, ", "), at, func(key, value *yaml.Node) {
		if i := slices.Index(names, key.Value); i >= 0 {
			d.value(at(key.Value), value, v.Field(i))
			return
		}
		fix := "the keys are " + strings.Join(names, ", ")
		if mayHoldValue(field) {
			fix += ", and a value itself is never written into a policy"
		}
		if near := policy.Nearest(key.Value, names); near != "" {
			fix = fmt.Sprintf("did you mean %q?", near)
		}
		d.add(key, at(key.Value), "unknown key", fix)
	})
}

func (d *decoder) list(field string, n *yaml.Node, v reflect.Value) {
	if !d.expect(field, n, "a list", "", n.Kind == yaml.SequenceNode) {
		return
	}
	for i, item := range n.Content {
		element := reflect.New(v.Type().Elem()).Elem()
		d.value(fmt.Sprintf("%s[%d]", field, i), item, element)
		v.Set(reflect.Append(v, element))
	}
}

func (d *decoder) stringMap(field string, n *yaml.Node, v reflect.Value) {
	at := func(key string) string { return fmt.Sprintf("%s[%q]", field, key) }
	d.pairs(field, n, "a mapping of names to text", at, func(key, value *yaml.Node) {
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		element := reflect.New(v.Type().Elem()).Elem()
		d.value(at(key.Value), value, element)
		v.SetMapIndex(reflect.ValueOf(key.Value), element)
	})
}

// pairs calls each with the keys and values of a mapping, but for those whose
// key is not text or was there before. at names the field of a key.
func (d *decoder) pairs(field string, n *yaml.Node, want string, at func(string) string, each func(key, value *yaml.Node)) {
	if !d.expect(field, n, want, "", n.Kind == yaml.MappingNode) {
		return
	}
	first := make(map[string]*yaml.Node)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if !d.expect(field, key, "a key that is text", quotes(key), isText(key)) {
			continue
		}
		if before, ok := first[key.Value]; ok {
			d.add(key, at(key.Value), fmt.Sprintf("duplicate key; the first is on line %d", before.Line), "remove one")
			continue
		}
		first[key.Value] = key
		each(key, n.Content[i+1])
	}
}

// text reads a size or a duration. Both may be written as bare numbers, which
// is for their own parser to judge.
func (d *decoder) text(field string, n *yaml.Node, v encoding.TextUnmarshaler) {
	number := n.Tag == "!!int" || n.Tag == "!!float"
	want := "a size such as 512m"
	if _, ok := v.(*policy.Duration); ok {
		want = "a duration such as 30s"
	}
	if !d.expect(field, n, want, "", isText(n) || number) {
		return
	}
	err := v.UnmarshalText([]byte(n.Value))
	if found := (*policy.FieldError)(nil); errors.As(err, &found) {
		d.add(n, field, found.Problem, found.Fix)
	}
}

// number reads a decimal number. The number must be one in JSON: YAML's 010 is
// eight to some readers, and 1_000 text to others.
func (d *decoder) number(field string, n *yaml.Node, v reflect.Value) {
	want := "a number"
	if unlimitable(field) {
		want = `a number or "unlimited"`
		if isText(n) && n.Value == "unlimited" {
			n = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(policy.Unlimited)}
		}
	}
	if !d.expect(field, n, want, "", n.Tag == "!!int" || n.Tag == "!!float") {
		return
	}
	if !json.Valid([]byte(n.Value)) {
		d.add(n, field, "the number "+shorten(n.Value)+" is not plain decimal", "write it as in JSON, such as 10 or 0.5")
		return
	}
	if v.Kind() == reflect.Float64 {
		f, err := strconv.ParseFloat(n.Value, 64)
		if d.expect(field, n, "a number that is not as large", "", err == nil) {
			v.SetFloat(f)
		}
		return
	}
	whole, err := strconv.ParseInt(n.Value, 10, v.Type().Bits())
	if d.expect(field, n, "a whole number", "", err == nil) {
		v.SetInt(whole)
	}
}

// expect notes a problem and reports false unless ok.
func (d *decoder) expect(field string, n *yaml.Node, want, fix string, ok bool) bool {
	if !ok {
		found := describe(n)
		if mayHoldValue(field) || field == "" { // a secret that was piped in instead of a policy
			found = kindOf(n)
			fix, _, _ = strings.Cut(fix, ":")
		}
		d.add(n, field, fmt.Sprintf("expected %s, found %s", want, found), fix)
	}
	return ok
}

// userField is text that is a number more often than not.
const userField = "process.user"

// isText reports whether n is text. A date is text too: no field is a date.
func isText(n *yaml.Node) bool { return n.Tag == "!!str" || n.Tag == "!!timestamp" }

// quotes is the fix where text was expected and n looks like something else.
func quotes(n *yaml.Node) string {
	switch n.Tag {
	case "!!int", "!!float", "!!bool":
		return "put it in quotes: " + quote(n.Value)
	}
	return ""
}

// unlimitable reports whether field is a limit, for which "unlimited" stands
// for policy.Unlimited.
func unlimitable(field string) bool { return strings.HasPrefix(field, "resources.") }

// fieldNames has the key of each field of a struct, from its json tag.
func fieldNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}

var plainKey = lazily(`^[A-Za-z0-9_-]{1,64}$`)

// join is the field of a key in field.
func join(field, key string) string {
	if !plainKey().MatchString(key) {
		key = quote(key)
	}
	if field == "" {
		return key
	}
	return field + "." + key
}
