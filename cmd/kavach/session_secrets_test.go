package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each command of a session is given all secrets of the sandbox, those that it names,
// or none; its exit event says which, and none has the value.
func TestSessionSecrets(t *testing.T) {
	const value = "violet-canary-of-test"
	t.Setenv("CANARY", value)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
	inherited, err := os.Open(key)
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	c := dial(t, inherited)
	c.create(`{"policy":{"filesystem":{"root":"host"},"credentials":[{"name":"a","source":"env:CANARY","as":"env:A"}]},` +
		`"credentials":[{"name":"b","source":"fd:3","as":"env:B"},{"name":"c","source":"file:` + key + `","as":"stdin"}]}`)
	tests := []struct{ params, out, given, why string }{
		{``, "21 21 21\n", "a b c", "all"},
		{`,"credentials":null`, "21 21 21\n", "a b c", "all"},
		{`,"credentials":["c","a"]`, "21 0 21\n", "a c", "two, in the order of the sandbox"},
		{`,"credentials":[]`, "0 0 0\n", "", "none"},
		{`,"credentials":["b"],"env":{"A":"set"},"stdin":true`, "3 21 0\n", "b", "a variable, and stdin, of another's that is not given"},
	}
	for i, tt := range tests {
		m := c.ask(`{"id":1,"method":"exec","params":{"args":["sh","-c","in=$(cat); echo ${#A} ${#B} ${#in}"]` + tt.params + `}}`)
		if m.Error != nil {
			t.Fatal(m.raw)
		}
		if strings.Contains(tt.params, "stdin") {
			c.send(`{"id":2,"method":"stdin","params":{"exec":5,"eof":true}}`)
		}
		out, end := c.output(i + 1)
		if end.Secrets == nil {
			t.Fatalf("%s: there is no list in %s", tt.why, end.raw)
		}
		var names []string
		for _, g := range *end.Secrets {
			names = append(names, g.Name)
		}
		if out != tt.out || strings.Join(names, " ") != tt.given || strings.Contains(end.raw, value) {
			t.Errorf("%s: %q, %s", tt.why, out, end.raw)
		}
	}
	c.ask(`{"id":1,"method":"exec","params":{"args":["sh","-c","echo $A $B; cat"]}}`)
	if out, _ := c.output(6); strings.Contains(out, "violet") || strings.Count(out, "[redacted:known-secret]") != 3 {
		t.Errorf("printed: %q", out)
	}
	refused := []struct{ params, message, why string }{
		{`"credentials":["d"]`, `there is no credential "d"`, "there is none"},
		{`"credentials":"a"`, "expected an array", "a name alone"},
		{`"env":{"A":"x"}`, "credential a is given as that variable", "one variable, two values"},
		{`"stdin":true`, "credential c is given on the command's stdin", "one stdin"},
		{`"terminal":{"rows":24,"cols":80}`, "credential c is given on the command's stdin", "which a terminal would be"},
	}
	for _, tt := range refused {
		m := c.ask(`{"id":1,"method":"exec","params":{"args":["true"],` + tt.params + `}}`)
		if m.Error == nil || m.Error.Code != errParams || !strings.Contains(m.Error.Message, tt.message) {
			t.Errorf("%s: %s", tt.why, m.raw)
		}
	}
	if got := c.end(); got != 0 {
		t.Errorf("exit code %d", got)
	}
}

func TestSessionRefusesSecrets(t *testing.T) {
	const value = "violet_canary"
	c := dial(t)
	tests := []struct{ credential, code, message, why string }{
		{`{"name":"A","source":"stdin"}`, errPolicy, "stdin is where the requests of the session come from", "stdin is taken"},
		{`{"name":"A","source":"fd:3"}`, errParams, "descriptor 3 ", "it was not inherited"},
		{`{"name":"A","source":"` + value + `"}`, errPolicy, "credentials[0].source: the source is none of", "the value"},
		{`{"name":"A","source":"env:A","value":"` + value + `"}`, errUnknownField, `there is no field "params.credentials[0].value"`, "the value, in a field that there is not"},
		{`{"name":"A","source":["` + value + `"]}`, errParams, "expected a string", "the wrong type"},
		{`{"name":"A","source":"env:A"},{"name":"A","source":"env:B","as":"fd:3"}`, errPolicy, "credentials[1].name: is the name", "twice"},
		{`{"name":"A","source":"env:A","as":"placeholder:A"}`, errUnsupported, "placeholders", "there are none yet"},
	}
	for _, tt := range tests {
		m := c.ask(`{"id":1,"method":"create","params":{"credentials":[` + tt.credential + `]}}`)
		if m.Error == nil || m.Error.Code != tt.code || !strings.Contains(m.Error.Message, tt.message) || strings.Contains(m.raw, value) {
			t.Errorf("%s: %s", tt.why, m.raw)
		}
	}
	c.create(`{"credentials":[{"name":"A","source":"env:NOT_SET_ANYWHERE"}]}`)
	if m := c.ask(`{"id":1,"method":"exec","params":{"args":["true"]}}`); m.Error == nil || m.Error.Code != errCredential || !strings.Contains(m.Error.Message, "no variable NOT_SET_ANYWHERE") {
		t.Errorf("a variable that is not set: %s", m.raw)
	}
	m := c.ask(`{"id":1,"method":"exec","params":{"args":["true"],"credentials":[]}}`)
	if m.Error != nil {
		t.Errorf("it is not given: %s", m.raw)
	}
	c.end()
}
