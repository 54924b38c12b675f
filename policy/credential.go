package policy

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Credential is a secret that a command is given: where its value is, and by which
// way the command gets it. The value itself is never in a policy.
type Credential struct {
	// Name is what it is called in results, findings and errors, and what a helper
	// program is asked for: letters, digits and ._/:@- .
	Name string `json:"name"`

	// Source is where the value is: "env:NAME" (a variable of Kavach's own
	// environment), "file:PATH" (absolute), "stdin" (Kavach's, to its end), "fd:N" (a
	// descriptor that Kavach inherited, to its end), or "cmd:PROGRAM" (what a helper
	// program prints: an absolute path, or a name that is looked up in Kavach's own
	// PATH).
	Source string `json:"source"`

	// As is how the command gets it: "env:VAR", "stdin", "fd:N" (a pipe, as its
	// descriptor N), "file:PATH" (a file that is nowhere but in memory, at PATH
	// inside), or "placeholder:VAR" (a variable that holds something else in its
	// place, for which the value is put in on the way out). Empty: env:NAME, with
	// the credential's own name.
	As string `json:"as,omitempty"`

	// Lifetime is how long it is given: "command" (until the command ends), "sandbox"
	// (of a file: until the sandbox ends), or a duration, such as "10m", after
	// which it is taken back though the command still runs (not of env:VAR: what is
	// in an environment stays there). Empty: command.
	Lifetime string `json:"lifetime,omitempty"`

	// Shared allows a Source file:PATH that others than its owner can read. Zero: it
	// is refused.
	Shared bool `json:"shared,omitempty"`
}

// The kinds of a Credential's Source and As: what is before the colon, or all of it.
const (
	CredentialEnv         = "env"
	CredentialFile        = "file"
	CredentialStdin       = "stdin"
	CredentialFD          = "fd"
	CredentialCommand     = "cmd"
	CredentialPlaceholder = "placeholder"
)

// Lifetimes of a Credential beside durations.
const (
	LifetimeCommand = "command"
	LifetimeSandbox = "sandbox"
)

// The descriptors that As "fd:N" can name: those from 0 to 2 are the command's stdio.
const (
	FirstCredentialFD = 3
	LastCredentialFD  = 63
)

// Effective is c with what its zero values stand for spelled out: As and Lifetime.
func (c Credential) Effective() Credential {
	if c.As == "" {
		c.As = CredentialEnv + ":" + c.Name
	}
	c.Lifetime = cmp.Or(c.Lifetime, LifetimeCommand)
	return c
}

// Where is where the value is: "env" and the name of a variable, "file" and a path,
// "stdin" and nothing, "fd" and a number, or "cmd" and a program. Of a Source that is
// none of them, such as a label, the kind is "".
func (c Credential) Where() (kind, value string) {
	return cutKind(c.Source, CredentialEnv, CredentialFile, CredentialFD, CredentialCommand)
}

// Target is how the command gets it, whether As says so or its zero does: "env" or
// "placeholder" and the name of a variable, "stdin" and nothing, "fd" and a number, or
// "file" and a path. Of an As that is none of them the kind is "".
func (c Credential) Target() (kind, value string) {
	return cutKind(c.Effective().As, CredentialEnv, CredentialFD, CredentialFile, CredentialPlaceholder)
}

// Expires is how long it is given where Lifetime is a duration; false: it is none.
func (c Credential) Expires() (time.Duration, bool) {
	switch c.Effective().Lifetime {
	case LifetimeCommand, LifetimeSandbox:
		return 0, false
	}
	d, err := ParseDuration(c.Lifetime)
	return time.Duration(d), err == nil && d != Unlimited
}

// cutKind takes the kind from before the colon of text: one of kinds, or stdin, of
// which there is no more to say.
func cutKind(text string, kinds ...string) (kind, value string) {
	kind, value, named := strings.Cut(text, ":")
	if text == CredentialStdin || named && slices.Contains(kinds, kind) {
		return kind, value
	}
	return "", ""
}
