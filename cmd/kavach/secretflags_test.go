package main

import (
	"os"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/policy"
)

func TestParseSecret(t *testing.T) {
	t.Setenv("TOKEN_HERE", "of no interest")
	cwd := withFiles(t, "key", "a=b", "ask")
	tests := []struct {
		text string
		want policy.Credential
		why  string
	}{
		{"T=env:TOKEN_HERE", policy.Credential{Name: "T", Source: "env:TOKEN_HERE"}, "the plain case"},
		{"T=stdin,as=file:/run/secrets/t", policy.Credential{Name: "T", Source: "stdin", As: "file:/run/secrets/t"}, "another way"},
		{"T=fd:3,as=fd:4,lifetime=10m", policy.Credential{Name: "T", Source: "fd:3", As: "fd:4", Lifetime: "10m"}, "and for how long"},
		{"T=file:key,shared", policy.Credential{Name: "T", Source: "file:" + cwd + "/key", Shared: true}, "a path that is relative"},
		{"T=file:./none", policy.Credential{Name: "T", Source: "file:" + cwd + "/none"}, "what begins as a path does may be made yet"},
		{"T=file:/a/../b", policy.Credential{Name: "T", Source: "file:/b"}, "one that is not clean"},
		{"T=file:a=b", policy.Credential{Name: "T", Source: "file:" + cwd + "/a=b"}, "the first = ends the name"},
		{"T=cmd:./ask", policy.Credential{Name: "T", Source: "cmd:" + cwd + "/ask"}, "a program by its path"},
		{"T=cmd:ask", policy.Credential{Name: "T", Source: "cmd:ask"}, "a program by its name"},
		{"https://u@h:1/p=cmd:ask,as=env:T", policy.Credential{Name: "https://u@h:1/p", Source: "cmd:ask", As: "env:T"}, "a name as helpers know it"},
		{"T=stdin,as=placeholder:T", policy.Credential{Name: "T", Source: "stdin", As: "placeholder:T"}, "whether there are placeholders is for the runtime to say"},
	}
	for _, tt := range tests {
		if got, err := parseSecret(tt.text); err != nil || got != tt.want {
			t.Errorf("%s: %s: %+v, %v", tt.why, tt.text, got, err)
		}
	}
}

