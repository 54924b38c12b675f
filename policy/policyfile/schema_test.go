package policyfile

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	generate "github.com/invopop/jsonschema"
	"github.com/kavach-dev/kavach/backend"
	"github.com/kavach-dev/kavach/policy"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write schema.json anew")

const schemaID = "https://github.com/kavach-dev/kavach/policy/policyfile/schema.json"

func TestSchemaIsUpToDate(t *testing.T) {
	if os.Getenv("KAVACH_SOURCE") != "" {
		return // the sources are elsewhere, and were looked at there
	}
	want := generated(t)
	if *update {
		if err := os.WriteFile("schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(Schema(), want) {
		t.Error("schema.json is not what the Go types say; run go test ./policy/policyfile -update")
	}
}

// generated is the schema of the Go types, with their comments, and with the
// rules of Validate that a schema can say.
func generated(t *testing.T) []byte {
	t.Helper()
	r := generate.Reflector{ExpandedStruct: true, Anonymous: true, Mapper: textType}
	// The base is the package of this directory, because the path goes up.
	if err := r.AddGoComments("github.com/kavach-dev/kavach/policy/policyfile", "../"); err != nil {
		t.Fatal(err)
	}
	for name, comment := range r.CommentMap {
		r.CommentMap[name] = strings.Join(strings.Fields(comment), " ")
	}
	s := r.Reflect(policy.Policy{})
	s.ID, s.Title = schemaID, "Kavach policy"
	restrict(t, s)
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// ruleID is the form of the id of a rule of the gate.
const ruleID = `^[a-z0-9][a-z0-9./-]*$`

// amounts is what a duration is made of.
const amounts = `(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+`

// textType is the schema of the types with a text form of their own.
func textType(t reflect.Type) *generate.Schema {
	switch t {
	case reflect.TypeFor[policy.Bytes]():
		return size("unlimited")
	case reflect.TypeFor[policy.Duration]():
		return &generate.Schema{
			Type:     "string",
			Pattern:  `^(unlimited|\+?` + amounts + `)$`,
			Examples: []any{"30s", "1h30m", "unlimited"},
		}
	}
	return nil
}

func size(words ...string) *generate.Schema {
	forms := append(words, `[0-9]+([bB]|[kKmMgGtT]([iI]?[bB])?)?`)
	return &generate.Schema{
		AnyOf: []*generate.Schema{
			{Type: "string", Pattern: "^(" + strings.Join(forms, "|") + ")$"},
			{Type: "integer", Minimum: "0"},
		},
		Examples: []any{"512m", "1g"},
	}
}

// limit is the schema of a number for which "unlimited", and -1, which is what
// encoding/json writes for it, may stand. Zero means the default.
func limit(kind string, low, high json.Number) *generate.Schema {
	return &generate.Schema{AnyOf: []*generate.Schema{
		{Type: kind, Minimum: low, Maximum: high},
		{Enum: []any{0, policy.Unlimited, "unlimited"}},
	}}
}

// restrict adds what no Go type says.
func restrict(t *testing.T, s *generate.Schema) {
	t.Helper()
	one, severities := uint64(1), append(policy.Severities(), policy.Off)
	rules := map[string]*generate.Schema{
		"Filesystem.root":     {Pattern: `^(|host|/[^\x00]+)$`},
		"Filesystem.image":    {Pattern: `^[^\x00-\x1f\x7f]*$`},
		"Filesystem.tmp_size": size(),
		"Filesystem.landlock": enum("", policy.On, policy.Off),
		"Mount.source":        {Pattern: `^/[^\x00]+$`},
		"Mount.target":        {Pattern: `^(|/[^\x00]+)$`},
		"Mount.access":        enum("", policy.AccessRead, policy.AccessWrite, policy.AccessDirect),
		"Mount.rights":        {Items: enum(policy.Rights()...), UniqueItems: true},
		"Filesystem.protected": {
			Items: &generate.Schema{Type: "string", Pattern: `^[^/\x00][^\x00]*$`}, UniqueItems: true,
		},
		"Seccomp.profile": enum("", policy.SeccompStrict, policy.SeccompDefault, policy.Off),
		"Seccomp.files":   {Items: &generate.Schema{Type: "string", Pattern: `^/[^\x00]*$`}, UniqueItems: true},
		"Seccomp.mode":    enum("", policy.SeccompEnforce, policy.SeccompLog),
		"Resources.cpus":  limit("number", "0.01", "8192"),
		"Resources.pids":  limit("integer", "1", "4194304"),
		"Process.user": {AnyOf: []*generate.Schema{
			{Type: "string", Pattern: `^(|(0|[1-9][0-9]{0,9})(:(0|[1-9][0-9]{0,9}))?)$`},
			{Type: "integer", Minimum: "0", Maximum: "4294967294"},
		}},
		"Process.env":     {PropertyNames: &generate.Schema{Pattern: `^[^=\x00]+$`}},
		"Process.workdir": {Pattern: `^(|/[^\x00]*)$`},
		"Wasm.modules":    {Items: &generate.Schema{Type: "string", Pattern: `^sha256:[0-9a-f]{64}$`}, UniqueItems: true},
		"Gate.mode":       enum("", policy.GateLive, policy.GateCollected, policy.GateOff),
		"Gate.scanners":   {Items: enum(policy.GateScanners()...), UniqueItems: true},
		"Gate.redact":     enum(slices.Concat([]string{""}, severities)...),
		"Gate.quarantine": enum(slices.Concat([]string{""}, severities)...),
		"Gate.block":      enum(slices.Concat([]string{""}, severities)...),
		"Gate.severity":   {PropertyNames: &generate.Schema{Pattern: ruleID}, AdditionalProperties: enum(policy.Severities()...)},
		"Gate.ignore": {
			Items: &generate.Schema{Type: "string", Pattern: ruleID, Not: &generate.Schema{Pattern: "^known-secret"}}, UniqueItems: true,
		},
		"Gate.input": enum("", policy.InputCounts, policy.InputAllowed),
		"ExternalScanner.name": {
			Pattern: `^[a-z0-9][a-z0-9.-]*$`, Not: &generate.Schema{AnyOf: []*generate.Schema{enum(policy.GateScanners()...), {Pattern: "^known-secret"}}},
		},
		"ExternalScanner.command": {
			Items: &generate.Schema{Type: "string", Pattern: `^[^\x00]*$`}, MinItems: &one,
			PrefixItems: []*generate.Schema{{Type: "string", Pattern: `^/[^\x00]*$`}},
		},
		"ExternalScanner.timeout": {Pattern: `^\+?(` + amounts + `)$`, Examples: []any{"30s", "2m"}},
		"Credential.name":         {Pattern: `^[A-Za-z0-9._/:@-]{1,256}$`},
		"Credential.source":       {Pattern: `^(env:[^=\x00-\x1f\x7f]+|file:/[^\x00-\x1f\x7f]*|stdin|fd:([3-9]|[1-9][0-9]+)|cmd:[^\x00-\x20\x7f]+)$`},
		"Credential.as":           {Pattern: `^(|(env|placeholder):[A-Za-z_][A-Za-z0-9_]*|stdin|fd:([3-9]|[1-5][0-9]|6[0-3])|file:/[^\x00-\x1f\x7f]+)$`},
		"Credential.lifetime":     {Pattern: `^(|command|sandbox|\+?` + amounts + `)$`},
		"Require.min_score":       {Minimum: "0", Maximum: "100"},
		"Require.backends":        {Items: enum(policy.BackendNames()...), UniqueItems: true},
	}
	for name, rule := range rules {
		kind, key, _ := strings.Cut(name, ".")
		property, ok := s.Definitions[kind].Properties.Get(key)
		if !ok {
			t.Fatalf("there is no %s", name)
		}
		merge(property, rule)
	}
	bestEffort, _ := s.Properties.Get("best_effort")
	merge(bestEffort, &generate.Schema{Items: enum(policy.BestEffortNames()...), UniqueItems: true})
	writable := generate.NewProperties()
	writable.Set("writable", &generate.Schema{Const: true})
	shared, ofFile := generate.NewProperties(), generate.NewProperties()
	shared.Set("shared", &generate.Schema{Const: true})
	ofFile.Set("source", &generate.Schema{Pattern: "^file:"})
	merge(s.Definitions["Credential"], &generate.Schema{
		If:   &generate.Schema{Properties: shared, Required: []string{"shared"}},
		Then: &generate.Schema{Properties: ofFile},
	})
	both := generate.NewProperties()
	both.Set("root", &generate.Schema{MinLength: &one})
	both.Set("image", &generate.Schema{MinLength: &one})
	merge(s.Definitions["Filesystem"], &generate.Schema{
		If:   &generate.Schema{Properties: writable, Required: []string{"writable"}},
		Then: &generate.Schema{Required: []string{"tmp_size"}},
		Not:  &generate.Schema{Properties: both, Required: []string{"root", "image"}},
	})
	merge(s.Definitions["Gate"], &generate.Schema{Not: &generate.Schema{AnyOf: []*generate.Schema{
		modeBeside(policy.GateLive, "external", &generate.Schema{MinItems: &one}),
		modeBeside(policy.GateOff, "external", &generate.Schema{MinItems: &one}),
		modeBeside(policy.GateOff, "redact", &generate.Schema{MinLength: &one}),
		modeBeside(policy.GateOff, "quarantine", &generate.Schema{MinLength: &one}),
		modeBeside(policy.GateOff, "block", &generate.Schema{MinLength: &one}),
	}}})
}

// modeBeside is a gate of that mode, in which key is set too.
func modeBeside(mode, key string, set *generate.Schema) *generate.Schema {
	properties := generate.NewProperties()
	properties.Set("mode", &generate.Schema{Const: mode})
	properties.Set(key, set)
	return &generate.Schema{Properties: properties, Required: []string{"mode", key}}
}

func enum[T ~string](names ...T) *generate.Schema {
	s := &generate.Schema{Type: "string"}
	for _, name := range names {
		s.Enum = append(s.Enum, name)
	}
	return s
}

// merge sets in s what is set in rule; where the rule is a choice of forms, it
// replaces the type.
func merge(s, rule *generate.Schema) {
	if rule.AnyOf != nil {
		s.Type = ""
	}
	to, from := reflect.ValueOf(s).Elem(), reflect.ValueOf(rule).Elem()
	for i := range from.NumField() {
		if to.Field(i).CanSet() && !from.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaID, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(schemaID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchemaTakesWhatParseTakes(t *testing.T) {
	s := compiled(t)
	for _, test := range policies(t) {
		text, err := json.Marshal(test.p)
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(value); err != nil {
			t.Errorf("%s: %v\n%s", test.name, err, text)
		}
		if _, err := Parse("p.json", text); err != nil {
			t.Errorf("%s: what encoding/json writes is not read: %v", test.name, err)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	tests := []struct{ json, why string }{
		{`{"nam":"x"}`, "an unknown key"},
		{`{"filesystem":{"tmp_sise":"1m"}}`, "an unknown key deeper down"},
		{`{"filesystem":{"mounts":[{"source":"/a","mode":"rw"}]}}`, "an unknown key in a list"},
		{`{"filesystem":{"mounts":[{"target":"/a"}]}}`, "a mount needs a source"},
		{`{"filesystem":{"mounts":[{"source":"a"}]}}`, "a source is absolute"},
		{`{"filesystem":{"root":"hosts"}}`, "neither a word nor a path"},
		{`{"filesystem":{"landlock":"yes"}}`, "on or off"},
		{`{"filesystem":{"landlock":true}}`, "a word, not a boolean"},
		{`{"filesystem":{"tmp_size":"unlimited"}}`, "writable places are bounded"},
		{`{"filesystem":{"writable":true}}`, "a writable root needs a bound"},
		{`{"seccomp":{"profile":"none"}}`, "a profile that does not exist"},
		{`{"resources":{"memory":"12q"}}`, "an unknown unit"},
		{`{"resources":{"memory":-1}}`, "unlimited is spelled out"},
		{`{"resources":{"memory":1.5}}`, "a size is whole"},
		{`{"resources":{"cpus":0.001}}`, "less than the kernel takes"},
		{`{"resources":{"cpus":"two"}}`, "the only word is unlimited"},
		{`{"resources":{"pids":1.5}}`, "a count is whole"},
		{`{"resources":{"timeout":30}}`, "a duration has a unit"},
		{`{"resources":{"timeout":"-3s"}}`, "a duration is positive"},
		{`{"process":{"user":"root"}}`, "users are numbers"},
		{`{"process":{"env":{"A=B":"x"}}}`, "no variable can be called that"},
		{`{"process":{"env":{"A":1}}}`, "values are text"},
		{`{"process":{"workdir":"tmp"}}`, "a working directory is absolute"},
		{`{"gate":{"mode":"on"}}`, "a mode that does not exist"},
		{`{"gate":{"mode":"off","redact":"low"}}`, "nothing would be redacted"},
		{`{"gate":{"mode":"live","external":[{"name":"av","command":["/av"]}]}}`, "a program sees the whole"},
		{`{"gate":{"scanners":["known-secrets"]}}`, "it always looks"},
		{`{"gate":{"block":"worst"}}`, "an unknown severity"},
		{`{"gate":{"severity":{"a":""}}}`, "a severity is said"},
		{`{"gate":{"severity":{"A b":"high"}}}`, "no rule has such an id"},
		{`{"gate":{"severity":{"a":5}}}`, "a severity is a name"},
		{`{"gate":{"severity":{"a":"off"}}}`, "rules are raised only"},
		{`{"gate":{"ignore":"a"}}`, "a list"},
		{`{"gate":{"ignore":["av/*"]}}`, "a pattern is no id"},
		{`{"gate":{"ignore":["a","a"]}}`, "a rule twice"},
		{`{"gate":{"ignore":["known-secret"]}}`, "it always counts"},
		{`{"gate":{"external":[{"name":"av"}]}}`, "nothing to run"},
		{`{"gate":{"external":[{"command":["/av"]}]}}`, "whose findings?"},
		{`{"gate":{"external":[{"name":"secrets","command":["/av"]}]}}`, "a name of Kavach's own"},
		{`{"gate":{"external":[{"name":"av","command":[]}]}}`, "nothing to run"},
		{`{"gate":{"external":[{"name":"av","command":["av"]}]}}`, "a program has an absolute path"},
		{`{"gate":{"external":[{"name":"av","command":"/av"}]}}`, "a list, and no shell"},
		{`{"gate":{"external":[{"name":"av","command":["/av"],"timeout":"unlimited"}]}}`, "output waits for it"},
		{`{"credentials":{"T":"env:T"}}`, "a list"},
		{`{"credentials":[{"source":"env:T"}]}`, "what is it called?"},
		{`{"credentials":[{"name":"T"}]}`, "where is it?"},
		{`{"credentials":[{"name":"T","value":"x"}]}`, "never the value"},
		{`{"credentials":[{"name":"T","source":"x"}]}`, "nor here"},
		{`{"credentials":[{"name":"T U","source":"env:T"}]}`, "a name has no space"},
		{`{"credentials":[{"name":"T","source":"env:T=x"}]}`, "no variable is called that"},
		{`{"credentials":[{"name":"T","source":"file:t"}]}`, "a path is absolute"},
		{`{"credentials":[{"name":"T","source":"fd:2"}]}`, "stdio"},
		{`{"credentials":[{"name":"T","source":"cmd:get it"}]}`, "no arguments"},
		{`{"credentials":[{"name":"T","source":"env:T","as":"T"}]}`, "no way"},
		{`{"credentials":[{"name":"T","source":"env:T","as":"env:1"}]}`, "no variable is called that"},
		{`{"credentials":[{"name":"T","source":"env:T","as":"fd:64"}]}`, "beyond the last"},
		{`{"credentials":[{"name":"T","source":"env:T","as":"stdin","lifetime":"unlimited"}]}`, "a secret is bounded"},
		{`{"credentials":[{"name":"T","source":"env:T","shared":true}]}`, "no file"},
		{`{"credentials":[{"name":"T","source":"env:T","shared":"yes"}]}`, "true or false"},
		{`{"require":{"min_score":101}}`, "scores end at 100"},
		{`{"require":{"backends":["docker"]}}`, "an unknown backend"},
		{`{"best_effort":["seccomp","seccomp"]}`, "a control twice"},
		{`[]`, "a policy is a mapping"},
	}
	s := compiled(t)
	for _, test := range tests {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(test.json))
		if err != nil {
			t.Fatal(err)
		}
		if s.Validate(value) == nil {
			t.Errorf("the schema takes %s (%s)", test.json, test.why)
		}
		if _, err := Parse("p.json", []byte(test.json)); err == nil {
			t.Errorf("Parse takes %s (%s)", test.json, test.why)
		}
	}
}

func TestSchemaIsClosed(t *testing.T) {
	var doc any
	if err := json.Unmarshal(Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		m, ok := v.(map[string]any)
		if !ok {
			return
		}
		if m["type"] == "object" && m["additionalProperties"] != false && !strings.HasSuffix(at, "/env") && !strings.HasSuffix(at, "/severity") {
			t.Errorf("%s takes unknown keys", at)
		}
		for key, child := range m {
			walk(at+"/"+key, child)
		}
	}
	walk("", doc)
}

func TestBackendNames(t *testing.T) {
	if !slices.Equal(policy.BackendNames(), backend.Names()) {
		t.Errorf("policy knows %v, and backend %v", policy.BackendNames(), backend.Names())
	}
}
