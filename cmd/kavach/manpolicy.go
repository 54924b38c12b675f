package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"

	"github.com/kavach-dev/kavach/policy"
	"github.com/kavach-dev/kavach/policy/policyfile"
)

// policyPage is kavach-policy(5). The keys, their order and their kinds are
// those of the Go types; what they mean is in the schema, which has it from the
// comments of the types.
func policyPage() manPage {
	var r roff
	r.page("kavach-policy", 5)
	r.section("NAME")
	r.line(`kavach\-policy \- what a sandbox may do`)
	r.section("DESCRIPTION")
	r.paragraph("A policy is a file in YAML or JSON, of these keys and no others. A key that is left out denies, " +
		"or has the default that is given here. kavach run takes the path of a policy, which has a / or a . in it, " +
		"with " + bold("--policy") + "; kavach policy validate says where one is wrong. " +
		"Anchors, aliases, tags, duplicate keys and a second document are refused.")
	r.paragraph(`A size is a whole number and a unit b, k, m, g or t, each 1024 of the one before. ` +
		`A duration is a number and a unit, such as 30s or 1h30m. Limits also take "unlimited".`)
	d := describe()
	r.section("KEYS")
	r.keys(reflect.TypeFor[policy.Policy](), "", d)
	r.section("EXAMPLES")
	r.paragraph("The preset basic, as kavach policy show basic prints it:")
	r.example(presetText("basic"))
	r.section("SEE ALSO")
	r.running(reference("kavach-policy", 1) + ", " + reference("kavach-run", 1) + ", " + reference("landlock", 7) + ", " + reference("seccomp", 2))
	return manPage{name: "kavach-policy", section: 5, text: r.b.String()}
}

func presetText(name string) string {
	p, err := policy.Preset(name)
	if err != nil {
		panic(err) // the name is ours
	}
	text, err := policyfile.Marshal(p)
	if err != nil {
		panic(err) // the preset is ours
	}
	return string(text)
}

// described is the part of a JSON Schema that says what things mean.
type described struct {
	Description string               `json:"description"`
	Properties  map[string]described `json:"properties"`
	Items       struct {
		Enum []string `json:"enum"`
	} `json:"items"`
	Defs map[string]described `json:"$defs"`
}

func describe() described {
	var d described
	if err := json.Unmarshal(policyfile.Schema(), &d); err != nil {
		panic(err) // the schema is ours, and a test reads it
	}
	return d
}

// keys lists the keys of t, which stands at path, and then, each in a part of
// its own, those of the types in it.
func (r *roff) keys(t reflect.Type, path string, d described) {
	meaning := d.Properties
	if path != "" {
		meaning = d.Defs[t.Name()].Properties
	}
	for i := 0; i < t.NumField(); i++ {
		terms := []string{term(t.Field(i))}
		doc := meaning[keyOf(t.Field(i))]
		for i+1 < t.NumField() && meaning[keyOf(t.Field(i+1))].Description == "" { // one comment for both
			i++
			terms = append(terms, term(t.Field(i)))
		}
		r.item(strings.Join(terms, ", "), inKeys(t, doc.Description)+names(doc.Items.Enum)+defaultOf(t, i))
	}
	for i := range t.NumField() {
		below := t.Field(i).Type
		if below.Kind() == reflect.Slice {
			below = below.Elem()
		}
		if below.Kind() == reflect.Struct {
			at := strings.TrimPrefix(path+"."+keyOf(t.Field(i)), ".")
			r.subsection(at)
			r.keys(below, at, d)
		}
	}
}

func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return key
}

// term is a key, and what kind of value it takes.
func term(f reflect.StructField) string {
	kind := map[reflect.Kind]string{
		reflect.String: "text", reflect.Bool: "true or false", reflect.Int: "whole number", reflect.Float64: "number",
		reflect.Slice: "list", reflect.Map: "name: text", reflect.Struct: "keys",
	}[f.Type.Kind()]
	switch f.Type {
	case reflect.TypeFor[policy.Bytes]():
		kind = "size"
	case reflect.TypeFor[policy.Duration]():
		kind = "duration"
	}
	return bold(keyOf(f)) + " (" + italic(kind) + ")"
}

// names lists what the entries of a list can be.
func names(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return " The names are " + strings.Join(list, ", ") + "."
}

// defaultOf is the default of field i of Resources: what a zero stands for.
func defaultOf(t reflect.Type, i int) string {
	if t != reflect.TypeFor[policy.Resources]() {
		return ""
	}
	v := reflect.ValueOf(policy.Resources{}.Effective()).Field(i)
	if v.IsZero() {
		return ""
	}
	return fmt.Sprintf(" Default: %v.", v.Interface())
}

var word = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[A-Za-z]+`) })

// inKeys is a comment of a Go type, with keys in the place of the names of
// fields: of those of the type itself, and of any that is no word of English.
func inKeys(t reflect.Type, comment string) string {
	keys := make(map[string]string)
	fieldKeys(reflect.TypeFor[policy.Policy](), keys)
	for name := range keys {
		if strings.ToLower(name[1:]) == name[1:] {
			delete(keys, name)
		}
	}
	for i := range t.NumField() {
		keys[t.Field(i).Name] = keyOf(t.Field(i))
	}
	first := true
	return word().ReplaceAllStringFunc(comment, func(w string) string {
		key, begins := keys[w], first
		first = false
		if key == "" || w == "Landlock" && !begins { // the kernel's, not the key
			return w
		}
		return bold(key)
	})
}

func fieldKeys(t reflect.Type, keys map[string]string) {
	for i := range t.NumField() {
		keys[t.Field(i).Name] = keyOf(t.Field(i))
		below := t.Field(i).Type
		if below.Kind() == reflect.Slice {
			below = below.Elem()
		}
		if below.Kind() == reflect.Struct {
			fieldKeys(below, keys)
		}
	}
}