// withFiles makes files that can be run in a directory, which is the current one, and
// PATH, from then on.
func withFiles(t *testing.T, names ...string) (cwd string) {
	t.Helper()
	t.Chdir(t.TempDir())
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", cwd)
	for _, name := range names {
		if err := os.WriteFile(name, []byte("of no interest"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return cwd
}

// What is no source may be the value: no error repeats any of it, wherever it stands.
func TestParseSecretRefuses(t *testing.T) {
	const value = "ghp0ijxq3mzv"
	t.Setenv("TOKEN_HERE", "of no interest")
	tests := []struct{ text, problem, why string }{
		{"T=" + value, "is no source", "the value"},
		{"T=value:" + value, "is no source", "a kind that there is not, on purpose"},
		{"T=Env:" + value, "is no source", "kinds are in lower case"},
		{"T=stdin" + value, "is no source", "it begins as a kind does"},
		{"T=stdin:" + value, "is no source", "there is no more to say of stdin"},
		{"T=" + value + ",as=env:T", "is no source", "with a way"},
		{"T=" + value + "=env:TOKEN_HERE", "is no source", "a value with a = in it"},
		{value, `there is no "=SOURCE"`, "nothing but the value"},
		{value + "==", "is no source", "a value in base64, with its end"},
		{value + "=", `there is no "=SOURCE"`, "one that ends with one ="},
		{"T=", `there is no "=SOURCE"`, "a variable of the shell that was empty"},
		{"", `there is no "=SOURCE"`, "nothing"},
		{"=" + value, "is no source", "no name"},
		{"=env:TOKEN_HERE", "--secret: name: is missing", "no name, and a source"},
		{"T T=env:TOKEN_HERE", "--secret: name: holds what no name does", "a name with a space"},
		{"T\x00=env:TOKEN_HERE", "--secret: name: holds what no name does", "with NUL"},
		{"T=env:" + value, "--secret T: the variable behind env: is not set", "env:$TOKEN"},
		{"T=env:" + value + "\n", "source: env: is followed by what is not printable", "with a line end"},
		{"T=env:", "env: is not followed by the name of a variable", "no variable"},
		{"T=fd:" + value, "fd: is not followed by the number of a descriptor", "no number"},
		{"T=fd:0", "fd: is not followed by the number of a descriptor", "that is stdin"},
		{"T=file:" + value, "--secret T: the file behind file: is not to be found", "file:$TOKEN"},
		{"T=file:" + strings.Repeat(value, 30), "is not to be found", "longer than the name of any file"},
		{"T=file:a/" + value, "is not to be found", "with a slash in it"},
		{"T=cmd:" + value, "--secret T: the program behind cmd: is not to be found", "cmd:$TOKEN"},
		{"T=cmd:a/" + value, "is not to be found", "with a slash in it"},
		{"T=file:", "file: is not followed by a path", "no path"},
		{"T=file:~/" + value, "nobody expands the ~", "the shell does not, there"},
		{"T=cmd:", "cmd: is not followed by a program", "no program"},
		{"T=cmd:ask " + value, "cmd: is not followed by a program alone", "with an argument"},
		{"T=file:/a," + value, "is no option; as=WAY, lifetime=LIFETIME and shared are; a path with a comma", "a path with a comma"},
		{"T=env:TOKEN_HERE,as", "is no option", "as nothing"},
		{"T=env:TOKEN_HERE,as=", "is no option", "as nothing"},
		{"T=env:TOKEN_HERE,shared=yes", "is no option", "shared takes nothing"},
		{"T=env:TOKEN_HERE,as=fd:3,as=fd:4", "as is there twice", "two ways"},
		{"T=env:TOKEN_HERE,shared", "only a file can be read by others", "shared, and no file"},
		{"T=env:TOKEN_HERE,as=" + value, "--secret T: as: the way is none of", "no way"},
		{"T=env:TOKEN_HERE,as=file:t", "--secret T: as: file: is not followed by the path", "the path inside is absolute"},
		{"T=env:TOKEN_HERE,as=fd:64", "--secret T: as: fd:", "too large a number"},
		{"T=env:TOKEN_HERE,as=env:LD_PRELOAD", "LD_PRELOAD says what programs run or load", "a variable that steers"},
		{"T=env:TOKEN_HERE,lifetime=10m", "cannot be taken back after a time", "in an environment it stays"},
		{"T=env:TOKEN_HERE,as=fd:3,lifetime=" + value, "is none of command, sandbox", "no time"},
		{"a.b=env:TOKEN_HERE", "--secret a.b: as: is missing", "a name that is no variable's"},
	}
	for _, tt := range tests {
		got, err := parseSecret(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.problem) || strings.Contains(err.Error(), value) {
			t.Errorf("%s: %q: %+v, %v", tt.why, tt.text, got, err)
		}
		if err != nil && strings.Contains(tt.problem, "no source") && !strings.Contains(err.Error(), "/proc/PID/cmdline") {
			t.Errorf("%s: %q: the reason is not in %v", tt.why, tt.text, err)
		}
	}
}

// No error of the command line repeats what a flag is set to, and the flag that is
// misspelt is one.
func TestNoErrorRepeatsAValue(t *testing.T) {
	const value = "ghp0ijxq3mzv"
	for _, args := range [][]string{
		{"run", "--secrt=T=" + value, "--", "true"},
		{"run", "-secret=T=" + value, "--", "true"},
		{"run", "--secret=T=" + value, "--", "true"},
		{"run", "--secret", "T=" + value, "--", "true"},
		{"run", "--secret", value, "--bogus", "--", "true"},
		{"run", "--secret", "T=stdin", "--secret", value, "--", "true"},
		{"run", "--secret", "T=stdin", "--secret", "T=stdin,as=" + value},
		{"runn", "--secret", "T=" + value, "--", "true"},
		{"some-program", "--secret", "T=" + value},
		{"--secret=T=" + value, "run", "--", "true"},
		{"session", "--secret=T=" + value},
		{"score", "--secret=T=" + value},
	} {
		err := dispatch(newRoot(), "kavach", args)
		if err == nil || strings.Contains(err.Error(), value) {
			t.Errorf("%q: %v", args, err)
		}
		for _, p := range explain(err) {
			if strings.Contains(p.what+p.fix, value) {
				t.Errorf("%q: %+v", args, p)
			}
		}
	}
}

// What a flag names takes the place of what the policy has of that name.
func TestApplySecrets(t *testing.T) {
	t.Setenv("TOKEN_HERE", "of no interest")
	withFiles(t, "ask")
	of := func(name, source string) policy.Credential { return policy.Credential{Name: name, Source: source} }
	p := policy.Policy{Credentials: []policy.Credential{of("A", "env:A1"), of("B", "env:B1")}}
	kept := p.Credentials
	j := &job{runFlags: &runFlags{secretFlags: secretFlags{[]string{"A=env:TOKEN_HERE", "C=cmd:ask"}}}}
	var err error
	if j.given, err = j.parseSecrets(); err != nil {
		t.Fatal(err)
	}
	if err := j.applySecrets(&p); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range p.Credentials {
		got = append(got, c.Name+"="+c.Source)
	}
	if strings.Join(got, " ") != "B=env:B1 A=env:TOKEN_HERE C=cmd:ask" || kept[0].Source != "env:A1" {
		t.Errorf("%q, and the policy's own list is %v", got, kept)
	}
	j.config.Policy = p
	wrong := &policy.FieldError{Field: "credentials[1].as", Problem: "is wrong"}
	if got := j.byFlag(wrong).Error(); got != "--secret A: as: is wrong" {
		t.Error(got)
	}
	wrong.Field = "credentials[0].as"
	if got := j.byFlag(wrong).Error(); got != "credentials[0].as: is wrong" {
		t.Error(got)
	}
}
