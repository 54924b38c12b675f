package policyfile

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever somebody writes into the list, the error says where, and repeats nothing
// that may be a value.
func TestCredentialErrorsAreSilent(t *testing.T) {
	const (
		none   = "the source is none of env:NAME, file:PATH, stdin, fd:N, cmd:PROGRAM; a value itself is never written into a policy"
		keys   = "unknown key; the keys are name, source, as, lifetime, shared, and a value itself is never written into a policy"
		entry  = "expected a mapping with the keys name, source, as, lifetime, shared, found "
		quoted = `; as text, what begins with "!" needs quotes`
	)
	tests := []struct{ list, want, why string }{
		{"- {name: T, source: p4ss}", "2:21: credentials[0].source: " + none, "as the source"},
		{"- {name: T, source: 'literal:p4ss'}", "2:21: credentials[0].source: " + none, "with a kind that there is not"},
		{"- {name: T, source: 'env:T=p4ss'}", "2:21: credentials[0].source: env: is not followed by the name of a variable; write env:NAME; a value itself is never written into a policy", "behind the variable"},
		{"- {name: T, value: p4ss}", "2:13: credentials[0].value: " + keys, "under a key of its own"},
		{"- {name: T, sourc: p4ss}", `2:13: credentials[0].sourc: unknown key; did you mean "source"?`, "under a key that is misspelled"},
		{"- {name: T, p4ss}", "2:13: credentials[0]: " + keys, "as a key"},
		{"- {name: T, p4ss: a, p4ss: b}", "2:13: credentials[0]: " + keys + "\n2:22: credentials[0]: duplicate key; the first is on line 2; remove one", "as a key, twice"},
		{"- T=p4ss", "2:3: credentials[0]: " + entry + "text", "as with docker"},
		{"- 4444", "2:3: credentials[0]: " + entry + "a number", "a PIN"},
		{"- [p4ss]", "2:3: credentials[0]: " + entry + "a list", "in a list"},
		{"- {name: T, source: 4444}", "2:21: credentials[0].source: expected text, found a number; put it in quotes", "a PIN as the source"},
		{"- {name: T, source: true}", "2:21: credentials[0].source: expected text, found a boolean", "a word for it"},
		{"- {name: T, source: stdin, 4444: x}", "2:28: credentials[0]: expected a key that is text, found a number; put it in quotes", "a PIN as a key"},
		{"- {name: T, source: stdin, shared: p4ss}", "2:36: credentials[0].shared: expected true or false, found text", "in the place of a word"},
		{"- {name: T, source: !p4ss x}", "2:21: tags are not allowed; remove it" + quoted, "that YAML takes for a tag"},
		{"- {name: T, source: !!p4ss x}", "2:21: tags are not allowed; remove it" + quoted, "that YAML takes for a tag of its own"},
		{"- {name: T, source: &p4ss x}", "2:21: anchors and aliases are not allowed; write the value out in each place", "that YAML takes for an anchor"},
		{"- {name: T, source: *p4ss}", `1: not valid YAML: an alias of an anchor that is not there; as text, what begins with "*" needs quotes`, "that YAML takes for an alias"},
	}
	for _, test := range tests {
		_, err := Parse("p", []byte("credentials:\n"+test.list))
		want := "p:" + strings.ReplaceAll(test.want, "\n", "\np:")
		if err == nil || strings.Contains(err.Error(), "p4ss") || strings.Contains(err.Error(), "4444") {
			t.Errorf("%s: %q is repeated by %v", test.why, test.list, err)
		}
		if err != nil && err.Error() != want {
			t.Errorf("%s: %q\n got %v\nwant %v", test.why, test.list, err, want)
		}
	}
	for _, p := range []string{"credentials: p4ss", "credentials: {T: p4ss}", `{"credentials": "p4ss"}`, `{"credentials": [{"name": "T", "source": "p4ss"}]}`} {
		if _, err := Parse("p", []byte(p)); err == nil || strings.Contains(err.Error(), "p4ss") {
			t.Errorf("%s is repeated by %v", p, err)
		}
	}
	// Elsewhere a bad value is repeated, so that the search can find one.
	if _, err := Parse("p", []byte("seccomp: {profile: p4ss}")); err == nil || !strings.Contains(err.Error(), "p4ss") {
		t.Errorf("%v: this test shows nothing", err)
	}
}

// The example of docs/policies.md is a policy.
func TestCredentialsDocument(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(cmp.Or(os.Getenv("KAVACH_SOURCE"), "../.."), "docs/policies.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Credentials\n")
	_, example, _ := strings.Cut(section, "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	if p, err := Parse("docs/policies.md", []byte(example)); err != nil || len(p.Credentials) == 0 {
		t.Errorf("%v, %d credentials\n%s", err, len(p.Credentials), example)
	}
}

// FuzzCredential puts text in each place of a credential, as somebody might do with
// a value, and looks for it in the error.
func FuzzCredential(f *testing.F) {
	const value = "p4ssW0rd"
	for _, around := range [][2]string{{"", ""}, {"env:A=", ""}, {"file:~/", ""}, {"fd:", "0"}, {"cmd:/bin/echo ", "\n"}, {"literal:", "\x00"}, {"file:/run/secrets/", "/.."}, {"placeholder:", "%"}} {
		f.Add(around[0], around[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		text, err := json.Marshal(before + value + after)
		if err != nil {
			t.Fatal(err)
		}
		for _, place := range []string{
			`VALUE`, `[VALUE]`, `[[VALUE]]`, `{"T": VALUE}`, `{VALUE: 1}`, `[{VALUE: "stdin"}]`, `[{"name": "T", "source": "stdin", VALUE: {}, VALUE: []}]`,
			`[{"name": VALUE, "source": "stdin", "as": "stdin", "lifetime": "sandbox"}]`, `[{"name": "T", "source": VALUE, "lifetime": "sandbox"}]`,
			`[{"name": "T", "source": "stdin", "as": VALUE, "lifetime": "x"}]`, `[{"name": "T", "source": "stdin", "lifetime": VALUE}]`,
			`[{"name": "T", "source": "stdin", "shared": VALUE}]`, `[{"name": "T", "source": VALUE, "value": VALUE}, {"name": "T", "source": VALUE}]`,
		} {
			if strings.Contains(place, `"as": VALUE`) && strings.HasPrefix(before, "file:/") {
				continue // the path of a file inside is no value, and says what is wrong
			}
			for _, file := range []string{`{"credentials": ` + place + `}`, `credentials: ` + place} {
				_, err := Parse("fuzz", []byte(strings.ReplaceAll(file, "VALUE", string(text))))
				if err != nil && strings.Contains(err.Error(), value) {
					t.Errorf("%s with %s is repeated: %v", file, text, err)
				}
			}
		}
	})
}
