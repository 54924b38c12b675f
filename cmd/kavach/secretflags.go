package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kavach-dev/kavach/policy"
)

// secretFlags are the flags of kavach run that are about secrets.
type secretFlags struct {
	secrets []string
}

func (f *secretFlags) registerSecrets(fs *flags) {
	fs.Texts(&f.secrets, "secret", "", "NAME=SOURCE[,as=WAY][,lifetime=TIME][,shared]", "give the command a secret that is in env:NAME, file:PATH, stdin, fd:N or cmd:PROGRAM (never the value itself), as env:VAR (default env:NAME), stdin, fd:N or file:PATH; shared: others may read the file", nil)
}

// parseSecrets reads what --secret names.
func (f *secretFlags) parseSecrets() ([]policy.Credential, error) {
	var list []policy.Credential
	for _, text := range f.secrets {
		c, err := parseSecret(text)
		if err != nil {
			return nil, err
		}
		if named(list, c.Name) >= 0 {
			return nil, usagef("give each a name of its own", "--secret %s is there twice", c.Name)
		}
		list = append(list, c)
	}
	return list, nil
}

// named is the place of the credential of that name in a list; -1: it is not there.
func named(list []policy.Credential, name string) int {
	return slices.IndexFunc(list, func(c policy.Credential) bool { return c.Name == name })
}

// parseSecret reads NAME=SOURCE[,as=WAY][,lifetime=LIFETIME][,shared]. Of what names no
// known source nothing is repeated in the error, and not what stands before the "="
// either: a value may end in one.
func parseSecret(text string) (policy.Credential, error) {
	name, rest, _ := strings.Cut(text, "=")
	parts := strings.Split(rest, ",")
	c := policy.Credential{Name: name, Source: parts[0]}
	kind, value := c.Where()
	if kind == "" {
		return policy.Credential{}, shownToAll(rest == "")
	}
	if err := secretOptions(&c, parts[1:]); err != nil {
		return policy.Credential{}, err
	}
	switch {
	case kind == policy.CredentialFile && (value == "~" || strings.HasPrefix(value, "~/")):
		return policy.Credential{}, usagef(`write "$HOME/…" in the place of it`, "--secret: nobody expands the ~ behind file:")
	case kind == policy.CredentialFile && value != "", kind == policy.CredentialCommand && strings.Contains(value, "/"):
		abs, err := filepath.Abs(value)
		if err != nil {
			return policy.Credential{}, fmt.Errorf("--secret: make the path behind %s: absolute: %w", kind, err)
		}
		c.Source = kind + ":" + abs
	}
	if err := c.Check(false); err != nil {
		return policy.Credential{}, ofSecret(&c, err)
	}
	return c, leadsSomewhere(c.Name, kind, value)
}

// leadsSomewhere says that a source leads to nothing, but not which: with env:$TOKEN, or
// file:$TOKEN, it is the value. What begins as a path does is one.
func leadsSomewhere(name, kind, value string) error {
	if strings.HasPrefix(value, "/") || strings.HasPrefix(value, ".") {
		return nil
	}
	const there = "write the path of one that is there, as in TOKEN=%s; a value itself goes into a variable, and that is TOKEN=env:VARIABLE"
	switch kind {
	case policy.CredentialEnv:
		if _, set := os.LookupEnv(value); !set {
			return usagef("export it, and write its name with no $ before it, as in TOKEN=env:TOKEN",
				"--secret %s: the variable behind env: is not set in kavach's environment", name)
		}
	case policy.CredentialFile:
		if _, err := os.Stat(value); err != nil {
			return usagef(fmt.Sprintf(there, "file:./token"), "--secret %s: the file behind file: is not to be found", name)
		}
	case policy.CredentialCommand:
		if _, err := exec.LookPath(value); err != nil {
			return usagef(fmt.Sprintf(there, "cmd:./program"), "--secret %s: the program behind cmd: is not to be found, or to be run", name)
		}
	}
	return nil
}

// shownToAll is the error for what may be a value.
func shownToAll(nothing bool) error {
	const fix = "put the value into a variable, and write NAME=env:VARIABLE, as in TOKEN=env:TOKEN; or write NAME=file:PATH, NAME=stdin, NAME=fd:N or NAME=cmd:PROGRAM"
	if nothing {
		return usagef(fix, `--secret: there is no "=SOURCE"; if what is there is the value itself, %s`, seen)
	}
	return usagef(fix, `--secret: what is behind "NAME=" is no source; if it is the value itself, %s`, seen)
}

const seen = "everybody on this machine can have read it (ps, /proc/PID/cmdline), and the shell's history keeps it: take it for known, and change it"

// secretOptions reads what stands behind the commas.
func secretOptions(c *policy.Credential, options []string) error {
	given := make(map[string]bool)
	for _, option := range options {
		key, value, _ := strings.Cut(option, "=")
		switch {
		case given[key]:
			return usagef("leave one of them out", "--secret %s: %s is there twice", c.Name, key)
		case option == "shared":
			c.Shared = true
		case key == "as" && value != "":
			c.As = value
		case key == "lifetime" && value != "":
			c.Lifetime = value
		default:
			return usagef("as=WAY, lifetime=LIFETIME and shared are; a path with a comma in it goes into a policy file (credentials)",
				"--secret: something behind a comma is no option")
		}
		given[key] = true
	}
	return nil
}

// ofSecret names the flag in what is wrong with a credential that it has made.
func ofSecret(c *policy.Credential, err error) error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, inner := range several.Unwrap() {
			errs = append(errs, ofSecret(c, inner))
		}
		return errors.Join(errs...)
	}
	var wrong *policy.FieldError
	if !errors.As(err, &wrong) {
		return err
	}
	at := "--secret " + c.Name + ": "
	if wrong.Field == "name" {
		at = "--secret: "
	}
	return &policy.FieldError{Field: at + wrong.Field, Problem: wrong.Problem, Fix: wrong.Fix}
}
