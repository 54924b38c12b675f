package policyfile

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/kavach-dev/kavach/policy"
	"go.yaml.in/yaml/v3"
)

// Marshal writes p as YAML that Parse reads back as p: the fields that are not
// zero, in the order of the Go struct. It refuses a policy that is not valid,
// and text that is not UTF-8, which no policy file can hold.
func Marshal(p policy.Policy) ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("write policy: %w", err)
	}
	root, err := encode("", reflect.ValueOf(p))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(root), enc.Close()); err != nil {
		return nil, fmt.Errorf("write policy: %w", err)
	}
	if b.Len() > MaxSize {
		return nil, fmt.Errorf("write policy: it takes %d bytes, and a policy file holds %d", b.Len(), MaxSize)
	}
	return b.Bytes(), nil
}

func encode(field string, v reflect.Value) (*yaml.Node, error) {
	if text, ok := v.Interface().(encoding.TextMarshaler); ok {
		s, err := text.MarshalText()
		return scalar(string(s)), err
	}
	switch v.Kind() {
	case reflect.Struct:
		return encodeStruct(field, v)
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			item, err := encode(fmt.Sprintf("%s[%d]", field, i), v.Index(i))
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, item)
		}
		return n, nil
	case reflect.Map:
		return encodeMap(field, v)
	case reflect.String:
		return encodeString(field, v.String())
	case reflect.Bool:
		return scalar(strconv.FormatBool(v.Bool())), nil
	case reflect.Float64:
		return encodeNumber(field, strconv.FormatFloat(v.Float(), 'f', -1, 64)), nil
	default:
		return encodeNumber(field, strconv.FormatInt(v.Int(), 10)), nil
	}
}

func encodeStruct(field string, v reflect.Value) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i, name := range fieldNames(v.Type()) {
		value := v.Field(i)
		if value.IsZero() || isEmpty(value) {
			continue
		}
		child, err := encode(join(field, name), value)
		if err != nil {
			return nil, err
		}
		if child.Kind == yaml.MappingNode && len(child.Content) == 0 {
			continue // a struct with nothing but an empty list
		}
		n.Content = append(n.Content, scalar(name), child)
	}
	return n, nil
}

func isEmpty(v reflect.Value) bool {
	return (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
}

func encodeMap(field string, v reflect.Value) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range sortedKeys(v) {
		at := fmt.Sprintf("%s[%q]", field, name)
		key, err := encodeString(at, name)
		if err != nil {
			return nil, err
		}
		value, err := encodeString(at, v.MapIndex(reflect.ValueOf(name)).String())
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, key, value)
	}
	return n, nil
}

// plainText is text that no YAML reader takes for anything else, but for words
// such as true, which the library quotes.
var plainText = lazily(`^[A-Za-z/][A-Za-z0-9_./-]*$`)

func encodeString(field, s string) (*yaml.Node, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("write policy: %s: %s is not UTF-8", field, quote(s))
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if !plainText().MatchString(s) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n, nil
}

func encodeNumber(field, s string) *yaml.Node {
	if unlimitable(field) && s == strconv.Itoa(policy.Unlimited) {
		s = "unlimited"
	}
	return scalar(s)
}

// scalar is a value whose text is as plain as its kind.
func scalar(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }

func sortedKeys(m reflect.Value) []string {
	var keys []string
	for _, k := range m.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	return keys
}
