// Package credential finds the values of secrets, gives them to commands, and takes
// them back.
//
//	policy.Credential ─▶ Ref ─▶ Open ─▶ Set
//	                                     │ Attach, when a command starts:
//	   Source (env, file, stdin, …) ───▶ │ read into locked memory
//	   gate.Session.Know ◀────────────── │ it is a known secret from now on
//	   backend.Cmd ◀──────────────────── │ a variable, a pipe, a file in memory
//	                                     ▼
//	                                   Lease ─▶ Revoke, when the command ends:
//	                                     pipes drained, files taken, memory zeroed
//
// Values are in memory of package internal/locked, and in no string: nothing that can
// be printed, logged or encoded has one.
//
// What this package does not protect: a command that is given a value has it, and may
// keep it for as long as anything of the sandbox lives, or hand it to others inside;
// what it can send out is for the network policy and the gate to say. Where a value
// comes from (the environment of Kavach itself, a file, a helper program) it stays.
package credential

import (
	"context"

	"github.com/kavach-dev/kavach/policy"
)

// Source finds the value of a secret.
type Source interface {
	// Secret returns the value of the secret that is called name. It is called each
	// time that a command is given it, maybe at once, and ctx ends after 30 s. What it returns is zeroed once it was copied;
	// what an error says is shown, so it must not hold the value.
	Secret(ctx context.Context, name string) ([]byte, error)
}

// Ref is a secret that commands may be given: its name, where its value is, the way
// in which it is given, and for how long.
type Ref struct {
	policy.Credential

	// From finds the value; Credential.Source is a label for people and records then.
	// Nil: Credential.Source says where it is.
	From Source
}

// Grant says what a command was given: everything but the value. Its fields are those
// of policy.Credential, with what their zero values stand for.
type Grant struct {
	Name     string `json:"name"`
	Source   string `json:"source"`
	As       string `json:"as"`
	Lifetime string `json:"lifetime"`
}
