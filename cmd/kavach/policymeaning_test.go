package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/policy"
)

// Policy explain says of each way in which a secret is given what it is, and what it
// does not protect from.
func TestCredentialsExplained(t *testing.T) {
	given := func(list ...policy.Credential) *policy.Policy { return &policy.Policy{Credentials: list} }
	tests := []struct {
		c     policy.Credential
		means string
	}{
		{policy.Credential{}, "in the environment of each command, and of all that it starts"},
		{policy.Credential{As: "env:U"}, "in the environment of each command, and of all that it starts"},
		{policy.Credential{As: "placeholder:U"}, "the variable holds something else, for which the value is put in on the way out; where nothing does that, it is refused"},
		{policy.Credential{As: "stdin"}, "on the stdin of each command, which gets no other input"},
		{policy.Credential{As: "fd:7", Lifetime: "600s"}, "in a pipe, which is descriptor 7 of each command; taken back when it ends, or after 10m"},
		{policy.Credential{As: "file:/s/t", Lifetime: "sandbox"}, "in a file that is nowhere but in memory, and that commands can read and not change; until the sandbox ends"},
	}
	for _, test := range tests {
		test.c.Name, test.c.Source = "T", "env:T"
		p := given(test.c)
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: %v", test.c, err)
		}
		at := slices.IndexFunc(explainPolicy(*p).Fields, func(f explainedField) bool { return f.Field == `credentials["T"]` })
		if at < 0 {
			t.Errorf("%+v is not told", test.c)
		} else if got := explainPolicy(*p).Fields[at].Means; got != test.means {
			t.Errorf("%+v: %s", test.c, got)
		}
	}
}

func TestCredentialExposures(t *testing.T) {
	const kept, shared, helper = "it can keep it", "(shared)", "(cmd:PROGRAM)"
	tests := []struct {
		c    policy.Credential
		want []string
	}{
		{policy.Credential{Source: "env:T"}, []string{kept}},
		{policy.Credential{Source: "file:/t", Shared: true}, []string{kept, shared}},
		{policy.Credential{Source: "cmd:helper"}, []string{kept, helper}},
	}
	for _, test := range tests {
		p := policy.Policy{Credentials: []policy.Credential{test.c}}
		told := strings.Join(notProtected(&p), "\n")
		for _, text := range []string{kept, shared, helper} {
			if strings.Contains(told, text) != slices.Contains(test.want, text) {
				t.Errorf("%+v: %q is told, or not, against what is so", test.c, text)
			}
		}
	}
	if none := strings.Join(notProtected(&policy.Policy{}), "\n"); strings.Contains(none, kept) {
		t.Error("a policy without secrets is told about one")
	}
}
