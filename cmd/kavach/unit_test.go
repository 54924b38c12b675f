package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
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
	for _, v := range []any{request{}, reply{}, createParams{}, mountParams{}, created{}, execParams{}, execResult{}, stdinParams{}, signalParams{}, outputEvent{}, outcome{}, usage{}, sessionError{}} {
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
