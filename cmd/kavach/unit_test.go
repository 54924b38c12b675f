package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/kavach-dev/kavach/policy"
)

func TestKeptBack(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Join(base, "users", "me")
	if err := os.MkdirAll(filepath.Join(home, "project"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink(home, link); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		home, dir string
		want      bool
		why       string
	}{
		{home, home, true, "home itself"},
		{link, home, true, "home, by another name"},
		{home, filepath.Dir(home), true, "what holds home"},
		{home, "/", true, "what holds everything"},
		{home, filepath.Join(home, "project"), false, "a project in home"},
		{home, home + "2", false, "a neighbour whose name begins as home's"},
		{home, "/home", true, "all homes"},
		{home, "/home/other", true, "another's home"},
		{home, "/home/other/project", false, "a project in another's home"},
		{home, "/root", true, "root's home"},
		{"", "/home", true, "no HOME"},
		{"", "/srv", false, "no HOME"},
		{"/", "/srv", false, "a HOME of / hides nothing but /"},
		{home, "/etc", true, "a sandbox has its own"},
		{home, "/etc/app", false, "below it"},
		{home, "/tmp", true, "a sandbox has its own"},
		{home, "/tmp/build", false, "below it"},
		{home, "/run/user/1000", true, "sockets of services"},
	}
	for _, tt := range tests {
		t.Setenv("HOME", tt.home)
		if got := keptBack(tt.dir); got != tt.want {
			t.Errorf("%s: keptBack(%s) = %v with HOME=%s", tt.why, tt.dir, got, tt.home)
		}
	}
}

func TestEnvLine(t *testing.T) {
	t.Setenv("SET_HERE", "yes")
	tests := []struct{ line, want, wrong, why string }{
		{"A=b", "A=b", "", "the plain case"},
		{`A="b c"`, `A="b c"`, "", "quotes have no meaning"},
		{"A=b # c", "A=b # c", "", "nor has # in a value"},
		{"A= b ", "A= b ", "", "white space of a value is the value's"},
		{"SET_HERE", "SET_HERE=yes", "", "taken from the environment"},
		{"SET_HERE  ", "SET_HERE=yes", "", "with white space after it"},
		{"NOT_SET_HERE", "", "", "skipped"},
		{"=b", "", "empty", "no name"},
		{"A B=c", "", "white space", "two words"},
		{"A\x00=b", "", "NUL", "NUL"},
		{"A=\xff", "", "UTF-8", "not UTF-8"},
	}
	for _, tt := range tests {
		got, err := envLine(tt.line)
		if got != tt.want || (err == nil) != (tt.wrong == "") || (err != nil && !strings.Contains(err.Error(), tt.wrong)) {
			t.Errorf("%s: envLine(%q) = %q, %v", tt.why, tt.line, got, err)
		}
	}
}

func TestPrintable(t *testing.T) {
	tests := []struct{ in, want string }{
		{"plain é 漢", "plain é 漢"},
		{"a\x1b[31mb", `a\x1b[31mb`},
		{"a\nb", `a\nb`},
		{"\u202edrow", `\u202edrow`},
		{"\u009b31m", `\u009b31m`},
		{"\xff", `\ufffd`},
	}
	for _, tt := range tests {
		if got := printable(tt.in); got != tt.want {
			t.Errorf("printable(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// docs/commands.md has what the program has: exit codes, commands, flags.
func TestCommandsDocument(t *testing.T) {
	text, err := os.ReadFile(source(t, "docs/commands.md"))
	if err != nil {
		t.Fatal(err)
	}
	has := func(what string) {
		t.Helper()
		if !strings.Contains(string(text), what) {
			t.Errorf("docs/commands.md does not have %s", what)
		}
	}
	for _, row := range exitCodes {
		has("| " + row.Code + " | " + row.Means + " |")
	}
	for _, c := range newRoot().sub {
		if c.short == "" {
			continue // not for people
		}
		has("`kavach " + c.name)
		for _, sub := range c.sub {
			has("`kavach " + c.name + " " + sub.name)
		}
		for _, name := range flagNames(c) {
			has("`--" + name)
		}
	}
}

// Each field of a policy is explained, and nothing else.
func TestMeanings(t *testing.T) {
	fields := make(map[string]bool)
	for _, v := range policy.Values(policy.Policy{}) {
		fields[v.Field] = true
		if meanings[v.Field] == nil && v.Field != "name" {
			t.Errorf("policy explain has no words for %s", v.Field)
		}
	}
	for field := range meanings {
		if !fields[field] {
			t.Errorf("policy explain has words for %s, which is no field", field)
		}
	}
	for _, name := range policy.PresetNames() {
		p, err := policy.Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range explainPolicy(p).Fields {
			if f.Means == "" {
				t.Errorf("%s: nothing is said of %s", name, f.Field)
			}
		}
	}
}

// What a policy does not protect from is told where it is so, and only there.
func TestExposures(t *testing.T) {
	tests := []struct {
		p    policy.Policy
		want string
	}{
		{policy.Policy{Seccomp: policy.Seccomp{Profile: policy.Off}}, "no filter is in force"},
		{policy.Policy{Seccomp: policy.Seccomp{Mode: policy.SeccompLog}}, "no filter is in force"},
		{policy.Policy{Filesystem: policy.Filesystem{Landlock: policy.Off}}, "Landlock is off"},
		{policy.Policy{Filesystem: policy.Filesystem{Mounts: []policy.Mount{{Source: "/a"}}}}, "reading what is mounted"},
		{policy.Policy{Filesystem: policy.Filesystem{Mounts: []policy.Mount{{Source: "/a", Access: policy.AccessDirect}}}}, "access: direct"},
		{policy.Policy{Filesystem: policy.Filesystem{Mounts: []policy.Mount{{Source: "/a", Access: policy.AccessWrite}}, TmpSize: 1}}, "access: rw"},
		{policy.Policy{Filesystem: policy.Filesystem{Protected: []string{"a"}}}, "filesystem.protected"},
		{policy.Policy{Resources: policy.Resources{Memory: policy.Unlimited}}, "resources.memory"},
		{policy.Policy{Resources: policy.Resources{CPUs: policy.Unlimited}}, "resources.cpus"},
		{policy.Policy{Resources: policy.Resources{PIDs: policy.Unlimited}}, "resources.pids"},
		{policy.Policy{Resources: policy.Resources{Timeout: policy.Unlimited}}, "resources.timeout"},
		{policy.Policy{BestEffort: policy.Controls()}, "best_effort"},
		{policy.Policy{Process: policy.Process{Env: map[string]string{"A": ""}}}, "its own environment"},
		{policy.Policy{Gate: policy.Gate{Mode: policy.GateOff}}, "gate.mode is off"},
		{policy.Policy{Gate: policy.Gate{Input: policy.InputAllowed}}, "gate.input: allowed"},
		{policy.Policy{Gate: policy.Gate{Redact: policy.Off}}, "it is told, and leaves all the same"},
		{policy.Policy{Gate: policy.Gate{Ignore: []string{"a"}}}, "gate.ignore"},
		{policy.Policy{Gate: policy.Gate{External: []policy.ExternalScanner{{Name: "av", Command: []string{"/av"}}}}}, "gate.external"},
	}
	for _, tt := range tests {
		strict := policy.Policy{Seccomp: policy.Seccomp{Files: []string{"/a"}}, Require: policy.Require{MinScore: 1}}
		if !strings.Contains(strings.Join(notProtected(&tt.p), "\n"), tt.want) {
			t.Errorf("%+v: %q is not told", tt.p, tt.want)
		}
		if strings.Contains(strings.Join(notProtected(&strict), "\n"), tt.want) {
			t.Errorf("%q is told of a policy that it is not true of", tt.want)
		}
	}
}

// docs/session.md has every method, field and error code.
func TestSessionDocument(t *testing.T) {
	text, err := os.ReadFile(source(t, "docs/session.md"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for method := range methods {
		names = append(names, method)
	}
	for _, v := range []any{request{}, reply{}, createParams{}, mountParams{}, created{}, execParams{}, execResult{}, stdinParams{}, terminalParams{}, resizeParams{}, signalParams{}, outputEvent{}, outcome{}, usage{}, sessionError{}} {
		names = append(names, jsonNamesOf(v)...)
	}
	names = append(names, errSyntax, errTooLong, errUnknownMethod, errUnknownField, errParams, errPolicy, errRefused, errNoSandbox,
		errExists, errNoExec, errNoStdin, errBusy, errState, errNotFound, errNotInvoked, errUnsupported, errFailed)
	for _, name := range slices.Compact(names) {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/session.md does not have `%s`", name)
		}
	}
}

func flagNames(c *command) []string {
	var names []string
	for _, info := range c.newFlags().list {
		names = append(names, info.name)
	}
	return names
}

func jsonNamesOf(v any) []string { return jsonNames(reflect.TypeOf(v)) }
