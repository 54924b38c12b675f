package main

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	tests := []struct {
		passes  bool
		args    string // words
		want    string // bool, text, texts and arguments
		problem string
		why     string
	}{
		{false, "", "false - [] []", "", "nothing"},
		{false, "--on --text x --many a --many b arg", "true x [a b] [arg]", "", "each kind"},
		{false, "-o -t x -m=a", "true x [a] []", "", "short, and with ="},
		{false, "--on=false --text=", "false  [] []", "", "a value that is empty or false"},
		{false, "a --on b --text x", "true x [] [a b]", "", "flags among the arguments"},
		{false, "a -- --on", "false - [] [a --on]", "", "-- ends the flags"},
		{false, "-- --on -- b", "false - [] [--on -- b]", "", "the first -- only"},
		{false, "- --on", "true - [] [-]", "", "- is an argument"},
		{true, "--on a --on --text", "true - [] [a --on --text]", "", "what follows the command is its own"},
		{true, "--on -- --text", "true - [] [--text]", "", "so is what follows --"},
		{true, "a -- b", "false - [] [a -- b]", "", "and the -- that follows it"},
		{false, "--onn", "", "unknown flag --onn; did you mean --on?", "a typo"},
		{false, "a --txt=1", "", "unknown flag --txt; did you mean --text?", "a typo, and what it is set to is not shown"},
		{false, "--xyzzy", "", "unknown flag --xyzzy; see kavach x --help", "nothing is near"},
		{false, "--on --text", "", "flag --text needs a value; write --text T", "no value"},
		{false, "-t", "", "flag --text needs a value; write --text T", "no value for a short one"},
		{false, "--on=perhaps", "", `invalid boolean value "perhaps" for -on: parse error; see kavach x --help`, "no boolean"},
		{false, "-op", "true - [] []", "", "two in one word"},
		{false, "-opt x arg", "true x [] [arg]", "", "the last takes a value"},
		{false, "-pom=a -mb", "", "unknown flag -mb; see kavach x --help", "a value is not written behind its letter"},
		{false, "-pom=a arg -po", "true - [a] [arg]", "", "with =, and among the arguments"},
		{false, "-to x", "", "unknown flag -to; see kavach x --help", "only the last"},
		{false, "-on", "true - [] []", "", "the name of a flag is that flag"},
		{false, "-ox", "", "unknown flag -ox; did you mean --on?", "each is one"},
		{false, "--op", "", "unknown flag --op; did you mean --on?", "with one dash only"},
		{false, "-m -op", "false - [-op] []", "", "a value is no flag"},
		{false, "-o=false -- -op", "false - [] [-op]", "", "not behind --"},
		{true, "-op a -op", "true - [] [a -op]", "", "nor behind a command"},
	}
	for _, tt := range tests {
		on, text, many := false, "-", []string(nil)
		c := &command{name: "x", passes: tt.passes, flags: func(f *flags) {
			f.Bool(&on, "on", "o", "")
			f.Bool(new(bool), "plain", "p", "")
			f.Text(&text, "text", "t", "T", "", nil)
			f.Texts(&many, "many", "m", "M", "", nil)
		}}
		rest, err := c.parse("kavach x", strings.Fields(tt.args))
		var usage *usageError
		if errors.As(err, &usage) || tt.problem != "" {
			if err == nil || err.Error() != tt.problem {
				t.Errorf("%s: %q: error %v, want %s", tt.why, tt.args, err, tt.problem)
			}
			continue
		}
		got := strings.Join([]string{map[bool]string{true: "true", false: "false"}[on], text, bracketed(many), bracketed(rest)}, " ")
		if err != nil || got != tt.want {
			t.Errorf("%s: %q: got %s, %v, want %s", tt.why, tt.args, got, err, tt.want)
		}
	}
}

func bracketed(list []string) string { return "[" + strings.Join(list, " ") + "]" }

// With cgo a program cannot be its own guest, and whoever has a C compiler has
// cgo on: nothing that is linked into kavach may use it.
func TestNothingUsesCgo(t *testing.T) {
	if os.Getenv("KAVACH_SOURCE") != "" {
		return // the sources are elsewhere, and were looked at there
	}
	cmd := exec.Command("go", "list", "-deps", ".")
	cmd.Dir = source(t, "cmd/kavach")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	for _, p := range []string{"runtime/cgo", "net", "os/user", "net/http", "text/template"} {
		if slices.Contains(deps, p) {
			t.Errorf("kavach links %s", p)
		}
	}
}
